"""Signals that come before a command has begun: one line, its exit code, and nothing done."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.processes import IMAGE, KEY, Place, until

OFFSETS_S = (0.0, 0.03, 0.08, 0.15, 0.3)
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 143}


def listens(running):
    """Whether our handlers stand: SIGTERM is caught, which Python alone does not do."""
    status = Path(f"/proc/{running.pid}/status").read_text(encoding="ascii")
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return int(caught, 16) & 1 << signal.SIGTERM - 1


def signalled(running, number, offset_s):
    """Send it so long after the handlers stand."""
    until(lambda: listens(running))
    with pytest.raises(subprocess.TimeoutExpired):
        running.process.wait(offset_s)
    running.send(number)
    return running.end()


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    """A place with a manifest that takes seconds to expand, and no service."""
    place = Place(tmp_path_factory.mktemp("startup"))
    place.env.update(SEGMIND_API_KEY=KEY, SEGMIND_BASE_URL="http://127.0.0.1:9")
    for name, seed_count in (("batch.yaml", 100_000), ("smaller.yaml", 10_000)):
        entry = {
            "model": "flux-kontext-dev",
            "matrix": {"seed": list(range(seed_count))},
            "params": {"prompt": "a cup", "seed": "{seed}", **IMAGE},
        }
        place.write(name, json.dumps({"version": 1, "name": "batch", "jobs": [entry]}))
    return place


def as_on_windows(program):
    """Run Python without what Windows lacks, and with its name."""
    there = "import signal, sys; sys.platform = 'win32'; del signal.SIGHUP\n"
    there += "sys.modules['fcntl'] = sys.modules['resource'] = None\n"
    return subprocess.run(
        [sys.executable, "-c", there + program],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_on_windows_it_says_what_it_needs():
    ended = as_on_windows("from batchgen.__main__ import main; main()")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "error: batchgen needs Linux, macOS or WSL 2; on Windows, run it in WSL 2\n"
    )
    ended = as_on_windows("import batchgen; batchgen.run")
    assert ended.stderr.splitlines()[-1].startswith("ImportError: batchgen needs Linux")


@pytest.mark.parametrize("offset_s", OFFSETS_S)
def test_ctrl_c_while_it_starts(there, offset_s):
    with there.start("plan", "batch.yaml") as running:
        ended = signalled(running, signal.SIGINT, offset_s)
    assert (ended.code, ended.out) == (130, "")
    assert ended.err == "stopped by SIGINT; nothing was submitted\n"


@pytest.mark.parametrize(("number", "code"), CODES.items(), ids=str)
def test_a_run_that_has_not_begun_leaves_nothing(there, number, code):
    with there.start("run", "batch.yaml") as running:
        ended = signalled(running, number, 0.0)
    assert (ended.code, ended.out) == (code, "")
    assert ended.err == f"stopped by {number.name}; nothing was submitted\n"
    assert not (there.path / "runs").exists()


def test_ctrl_c_while_the_jobs_are_written_down(there):
    directory = there.path / "half"
    with there.start("run", "smaller.yaml", "--run-dir", "half") as running:
        until((directory / "state.db-wal").exists)
        running.send(signal.SIGINT)
        ended = running.end()
    assert ended.code == 130
    assert len(ended.err.split("\n")) <= 3
    assert ended.err.strip().startswith("stopped by SIGINT; ")
    assert not (directory / "outputs/metadata.jsonl").exists()


def test_what_the_parent_ignores_stays_ignored(there):
    """`nohup`: the hang-up is not for us."""
    ignoring = ("sh", "-c", 'trap "" HUP; exec "$@"', "sh")
    with there.start("plan", "batch.yaml", prefix=ignoring) as running:
        until(lambda: listens(running))
        running.send(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            running.process.wait(0.1)
        running.send(signal.SIGTERM)
        assert running.end().code == 143
