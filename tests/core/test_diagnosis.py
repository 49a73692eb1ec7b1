"""What the doctor makes of what it saw."""

import pytest

from batchgen.core import diagnosis
from batchgen.core.diagnosis import Diagnosis, Level, exit_code_of
from tests.core.builders import answer

OK, WARN, FAIL = Level.OK, Level.WARN, Level.FAIL
GIB = 2**30


@pytest.mark.parametrize(
    ("made", "level", "word"),
    [
        (diagnosis.key_shape("SG_00c0ffee00c0ffee"), OK, "usual"),
        (diagnosis.key_shape("SG_00c0ffee00c0ffe"), WARN, "18 characters"),
        (diagnosis.key_shape("Bearer x"), WARN, "8 characters"),
        (diagnosis.key_missing("K"), FAIL, "K is not set: rehearse with --simulate"),
        (diagnosis.answered(answer({"credits": 1})), OK, "accepted"),
        (diagnosis.answered(answer({"error": "no such key"}, 401)), FAIL, "refused (HTTP 401: no"),
        (diagnosis.answered(answer({}, 403)), FAIL, "HTTP 403"),
        (diagnosis.answered(answer({}, 429)), WARN, "rate limited"),
        (diagnosis.answered(answer({}, 502)), FAIL, "HTTP 502"),
        (diagnosis.credits_left(3.0), OK, "$3.00"),
        (diagnosis.credits_left(3.0, 2.5), OK, "reckoned at $2.50"),
        (diagnosis.credits_left(3.0, 4.0), WARN, "reckoned at $4.00"),
        (diagnosis.credits_left(0.0), FAIL, "empty"),
        (diagnosis.credits_left(None), WARN, "did not say"),
        (diagnosis.clock(0.0), OK, "agrees"),
        (diagnosis.clock(29.0), OK, "agrees"),
        (diagnosis.clock(125.0), WARN, "2 min 05 s behind"),
        (diagnosis.clock(-125.0), WARN, "2 min 05 s ahead of"),
        (diagnosis.clock(None), WARN, "did not tell"),
        (diagnosis.space("runs", 10 * GIB, writable=True), OK, "10.7 GB free in runs"),
        (diagnosis.space("runs", GIB, writable=True), WARN, "1.1 GB"),
        (diagnosis.space("runs", 2**20, writable=True), FAIL, "1.0 MB"),
        (diagnosis.space("runs", 10 * GIB, writable=False), FAIL, "cannot be written"),
        (diagnosis.space("runs", None, writable=True), WARN, "not known"),
        (diagnosis.file_system("runs", "ext4"), OK, "ext4"),
        (diagnosis.file_system("runs", "nfs4"), WARN, "nfs4"),
        (diagnosis.file_system("runs", "fuse.sshfs"), WARN, "locks"),
        (diagnosis.file_system("runs", "tmpfs"), WARN, "restart"),
        (diagnosis.open_files(255), WARN, "255"),
        (diagnosis.open_files(1024), OK, "1,024"),
        (diagnosis.open_files(-1), OK, "no limit"),
        (
            diagnosis.optional_libraries({"a": True, "b": False}),
            OK,
            "installed: a; not installed: b",
        ),
    ],
)
def test_every_observation_has_a_level_and_a_way_out(made, level, word):
    assert (made.level, word in made.what) == (level, True), made
    assert made.remedy or level is OK or word == "not known"


def test_an_unknown_file_system_is_not_told():
    assert diagnosis.file_system("runs", "") is None


@pytest.mark.parametrize(("levels", "code"), [((), 0), ((OK, WARN), 0), ((WARN, FAIL, OK), 1)])
def test_only_what_fails_counts(levels, code):
    assert exit_code_of(Diagnosis("x", level, "y") for level in levels) == code


def test_no_line_tells_the_key():
    assert all("c0ffee" not in str(made) for made in (diagnosis.key_shape("SG_c0ffee"),))
