"""One owner per run directory, proved with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from batchgen.errors import RunLockedError
from batchgen.store.sqlite.lock import RunLock
from batchgen.store.sqlite.state import SqliteState
from tests.cli.disks import small_disk

HOLD = """
import sys
from pathlib import Path
from batchgen.store.sqlite.lock import RunLock
with RunLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""
TRY = """
import sys
from pathlib import Path
from batchgen.store.sqlite.lock import RunLock
from batchgen.errors import RunLockedError
try:
    with RunLock(Path(sys.argv[1])):
        print("taken")
except RunLockedError as error:
    print(error)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.lock"


@pytest.fixture
def holder(path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def attempt(path):
    done = subprocess.run(
        [sys.executable, "-c", TRY, str(path)], capture_output=True, timeout=60, check=True
    )
    return done.stdout.decode().strip()


def test_a_second_process_is_refused_with_the_pid_of_the_first(path):
    with RunLock(path):
        told = attempt(path)

    assert f"in use by process {os.getpid()};" in told
    assert str(path.parent) in told


def test_we_are_refused_while_another_process_holds_it(path, holder):
    with pytest.raises(RunLockedError, match=f"process {holder.pid};"):
        RunLock(path).__enter__()


def test_the_kernel_lets_go_when_the_holder_is_killed(path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait(60)

    with RunLock(path):
        assert path.read_text() == f"{os.getpid()}\n"


def test_it_is_free_again_after_a_clean_end(path):
    with RunLock(path):
        pass

    assert attempt(path) == "taken"
    assert path.exists(), "removing it could unlock a second holder's path"


def test_two_locks_in_one_process_exclude_each_other(path):
    with RunLock(path), pytest.raises(RunLockedError, match=str(os.getpid())):
        RunLock(path).__enter__()


def test_a_child_does_not_inherit_it(path):
    with RunLock(path):
        child = subprocess.Popen(
            [sys.executable, "-c", "import sys; print('up', flush=True); sys.stdin.read()"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False,
        )  # fmt: skip
        assert child.stdout.readline() == b"up\n"

    with child:
        assert attempt(path) == "taken", "the child keeps the run locked"
        child.kill()


def test_an_empty_lock_file_of_a_holder_that_has_not_signed_yet(path):
    with RunLock(path):
        path.write_bytes(b"")

        assert "process unknown;" in attempt(path)


def test_a_state_is_locked_while_it_is_open_and_free_when_it_cannot_be_opened(tmp_path):
    state = tmp_path / "state.db"
    with SqliteState(state), pytest.raises(RunLockedError):
        SqliteState(state).__enter__()

    state.write_bytes(b"not a database" * 100)
    with pytest.raises(Exception, match="not a SQLite file"):
        SqliteState(state).__enter__()
    with RunLock(tmp_path / "run.lock"):
        pass


@pytest.mark.parametrize("died", [True, False])
def test_a_full_disk_takes_no_mark_away_and_leaves_no_lock(tmp_path, died):
    with small_disk(tmp_path / "small", 100_000) as disk:
        path = disk / "run.lock"
        first = RunLock(path).__enter__()
        first.mark_recording()
        first.__exit__(KeyError if died else None, None, None)
        with pytest.raises(OSError, match="No space left"):
            (disk / "fill").write_bytes(bytes(200_000))
        second = RunLock(path)
        if died:
            # There is room where the mark stands.
            with second:
                assert second.was_recording
        else:
            with pytest.raises(OSError, match="No space left"):
                second.__enter__()
        (disk / "fill").unlink()
        with RunLock(path) as third:
            assert not third.was_recording
