"""Messages, and the command at the end, of a real run."""

import http.server
import json
import sys
import threading

import pytest

FACTS = (
    "import os, json; print(json.dumps({k: v for k, v in os.environ.items() if 'BATCHGEN' in k}))"
)


@pytest.fixture
def receiver():
    """Takes notifications at `json://127.0.0.1:port`, and keeps them."""
    taken = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            """Quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.taken = taken
    server.url = f"json://127.0.0.1:{server.server_port}"
    yield server
    server.shutdown()
    server.server_close()


def test_a_run_that_has_finished_is_told_and_its_command_may_use_the_directory(
    place, service, receiver, capfd
):
    """One run for all of it: the command reads the state, and its failure changes nothing."""
    there = place.at(service, NTFY_URL=receiver.url)
    script = place.write(
        "end.py",
        f"{FACTS}\nimport sqlite3, sys\n"
        "from batchgen.system.run_holder import holder_of\nfrom pathlib import Path\n"
        "print('holder', holder_of(Path(os.environ['BATCHGEN_RUN'])))\nsys.exit(3)\n",
    )
    manifest = there.manifest(
        2,
        name="told",
        notify={"env": ["NTFY_URL"]},
        on_finish={"command": [sys.executable, "end.py"], "timeout": "50s"},
    )
    ended = there.inside("run", manifest, "--json")
    printed, holder = capfd.readouterr().err.splitlines()
    facts = json.loads(printed)
    assert ended.code == 0
    assert ended.json["counts"] == {"done": 2}
    assert (facts["BATCHGEN_DONE"], facts["BATCHGEN_EXIT_CODE"]) == ("2", "0")
    assert facts["BATCHGEN_RUN"] == str(there.path / "runs/told")
    assert holder == "holder None", "the run directory is free by then"
    assert f"on_finish ended with exit code 3: {sys.executable} {script.name}" in ended.err
    (message,) = receiver.taken
    assert message["title"] == "told: finished"
    assert message["message"].startswith("2 done")
    for path in (there.path / "runs/told").rglob("*"):
        assert not path.is_file() or receiver.url.encode() not in path.read_bytes()


def test_a_run_that_is_stopped_says_so_and_how_to_go_on(place, simulate, receiver):
    service = simulate(keys=["SG_aaaaaaaaaaaaaaaa"])
    there = place.at(service, NTFY_URL=receiver.url)
    ended = there.inside("run", there.manifest(1, notify={"env": ["NTFY_URL"]}))
    assert ended.code == 3
    (message,) = receiver.taken
    assert message["title"] == "batch: stopped early"
    assert message["message"].endswith(f"resume: batchgen run {there.path / 'batch.yaml'}")


def test_without_an_address_nothing_begins(place, service):
    there = place.at(service)
    manifest = there.manifest(1, name="nowhere", notify={"env": ["NTFY_URL"]}, on_finish="false")
    refused = there.inside("run", manifest)
    assert refused.code == 2
    assert "NTFY_URL is not set" in refused.err
    assert not (there.path / "runs").exists()
    assert service.bills("nowhere") == []
    silent = there.inside("run", manifest, "--no-notify")
    assert (silent.code, silent.err) == (0, "")
