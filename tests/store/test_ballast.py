"""The reserve on the disk: an acknowledgement is recorded even when somebody filled the disk."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress

import pytest

from batchgen.core.jobs.events import EventKind as E
from batchgen.core.jobs.job import JobState as S
from batchgen.core.jobs.lifecycle import apply
from batchgen.errors import DiskFullError
from batchgen.store.ballast import BALLAST_BYTES, Ballast
from batchgen.store.sqlite.importer import import_jobs
from batchgen.store.sqlite.state import SqliteState
from tests.core.builders import event
from tests.store.builders import dump, spec

DISK_BYTES = 3 * BALLAST_BYTES
GROWTH = {"note": "x" * (BALLAST_BYTES // 4)}
"""Enough that the write-ahead log has to grow, and fits into what the ballast gives back."""


@pytest.fixture
def disk(tmp_path):
    """A small file system of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    options = f"size={DISK_BYTES},mode=0700"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)],
        check=False,
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        pytest.skip(f"no small file system can be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill(disk):
    """Somebody else takes all that is left."""
    with (disk / "filler").open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"x" * 65_536):
            pass
    assert os.statvfs(disk).f_bavail == 0


def intended(state, id_="a"):
    """The job of that id with its intent on record."""
    job = next(job for job in state.ledger.draw(0, 9) if job.id == id_)
    change = apply(job, event(E.INTENDED, job_key=job.key))
    state.ledger.record([change])
    return change.after


def acknowledged(job):
    return apply(job, event(E.ACKED, job_key=job.key, request_id=f"r-{job.key}"))


# ------------------------------------------------------------------ by itself


def test_it_takes_up_real_space_and_gives_it_back(tmp_path):
    ballast = Ballast(tmp_path / "ballast")

    assert ballast.lay()
    status = (tmp_path / "ballast").stat()
    assert (status.st_size, status.st_blocks * 512 >= BALLAST_BYTES) == (BALLAST_BYTES, True)
    assert status.st_mode & 0o777 == 0o600
    assert ballast.lay(), "laid already"

    assert ballast.drop()
    assert not (tmp_path / "ballast").exists()
    assert not ballast.drop(), "nothing left to give"


def test_a_part_of_it_is_made_whole(tmp_path):
    (tmp_path / "ballast").write_bytes(b"x" * 1000)

    assert Ballast(tmp_path / "ballast").lay()
    assert (tmp_path / "ballast").stat().st_size == BALLAST_BYTES


def test_where_it_cannot_be_laid_there_is_no_room(tmp_path):
    assert not Ballast(tmp_path / "no such directory" / "ballast").lay()


def test_on_a_full_disk_nothing_of_it_stays(disk):
    fill(disk)

    assert not Ballast(disk / "ballast").lay()
    assert not (disk / "ballast").exists()


# ------------------------------------------------------------------ under the state


async def test_an_acknowledgement_is_recorded_on_a_full_disk(disk):
    with SqliteState(disk / "state.db") as state:
        import_jobs(state.ledger, [spec("a")])
        job = intended(state)
        assert await state.has_room()
        fill(disk)

        await state.record([acknowledged(job)], GROWTH)

        assert not await state.has_room(), "the reserve is spent"
        assert [kept.request_id for kept in await state.active()] == [f"r-{job.key}"]

    with SqliteState(disk / "state.db") as state:
        assert [kept.state for kept in await state.active()] == [S.SUBMITTED]


async def test_the_reserve_is_laid_anew_when_there_is_room_again(disk):
    with SqliteState(disk / "state.db") as state:
        import_jobs(state.ledger, [spec("a")])
        job = intended(state)
        fill(disk)
        await state.record([acknowledged(job)], GROWTH)

        (disk / "filler").unlink()

        assert await state.has_room()
        assert (disk / "ballast").stat().st_size == BALLAST_BYTES


async def test_when_the_reserve_is_spent_too_the_disk_is_told_and_nothing_is_half_written(disk):
    with SqliteState(disk / "state.db") as state:
        import_jobs(state.ledger, [spec("a"), spec("b")])
        first, second = intended(state, "a"), intended(state, "b")
        fill(disk)
        await state.record([acknowledged(first)], GROWTH)
        with (disk / "filler").open("ab", buffering=0) as file, suppress(OSError):
            while file.write(b"x" * 4096):
                pass
        attempts = dump(state.ledger, "attempts")

        with pytest.raises(DiskFullError, match="full"):
            await state.record([acknowledged(second)], {"other": GROWTH["note"]})

        assert dump(state.ledger, "attempts") == attempts
        (disk / "filler").unlink()
        await state.record([acknowledged(second)])
        assert {kept.state for kept in await state.active()} == {S.SUBMITTED}


async def test_a_clean_end_gives_the_space_back(tmp_path):
    with SqliteState(tmp_path / "state.db") as state:
        assert await state.has_room()

    assert not (tmp_path / "ballast").exists()
