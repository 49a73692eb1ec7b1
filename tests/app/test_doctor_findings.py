"""What the doctor makes of what it saw."""

import pytest

from batchgen.app.doctor import findings
from batchgen.app.doctor.findings import Diagnosis, Level, exit_code_of
from tests.core.builders import answer

OK, WARN, FAIL = Level.OK, Level.WARN, Level.FAIL
GIB = 2**30


@pytest.mark.parametrize(
    ("made", "level", "word"),
    [
        (findings.key_shape("K", "SG_00c0ffee00c0ffee"), OK, "usual"),
        (findings.key_shape("K", "SG_00c0ffee00c0ffe"), WARN, "18 characters"),
        (findings.key_shape("K", "Bearer x"), WARN, "8 characters"),
        (findings.key_shape("K", ""), FAIL, "K is not set: rehearse with --simulate"),
        (findings.answered(answer({"credits": 1})), OK, "accepted"),
        (findings.answered(answer({"error": "no such key"}, 401)), FAIL, "refused (HTTP 401: no"),
        (findings.answered(answer({}, 403)), FAIL, "HTTP 403"),
        (findings.answered(answer({}, 429)), WARN, "rate limited"),
        (findings.answered(answer({}, 502)), FAIL, "HTTP 502"),
        (findings.credits_left(3.0), OK, "$3.00"),
        (findings.credits_left(3.0, 2.5), OK, "reckoned at $2.50"),
        (findings.credits_left(3.0, 4.0), WARN, "reckoned at $4.00"),
        (findings.credits_left(0.0), FAIL, "empty"),
        (findings.credits_left(None), WARN, "did not say"),
        (findings.clock(0.0), OK, "agrees"),
        (findings.clock(29.0), OK, "agrees"),
        (findings.clock(125.0), WARN, "2 min 05 s behind"),
        (findings.clock(-125.0), WARN, "2 min 05 s ahead of"),
        (findings.clock(None), WARN, "did not tell"),
        (findings.space("runs", 10 * GIB, writable=True), OK, "10.7 GB free in runs"),
        (findings.space("runs", GIB, writable=True), WARN, "1.1 GB"),
        (findings.space("runs", 2**20, writable=True), FAIL, "1.0 MB"),
        (findings.space("runs", 10 * GIB, writable=False), FAIL, "cannot be written"),
        (findings.space("runs", None, writable=True), WARN, "not known"),
        (findings.file_system("runs", "ext4"), OK, "ext4"),
        (findings.file_system("runs", "nfs4"), WARN, "nfs4"),
        (findings.file_system("runs", "fuse.sshfs"), WARN, "locks"),
        (findings.file_system("runs", "tmpfs"), WARN, "restart"),
        (findings.open_files(255), WARN, "255"),
        (findings.open_files(1024), OK, "1,024"),
        (findings.open_files(-1), OK, "no limit"),
        (
            findings.optional_libraries({"a": True, "b": False}),
            OK,
            "installed: a; not installed: b",
        ),
    ],
)
def test_every_observation_has_a_level_and_a_way_out(made, level, word):
    assert (made.level, word in made.what) == (level, True), made
    assert made.remedy or level is OK or word == "not known"


def test_an_unknown_file_system_is_not_told():
    assert findings.file_system("runs", "") is None


@pytest.mark.parametrize(("levels", "code"), [((), 0), ((OK, WARN), 0), ((WARN, FAIL, OK), 1)])
def test_only_what_fails_counts(levels, code):
    assert exit_code_of(Diagnosis("x", level, "y") for level in levels) == code


def test_a_clock_that_was_not_compared_is_compared_by_hand():
    assert findings.clock(None).remedy == "compare the clock by hand: date -u"
