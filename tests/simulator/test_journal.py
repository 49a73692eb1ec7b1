"""The journal: jobs survive the simulator's end."""

import os
from contextlib import contextmanager
from pathlib import Path

import pytest

from batchgen.errors import StateError
from batchgen.providers.segmind.simulator.http.server import serve
from tests.simulator.http_callers import SUBMIT, client, config


async def test_a_journal_brings_accepted_jobs_back(tmp_path):
    journal = tmp_path / "deep" / "journal.jsonl"
    made = []
    for _ in range(2):
        async with serve(config(), journal=journal) as running, client(running) as call:
            for number in range(3):
                _, body = await call("POST", SUBMIT, json={"prompt": str(number)})
                made.append(body["request_id"])
            for request_id in made:
                assert (await call("GET", f"/v2/requests/{request_id}"))[0] == 200
    assert len(set(made)) == 6
    assert len(journal.read_text().splitlines()) == 6
    with journal.open("a") as file:
        file.write('{"request_id": "half a li')
    async with serve(config(), journal=journal) as running:
        assert [bill.request_id for bill in running.service.ledger.bills] == made
    assert len(journal.read_text().splitlines()) == 6


async def test_a_journal_is_written_before_the_answer(tmp_path):
    journal = tmp_path / "journal.jsonl"
    async with serve(config(), journal=journal) as running, client(running) as call:
        for count in range(1, 4):
            await call("POST", SUBMIT, json={"prompt": "x"})
            assert len(journal.read_text().splitlines()) == count


@pytest.mark.parametrize("text", ["nonsense\n", "[1]\n", '{"a": 1}\n', "7\n"])
async def test_a_file_that_is_no_journal_is_refused(tmp_path, text):
    journal = tmp_path / "journal.jsonl"
    journal.write_text(text)
    with pytest.raises(StateError, match=r"journal\.jsonl: the simulator's journal"):
        async with serve(config(), journal=journal):
            pass
    assert journal.read_text() == text


async def test_what_the_system_refuses_is_told_in_its_words(tmp_path):
    """Not as Python shows an error, with its number."""
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match=r"cannot be used: (Not a directory|File exists)"):
        async with serve(config(), journal=tmp_path / "file" / "journal.jsonl"):
            pass


async def test_a_device_is_no_journal():
    with pytest.raises(StateError, match="not a regular file"):
        async with serve(config(), journal=Path("/dev/zero")):
            pass


async def test_a_journal_that_cannot_be_written_is_a_503_until_it_can(tmp_path):
    journal = tmp_path / "journal.jsonl"
    async with serve(config(), journal=journal) as running, client(running) as call:
        with redirected(journal, "/dev/full"):
            status, body = await call("POST", SUBMIT, json={"prompt": "x"})
            assert (status, "cannot write its journal" in body["error"]) == (503, True)
        assert (await call("POST", SUBMIT, json={"prompt": "y"}))[0] == 200
    assert len(journal.read_text().splitlines()) == 2


@contextmanager
def redirected(path, elsewhere):
    """Let what this process has open at a path lead elsewhere for a while."""
    (number,) = [int(fd.name) for fd in Path("/proc/self/fd").iterdir() if fd.resolve() == path]
    kept, other = os.dup(number), os.open(elsewhere, os.O_WRONLY)
    os.dup2(other, number)
    yield
    os.dup2(kept, number)
    os.close(kept)
    os.close(other)
