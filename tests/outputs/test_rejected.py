"""Answers that were paid for and brought no files are kept as they came."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from batchgen.outputs.rejected import keep_answer
from batchgen.ports import SaveError, SaveFault

NOTHING = b'{"status": "COMPLETED", "output": null}'


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "run" / "rejected"


def kept(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_an_answer_is_kept_under_the_name_of_its_job(folder):
    keep_answer(folder, "cups/a", NOTHING)
    keep_answer(folder, "cups/a", NOTHING)
    keep_answer(folder, "cups/a", b"flagged")
    keep_answer(folder, "cups/a", b'{"error": "flagged"}')

    assert kept(folder) == {
        "cups/a.json": NOTHING,
        "cups/a.txt": b"flagged",
        "cups/a~other-2.json": b'{"error": "flagged"}',
    }


def test_a_file_in_the_place_of_the_folder_is_the_owners_matter(folder):
    folder.parent.mkdir()
    folder.write_bytes(b"")

    with pytest.raises(SaveError, match="Not a directory"):
        keep_answer(folder, "a", NOTHING)


@pytest.mark.parametrize("stems", ["{}", "{}/a"])
def test_jobs_with_equal_answers_do_not_meet(folder, stems):
    """Of a model that makes nothing all answers come at once, with the same words, and the folder
    is not there yet."""
    count = 8
    answer = b'{"output": null}' + b" " * 200_000
    for round_number in range(4):
        place, at_once = folder / str(round_number), Barrier(count)

        def keep(number, place=place, at_once=at_once):
            at_once.wait()
            keep_answer(place, stems.format(f"job-{number}"), answer)

        with ThreadPoolExecutor(count) as threads:
            list(threads.map(keep, range(count)))

        names = {stems.format(f"job-{number}") + ".json" for number in range(count)}
        assert kept(place) == dict.fromkeys(names, answer)


def test_a_link_in_the_way_is_not_followed(folder, tmp_path):
    keep_answer(folder, "a", NOTHING)
    (tmp_path / "elsewhere").mkdir()
    (folder / "b").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(SaveError) as refused:
        keep_answer(folder, "b/c", NOTHING)

    assert refused.value.fault is SaveFault.DISK_BROKEN
    assert list((tmp_path / "elsewhere").iterdir()) == []
