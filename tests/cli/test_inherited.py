"""What a command inherits from whoever starts it: ignored signals, and streams of every kind."""

import fcntl
import os
import signal
import struct
import subprocess
import termios
from pathlib import Path

import pytest

from tests.cli.processes import COMMAND, KEY, Place, until

HUNT = pytest.mark.hunt


@pytest.fixture(scope="module")
def there(tmp_path_factory, service):
    """Where three jobs are done, and a service that has the results."""
    there = Place(tmp_path_factory.mktemp("inherited")).at(service)
    assert there.inside("run", there.manifest(3, name="inherited")).code == 0
    return there


def shell(there, text):
    """A command line as a shell takes it, `batchgen` being ours; any failure in a pipe counts."""
    ours = " ".join(COMMAND)
    ended = subprocess.run(
        ["bash", "-c", f"set -o pipefail; batchgen() {{ {ours} \"$@\"; }}; {text}"],
        cwd=there.path, env=there.env, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "Traceback" not in ended.stdout + ended.stderr, ended.stderr
    assert "Exception ignored" not in ended.stderr
    return ended


FULL = "No space left on device"
NOTE = f"note: stdout cannot be written ({FULL}); the exit code is that of the work\n"


@pytest.mark.parametrize(
    ("streams", "code", "err"),
    [
        pytest.param("2>&-", 0, "", marks=HUNT),
        pytest.param(">&-", 0, "", marks=HUNT),
        (">&- 2>&- <&-", 0, ""),
        (">/dev/full", 0, NOTE),
        pytest.param("2>/dev/full", 0, "", marks=HUNT),
        (">/dev/full 2>/dev/full", 0, ""),
        ("| head -1", 0, ""),
        pytest.param("| true", 0, "", marks=HUNT),
        pytest.param("2>&1 >/dev/full | true", 0, "", marks=HUNT),
        # Open, but not for writing.
        pytest.param("1</dev/null 2</dev/null", 0, "", marks=HUNT),
    ],
)
def test_the_exit_code_of_a_run_is_that_of_the_work(place, service, streams, code, err):
    there = place.at(service)
    name = f"streams {streams}".replace("/", "-")
    there.manifest(2, name="batch", defaults={"model": "flux-kontext-dev", "api": "v1"})
    Path(place.path / "batch.yaml").write_text(
        (place.path / "batch.yaml").read_text().replace("batch number", name)
    )
    ended = shell(there, f"batchgen run batch.yaml --json {streams}")
    assert (ended.returncode, ended.stderr) == (code, err)
    assert len(service.bills(name)) == 2
    assert there.inside("status", "runs/batch", "--json").json["counts"]["done"] == 2


@pytest.mark.parametrize(
    "command",
    [
        "status runs/inherited --json",
        *(pytest.param(c, marks=HUNT) for c in ("plan batch.yaml", "models", "init flux-pro -o -")),
    ],
)
def test_a_command_that_only_prints_says_that_it_cannot(there, command):
    full = shell(there, f"batchgen {command} >/dev/full")
    assert (full.returncode, full.stderr) == (3, f"error: stdout cannot be written: {FULL}\n")
    assert shell(there, f"batchgen {command} >&-").returncode == 0, "nobody wants to read it"
    assert shell(there, f"batchgen {command} | head -1").returncode == 0
    assert shell(there, f"batchgen {command} | true").returncode == 0
    assert shell(there, f"batchgen {command} 2>&-").stdout != ""


def test_files_are_the_work_of_an_export(there):
    ended = shell(there, "batchgen export runs/inherited csv table >/dev/full")
    assert (ended.returncode, ended.stderr) == (0, NOTE)
    assert len((there.path / "table/jobs.csv").read_text().splitlines()) == 4


def unread(pipe):
    """How many bytes wait in a pipe."""
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0]


def test_a_stream_that_does_not_block_gets_everything(there):
    """Node and some terminals leave it so; what is larger than a pipe would be cut short."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    with there.start("schema", stdout=writing) as running:
        os.close(writing)
        until(lambda: unread(reading) >= 4096)
        with os.fdopen(reading, encoding="utf-8") as pipe:
            text = pipe.read()
        assert running.end().code == 0
    assert text == there.inside("schema").out
    assert len(text) > 10_000


def open_files(running):
    """Where the standard descriptors of a process lead."""
    return [str(Path(f"/proc/{running.pid}/fd/{number}").readlink()) for number in range(3)]


def test_a_closed_descriptor_is_never_that_of_the_record(place, simulate):
    service = simulate(latency_s=1.0)
    there = place.at(service)
    closed = ("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh")
    with there.start("run", there.manifest(1), prefix=closed) as running:
        until(service.bills)
        assert open_files(running) == ["/dev/null"] * 3
        assert running.end().code == 0


@pytest.mark.parametrize("names", ["HUP INT", pytest.param("TERM", marks=HUNT)])
def test_a_signal_that_is_ignored_at_the_start_stays_so(place, simulate, names):
    """`nohup`, `trap '' HUP`, a shell's `&`: before the run listens, while it does, at its end."""
    service = simulate(latency_s=1.5)
    there = place.at(service)
    ignoring = ("sh", "-c", f'trap "" {names}; exec "$@"', "sh")
    with there.start("run", there.manifest(2), prefix=ignoring) as running:
        until(lambda: len(service.bills()) == 2)
        for name in names.split():
            running.send(signal.Signals[f"SIG{name}"])
        ended = running.end()
    assert (ended.code, ended.err) == (0, "")


