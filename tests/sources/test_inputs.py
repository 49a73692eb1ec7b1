"""Local files on a real disk: looked at, known again without being read, and proved before use."""

import base64
import hashlib
import os
from dataclasses import replace
from functools import partial

import pytest

from batchgen.core.jobs.events import EventKind as E
from batchgen.core.jobs.placeholders import MAX_INPUT_BYTES, Content, Uploaded
from batchgen.core.jobs.spec import InputFile, JobSpec
from batchgen.core.manifest.expansion.input_files import InputError
from batchgen.ports import InputLostError
from batchgen.providers.segmind.simulator.media.tiny import tiny_mp4
from batchgen.sources.input_files import FileInputs, InputReader
from batchgen.store.sqlite.importer import import_jobs
from batchgen.store.sqlite.inputs import KnownInputs, open_known_inputs
from batchgen.store.sqlite.ledger import Ledger
from batchgen.store.sqlite.schema import connect
from tests.core.builders import NOW, PNG
from tests.store.builders import dump, ledger_at, live, load

PATH = "photos/cup.png"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / PATH).write_bytes(PNG)
    return tmp_path


@pytest.fixture
def ledger(tmp_path):
    made = Ledger(connect(tmp_path / "state.db", create=True))
    yield made
    made.connection.close()


@pytest.fixture
def look(folder):
    """Looks with the state's knowledge; a new process every time."""
    made = []

    def look_at(path=PATH, **options):
        made.append(FileInputs(folder, partial(open_known_inputs, folder / "state.db"), **options))
        return made[-1].look(path)

    yield look_at
    for inputs in made:
        inputs.release()


def spec_of(*files, id_="job-1"):
    names = ", ".join(f'"{Content(file.sha256, file.size).placeholder}"' for file in files)
    return JobSpec(id_, "flux-pro", f'{{"images":[{names}]}}', id_, inputs=files)


def uploaded(file, url="https://x/a.png"):
    return Uploaded(Content(file.sha256, file.size), url, NOW, file.path)


def test_a_file_is_known_by_its_content(folder):
    found = FileInputs(folder).look(PATH)

    assert found.path == PATH
    assert found.size == len(PNG)
    assert found.media_type == "image/png"
    assert found.sha256 == hashlib.sha256(PNG).hexdigest()
    assert FileInputs(folder).look(str(folder / PATH)).sha256 == found.sha256


def write(folder, data):
    (folder / PATH).write_bytes(data)


def remove(folder):
    (folder / PATH).unlink()


def sparse(folder):
    write(folder, PNG)
    os.truncate(folder / PATH, MAX_INPUT_BYTES + 1)


@pytest.mark.parametrize(
    ("prepare", "path", "what"),
    [
        (remove, PATH, "there is no file"),
        (None, "photos", "not a regular file"),
        (None, "a\0b", "cannot be read"),
        (lambda folder: write(folder, b""), PATH, "is empty"),
        (lambda folder: write(folder, b"<html>oops"), PATH, "no picture"),
        (lambda folder: write(folder, b"just words"), PATH, "no picture"),
        (sparse, PATH, "32.0 MiB"),
    ],
    ids=["gone", "folder", "nul", "empty", "html", "text", "large"],
)
def test_what_cannot_be_an_input_is_told_with_a_remedy(folder, prepare, path, what):
    if prepare:
        prepare(folder)

    with pytest.raises(InputError) as caught:
        FileInputs(folder).look(path)

    assert what in caught.value.what
    assert caught.value.remedy
    assert path.split("/")[-1] not in caught.value.remedy


CUT = {
    "png": PNG[:-8],
    "jpg": b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(400),
    "webp": b"RIFF\xff\xff\0\0WEBPVP8 " + bytes(400),
    "mp4": tiny_mp4("cut")[:-1],
    "wav": b"RIFF\xff\xff\0\0WAVEfmt " + bytes(400),
}


@pytest.mark.parametrize("data", CUT.values(), ids=CUT)
@pytest.mark.parametrize("lazily", [True, False])
def test_a_file_that_ends_early_is_refused_wherever_it_is_looked_at(folder, lazily, data):
    write(folder, data)

    with pytest.raises(InputError) as caught:
        FileInputs(folder, lazily=lazily).look(PATH)

    assert caught.value.what == f'"{PATH}" is cut: by its own structure it ends early'
    assert "copy it again" in caught.value.remedy


@pytest.mark.parametrize("more", [b"\0" * 9, b"notes of a camera"])
def test_what_stands_behind_the_end_of_a_whole_file_is_no_fault(folder, more):
    write(folder, PNG + more)

    assert FileInputs(folder).look(PATH).media_type == "image/png"


def test_a_binary_stl_is_told_by_its_length(folder):
    write(folder, bytes(80) + b"\x01\0\0\0" + bytes(50))

    assert FileInputs(folder).look(PATH).media_type == "model/stl"


