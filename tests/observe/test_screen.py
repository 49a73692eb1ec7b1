"""The lines at the foot of a terminal, as a terminal shows them."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from batchgen.core.jobs.job import JobState as S
from batchgen.core.progress.snapshot import RunSnapshot
from batchgen.observe.screen import Screen

GLANCE = RunSnapshot(0.0, {S.DONE: 5, S.SUBMITTED: 3, S.PENDING: 2}, spent_usd=0.5, cap_usd=1.0)


def test_a_bar_and_two_lines_that_stay_at_the_foot(window):
    screen = Screen(window.stream)
    screen.open(GLANCE)
    screen.line("the API key is refused")
    screen.draw(replace(GLANCE, counts={S.DONE: 6, S.SUBMITTED: 4}))
    screen.line("going on (key)")
    first, second, bar, jobs, money = window.lines()
    assert (first, second) == ("the API key is refused", "going on (key)")
    assert bar.startswith("6/10 |█")
    assert bar.endswith("| 60 %")
    assert (jobs, money) == ("6 done, 4 running", "$0.50 spent of $1.00")
    screen.close()


def test_at_the_end_the_bar_alone_is_left_and_the_next_line_begins_below(window):
    screen = Screen(window.stream)
    screen.open(GLANCE)
    screen.close()
    assert not screen.is_open
    print("5 done", file=window.stream, flush=True)
    bar, after = window.lines()
    assert bar.startswith("5/10 |█")
    assert after == "5 done"


@pytest.mark.parametrize("with_line", [True, False])
@pytest.mark.parametrize("columns", [120, 50, 30])
def test_a_window_that_is_resized(window, columns, with_line):
    screen = Screen(window.stream)
    screen.open(replace(GLANCE, spent_usd=123_456.0))
    screen.line("a line")
    window.lines()
    window.resize(columns)
    if with_line:
        screen.line("a further line")
    for _ in range(2):
        screen.draw(GLANCE)
    *above, bar, jobs, money = window.lines()
    assert above == ["a line", *(["a further line"] if with_line else [])]
    assert len(bar) == columns - 1
    assert bar.startswith("5/10 |█")
    assert (jobs, money) == ("5 done, 3 running, 2 queued", "$0.50 spent of $1.00")
    screen.close()
    assert window.lines()[-1].startswith("5/10 |█")


def test_a_low_window_has_the_bar_alone(window):
    window.resize(80, 4)
    screen = Screen(window.stream)
    screen.open(GLANCE)
    (bar,) = window.lines()
    assert bar.endswith("| 50 %, 5 done, 3 running, 2 queued")
    screen.close()


def test_where_there_is_nothing_to_draw_on(window, monkeypatch, tmp_path):
    assert Screen.fits(window.stream)
    with (tmp_path / "file").open("w") as file:
        assert not Screen.fits(file)
    monkeypatch.setenv("TERM", "dumb")
    assert not Screen.fits(window.stream)
    monkeypatch.setenv("TERM", "xterm")
    window.resize(0)
    assert not Screen.fits(window.stream)


def test_a_terminal_that_is_gone_is_told_and_then_forgotten(window):
    screen = Screen(window.stream)
    screen.open(GLANCE)
    os.close(window.ours)
    with pytest.raises(OSError, match="Input/output"):
        screen.draw(GLANCE)
    screen.drop()
    assert not screen.is_open
    window.ours = os.open(os.devnull, os.O_RDONLY)