@pytest.mark.parametrize(
    "command", ["serve runs/inherited --port 0", pytest.param("simulator --port 0", marks=HUNT)]
)
def test_servers_ignore_it_too(there, command):
    ignoring = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")
    with there.start(*command.split(), prefix=ignoring) as running:
        assert running.process.stdout.readline()
        running.send(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            running.process.wait(0.3)
        running.send(signal.SIGTERM)
        assert running.end().code == 0


def test_ten_seconds_are_enough_for_a_stop_while_a_post_hangs(place, simulate):
    """`docker stop`: SIGTERM, and SIGKILL ten seconds later."""
    service = simulate()
    service.fail({"where": "sync", "kind": "stall"})
    there = place.at(service)
    manifest = there.manifest(2)
    with there.start("run", manifest) as running:
        until(lambda: len(service.bills()) == 2)
        running.send(signal.SIGTERM)
        ended = running.end(timeout=9.5)
    assert ended.code == 143
    assert "2 submit(s) without an answer" in ended.err
    status = there.inside("status", "runs/batch", "--json").json
    assert status["counts"]["ambiguous"] == 2
    service.fail()
    again = there.inside("run", manifest)
    assert again.code == 0, again.text
    assert len(service.bills()) == 2


_SLOW_NAMES = """
import pathlib, socket, time
resolve = socket.getaddrinfo
def slowly(host, *rest, **named):
    if "invalid" in str(host):
        pathlib.Path("asked").touch()
        time.sleep(60)
    return resolve(host, *rest, **named)
socket.getaddrinfo = slowly
"""


def test_and_while_a_name_server_does_not_answer(place):
    """Python waits for its threads at the end, and this one cannot be cut off."""
    place.write("path/sitecustomize.py", _SLOW_NAMES)
    hosts = {"SEGMIND_BASE_URL": "https://segmind.invalid", "PYTHONPATH": str(place.path / "path")}
    there = Place(place.path, place.env | {"SEGMIND_API_KEY": KEY} | hosts)
    with there.start("run", there.manifest(1)) as running:
        until((place.path / "asked").exists)
        running.send(signal.SIGTERM)
        ended = running.end(timeout=9.5)
    assert ended.code == 143
    assert "1 pending" in ended.out
    assert "resume: batchgen run" in ended.err


SOCKS = "socks5h://127.0.0.1:1080"


@pytest.mark.parametrize(
    "proxies",
    [
        {"ALL_PROXY": SOCKS},
        {"all_proxy": SOCKS, "no_proxy": "api.segmind.com"},
        {"HTTPS_PROXY": SOCKS, "NO_PROXY": ".segmind.com"},
        {"HTTPS_PROXY": "http://proxy:99999"},
    ],
    ids=str,
)
def test_a_proxy_that_cannot_be_used_is_refused_before_anything_is_done(place, proxies):
    refused = refused_by(place, "run", proxies)
    assert "_PROXY names the proxy for" in refused
    assert "export HTTPS_PROXY=http://proxy:port, or NO_PROXY=" in refused


def refused_by(place, command, env):
    """What is said of an environment in which nothing is begun."""
    manifest = place.manifest(1)
    there = Place(place.path, place.env | {"SEGMIND_API_KEY": KEY} | env)
    ended = there.inside(command, manifest)
    assert ended.code == 2
    assert ended.err.startswith("error: ")
    assert ended.out == ""
    assert not (place.path / "runs").exists()
    return ended.err


@pytest.mark.parametrize("command", ["run", "plan"])
@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"ALL_PROXY": SOCKS}, "ALL_PROXY names the proxy"),
        ({"SSL_CERT_FILE": "gone.pem"}, "SSL_CERT_FILE names the certificates to trust, gone.pem"),
        ({"SEGMIND_BASE_URL": "http://[::1"}, "set SEGMIND_BASE_URL to an origin such as"),
        ({"SEGMIND_BASE_URL": "https://me:x@h"}, "set SEGMIND_BASE_URL to an origin such as"),
    ],
    ids=str,
)
def test_what_no_run_could_use_is_refused_by_run_and_plan(place, command, env, said):
    """Before the run directory is bound to a service that cannot be reached."""
    assert said in refused_by(place, command, env)


def test_a_plan_needs_no_way_to_a_service_that_is_rehearsed(place):
    there = Place(place.path, place.env | {"ALL_PROXY": SOCKS})
    manifest = there.manifest(1)
    assert there.inside("run", manifest, "--simulate").code == 0
    assert there.inside("plan", manifest).code == 0


def test_this_machine_needs_no_proxy(place, service):
    there = place.at(service, ALL_PROXY=SOCKS)
    assert there.inside("run", there.manifest(1, name="near")).code == 0
    assert place.inside("run", place.manifest(1, name="far"), "--simulate").code == 0


def network_lines(place, **env):
    """What the doctor says of the ways to the hosts."""
    there = Place(place.path, place.env | {"SEGMIND_API_KEY": KEY} | env)
    checks = there.inside("doctor", "--json").json["checks"]
    return [
        (line["level"], line["what"]) for line in checks if line["name"] in {"network", "files"}
    ]


def test_the_doctor_says_which_way_leads_where(place):
    hosts = {"SEGMIND_BASE_URL": "https://segmind.invalid"}
    told = network_lines(place, ALL_PROXY=SOCKS, NO_PROXY="elsewhere.invalid", **hosts)
    assert [level for level, _ in told] == ["fail", "fail"]
    assert "ALL_PROXY names the proxy for segmind.invalid" in told[0][1]
    assert "ALL_PROXY names the proxy for files" in told[1][1]
    told = network_lines(place, HTTPS_PROXY="http://me:secret@127.0.0.1:1", **hosts)
    assert "segmind.invalid through the proxy 127.0.0.1:1" in told[0][1]
    assert told[1] == ("ok", "come through the proxy 127.0.0.1:1, but for hosts of NO_PROXY")
