"""Lines of a display: what is told of a run, and what of it fits."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.jobs.job import JobState as S
from batchgen.core.progress.snapshot import (
    RunSnapshot,
    Segment,
    budget_segments,
    end_segments,
    fitted,
    job_segments,
    one_line,
)

NOW = 1_000_000.0
COUNTS = {S.DONE: 380, S.SUBMITTED: 14, S.SUBMITTING: 2, S.FETCHING: 3, S.PENDING: 588, S.FAILED: 4}
FULL = RunSnapshot(
    at=NOW,
    counts={**COUNTS, S.UNKNOWN: 1, S.LOST: 2},
    spent_usd=3.2,
    reserved_usd=0.64,
    cap_usd=20.0,
    submits=12,
    polls=24,
    calls=48,
    allowed=50,
    eta_s=3900.0,
    deadline_at=NOW + 3000,
    bytes_per_s=1.24e6,
    uploading_count=2,
    uploaded_count=7,
    uploaded_bytes=8_100_000,
)


def clock(at):
    return f"+{at - NOW:.0f}"


def lines(snapshot, width):
    return [
        fitted(end_segments(snapshot), width),
        fitted(job_segments(snapshot), width),
        fitted(budget_segments(snapshot, clock), width),
    ]


LINES = {
    130: [
        "38 %, ETA 1 h 05 min",
        (
            "380 done, 16 running, 3 fetching, 588 queued, 4 failed, 1 unknown, 2 lost, "
            "1.2 MB/s, 2 uploading, 7 uploaded (8.1 MB)"
        ),
        (
            "$3.20 spent + $0.64 reserved of $20.00, 48/50 requests/min (12 submits + 24 polls), "
            "fetch by +3000"
        ),
    ],
    79: [
        "38 %, ETA 1 h 05 min",
        "380 done, 16 running, 3 fetching, 588 queued, 4 failed, 1 unknown, 2 lost",
        "$3.20 spent + $0.64 reserved of $20.00, 48/50 requests/min, fetch by +3000",
    ],
    39: [
        "38 %, ETA 1 h 05 min",
        "380 done, 4 failed, 1 unknown, 2 lost",
        "$3.20+$0.64/$20.00, 48/50 requests/min",
    ],
    16: ["38 %, 1 h 05 min", "380 done, 2 lost", "$3.20/$20.00"],
    5: ["38 %", "380 d", "$3.20"],
}


@pytest.mark.parametrize("width", LINES)
def test_narrow_lines_keep_what_matters_most(width):
    assert lines(FULL, width) == LINES[width]


def test_what_holds_a_run_back_comes_before_its_money():
    held = replace(FULL, limited_until=NOW + 42, waiting_for=("no answer", "disk full"))
    assert lines(held, 60)[2] == ("waits: no answer and disk full, limited until +42")


def test_files_that_do_not_come_are_told_with_a_reason_where_there_is_room():
    snapshot = RunSnapshot(at=NOW, counts={S.FETCHING: 3}, faltering=("HTTP 404", "HTTP 503"))
    segments = job_segments(snapshot)
    assert fitted(segments, 80) == "0 done, 0 running, 3 fetching, 2 tried again (HTTP 404)"
    assert fitted(segments, 50) == "0 done, 0 running, 3 fetching, 2 tried again"


def test_a_deadline_that_is_near_comes_first():
    assert lines(replace(FULL, deadline_at=NOW + 250), 20)[2] == "fetch by +250"
    assert lines(replace(FULL, deadline_at=NOW - 5), 80)[2].endswith("fetch by +-5 (0 s left)")


def test_without_a_budget_there_is_only_what_is_known():
    plain = RunSnapshot(NOW, {S.PENDING: 2}, submits=0, polls=0, calls=3)
    assert lines(plain, 200) == [
        "0 %",
        "0 done, 0 running, 2 queued",
        "$0.00 spent, 0 submits + 0 polls/min",
    ]
    assert lines(RunSnapshot(NOW, {}), 200) == ["", "0 done, 0 running", "$0.00 spent"]


def test_one_line_holds_everything():
    assert one_line(FULL, clock) == (
        "387/994, 38 %, ETA 1 h 05 min, " + ", ".join(lines(FULL, 500)[1:])
    )


SEGMENTS = st.lists(
    st.builds(
        Segment,
        st.integers(0, 4),
        st.lists(st.text("ab ", min_size=1, max_size=30), max_size=3).map(
            lambda forms: tuple(sorted(forms, key=len, reverse=True))
        ),
    ),
    max_size=7,
)


@given(SEGMENTS, st.integers(0, 120))
def test_a_line_is_never_longer_than_its_room_and_never_empty_for_nothing(segments, width):
    line = fitted(segments, width)
    assert len(line) <= width
    assert bool(line) == bool(width and any(segment.forms for segment in segments))


@given(SEGMENTS)
def test_with_room_enough_every_segment_is_there_in_its_longest_form(segments):
    told = [segment.forms[0] for segment in segments if segment.forms]
    assert fitted(segments, 10_000) == ", ".join(told)