def unread(folder):
    """Make any read of the file show: other bytes under the same stamp, as far as we can set it."""
    before = (folder / PATH).stat()
    write(folder, PNG[:-1] + b"x")
    os.utime(folder / PATH, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_file_the_state_knows_is_not_read_again(ledger, look):
    other = replace(look(), sha256="0" * 64)
    import_jobs(ledger, [spec_of(other)])

    assert look() == other


def test_a_file_that_was_written_over_is_read_again(folder, ledger, look):
    found = look()
    import_jobs(ledger, [spec_of(found)])
    unread(folder)

    assert look().sha256 != found.sha256


def test_a_file_that_is_gone_is_needed_no_more_once_it_is_uploaded(folder, ledger, look):
    found = look()
    import_jobs(ledger, [spec_of(found)])
    remove(folder)
    with pytest.raises(InputError):
        look()

    ledger.record((), {}, [uploaded(found)])

    assert look() == found


def test_a_plan_reads_only_what_the_state_might_know(folder, ledger, look):
    real = look()
    guessed = look(lazily=True)
    assert guessed.size == real.size
    assert guessed.sha256 != real.sha256
    assert look(lazily=True) == guessed

    import_jobs(ledger, [spec_of(real)])
    os.utime(folder / PATH, ns=(1, 1))
    assert look(lazily=True).sha256 == real.sha256


@pytest.mark.parametrize(
    ("change", "uploaded_", "same"),
    [
        (None, False, True),
        (remove, False, False),
        (remove, True, True),
        (unread, True, False),
        (lambda folder: os.utime(folder / PATH, ns=(1, 1)), True, False),
    ],
)
def test_whether_a_file_is_as_before(folder, change, uploaded_, same):
    inputs = FileInputs(folder)
    found = inputs.look(PATH)
    if change:
        change(folder)
    assert inputs.is_as_before(found, uploaded=uploaded_) is same


async def test_a_whole_file_is_read_for_its_upload(folder):
    found = FileInputs(folder).look(PATH)
    assert base64.b64decode(await InputReader(folder).encoded(found)) == PNG


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (remove, "not there any more"),
        (unread, "was changed"),
        (lambda folder: write(folder, PNG + b"x"), "was changed"),
    ],
)
async def test_a_file_that_is_not_what_it_was_is_not_uploaded(folder, change, what):
    found = FileInputs(folder).look(PATH)
    change(folder)
    with pytest.raises(InputLostError, match=what):
        await InputReader(folder).encoded(found)


async def test_a_cut_file_that_an_earlier_version_took_is_not_uploaded(folder):
    write(folder, CUT["png"])
    digest = hashlib.sha256(CUT["png"]).hexdigest()
    known = InputFile(PATH, len(CUT["png"]), "image/png", digest, "stamp")

    with pytest.raises(InputLostError, match=rf'"{PATH}" is cut.*run again'):
        await InputReader(folder).encoded(known)


# ------------------------------------------------------------------ in the state


def test_jobs_come_with_the_addresses_that_are_recorded(ledger, look):
    found = look()
    import_jobs(ledger, [spec_of(found)])
    (before,) = ledger.draw(0, 9)
    assert Content(found.sha256, found.size).placeholder in before.body
    assert ledger.input_files(Content(found.sha256, found.size)) == [found]

    ledger.record((), {}, [uploaded(found)])

    (after,) = ledger.draw(0, 9)
    assert after.body == '{"images":["https://x/a.png"]}'


def test_an_address_is_for_good(ledger, look):
    found = look()
    ledger.record((), {}, [uploaded(found)])
    for statement in ("UPDATE uploads SET url = 'https://y'", "DELETE FROM uploads"):
        with pytest.raises(Exception, match=r"address|name it"):
            ledger.connection.execute(statement)
    with pytest.raises(Exception, match="UNIQUE"):
        ledger.record((), {}, [uploaded(found, "https://y")])


def test_files_that_the_manifest_names_no_more_are_forgotten(folder, ledger, look):
    first = look()
    (folder / "other.png").write_bytes(PNG + b"\0")
    second = look("other.png")
    import_jobs(ledger, [spec_of(first), spec_of(second, id_="job-2")])
    known = KnownInputs(ledger.connection)
    assert [file for file, _ in known.all()] == [second, first]

    import_jobs(ledger, [spec_of(second, id_="job-2")])

    assert [file for file, _ in known.all()] == [second]


def test_a_state_is_looked_at_without_a_trace(folder, ledger, look):
    import_jobs(ledger, [spec_of(look())])
    ledger.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    ledger.connection.close()
    before = sorted(folder.iterdir())

    known = open_known_inputs(folder / "state.db")

    assert known.of(PATH).path == PATH
    known.close()
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("content", [None, b"", b"not a database at all" * 10])
def test_a_state_that_is_none_knows_nothing(tmp_path, content):
    path = tmp_path / "state.db"
    if content is not None:
        path.write_bytes(content)
    assert open_known_inputs(path) is None


def test_a_job_that_ends_over_its_file_keeps_what_an_earlier_attempt_may_have_cost(tmp_path):
    """Edited after it was given up as unknown: the new file is gone, the old bill may come."""
    ledger = ledger_at(tmp_path / "money.db", "a")
    unknown = live(ledger, load(ledger, "a"), E.INTENDED, E.UNCLEAR, E.SET_ASIDE)
    pending = live(ledger, unknown, E.RETRIED, at=NOW + 10)
    assert ledger.totals().reserved_usd == pytest.approx(0.1)

    ended = live(ledger, pending, E.NO_INPUT, at=NOW + 20, reason="photos/cup.png is gone")

    assert ended.state == "failed"
    assert ledger.totals().reserved_usd == pytest.approx(0.1)
    assert [row["reason"] for row in dump(ledger, "attempts")] != ["photos/cup.png is gone"]
    ledger.connection.close()
