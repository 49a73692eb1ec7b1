"""The canary: wherever the key could leak to, it is looked for."""

from pathlib import Path

import pytest

from tests.cli.processes import until

CANARY = "SG_cafebabe1337feed"
FAULTS = [
    {"where": "sync", "kind": "http_500", "count": 1},
    {"where": "sync", "kind": "drop_after", "after": 2, "count": 1},
    {"where": "sync", "kind": "garbled", "after": 4, "count": 1},
    {"where": "sync", "kind": "429", "after": 6, "count": 1, "reset": "past"},
    {"where": "cdn", "kind": "html_as_png", "count": 1},
    {"where": "cdn", "kind": "cut", "after": 2, "count": 1},
]


def traces(folder, secret):
    """Files below a folder that hold the secret, in their content or their name."""
    found = []
    for path in folder.rglob("*"):
        if secret in str(path) or (path.is_file() and secret.encode() in path.read_bytes()):
            found.append(path)
    return found


def killed(there, service, manifest):
    """Kill a run in the middle; its command line as everybody sees it, and its log."""
    with there.start("run", manifest) as running:
        until(lambda: len(service.bills()) == 8)
        arguments = Path(f"/proc/{running.pid}/cmdline").read_text()
        assert "batch.yaml" in arguments
        assert running.killed_after(0)
    return arguments + (there.path / "runs/batch/run.log").read_text()


@pytest.mark.parametrize("way", ["faults", "redirect", "refused", "killed"])
def test_the_key_is_nowhere(place, simulate, way):
    keys = ["SG_aaaaaaaaaaaaaaaa"] if way == "refused" else []
    service = simulate(keys=keys, latency_s=60 if way == "killed" else 0.05)
    there = place.at(service, SEGMIND_API_KEY=CANARY)
    manifest = there.manifest(8, reconcile={"settle": 0})
    if way == "redirect":
        elsewhere = simulate()
        service.fail({"where": "sync", "kind": "redirect", "location": f"{elsewhere.url}/v1/x"})
    if way == "faults":
        service.fail(*FAULTS)
    if way == "killed":
        texts = [killed(there, service, manifest)]
    else:
        ended = there.call("run", manifest) if way == "faults" else there.inside("run", manifest)
        assert ended.code in {"faults": (0, 1), "redirect": (1, 3), "refused": (3,)}[way]
        texts = [ended.text, there.inside("status", "runs/batch", "--failed", "--json").text]
    assert all(CANARY not in text for text in texts)
    assert traces(there.path, CANARY) == []
    assert service.ledger()["leaked_key_count"] == 0
    if way == "redirect":
        assert elsewhere.request_count() == 0


def test_a_key_with_a_line_break_is_refused_without_being_shown(place, service):
    there = place.at(service, SEGMIND_API_KEY=f"{CANARY}\nX-Evil: 1")
    ended = there.inside("run", there.manifest(1, name="evil"))
    assert ended.code in {2, 3}
    assert CANARY not in ended.text
    assert service.bills("evil") == []
