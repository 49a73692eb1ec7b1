"""How far the reading of a manifest is: a line on a terminal, one now and then in a log."""

import io

import pytest

from batchgen.observe.reading import reading_display


class Terminal(io.StringIO):
    """A stream that says that it is a terminal of a usual size."""

    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    return Terminal()


class Broken(io.StringIO):
    def write(self, text):
        raise OSError(5, "gone")


AT_ONCE = {"show_after_s": 0.0, "redraw_s": 0.0, "line_every_s": 0.0}


def told(stream, **times):
    with reading_display(stream, **times) as tell:
        for count in range(500, 3_000, 500):
            tell(count)
    return stream.getvalue()


def test_a_manifest_that_is_read_quickly_is_not_spoken_of(terminal):
    assert "jobs" not in told(terminal)
    assert told(io.StringIO()) == ""


def test_a_slow_one_shows_how_many_jobs_were_read(terminal):
    assert "reading the manifest: 2,500 jobs" in told(terminal, **AT_ONCE)
    assert told(io.StringIO(), **AT_ONCE).splitlines()[-1] == "reading the manifest: 2,500 jobs"


def test_nobody_reads_on_and_it_goes_on():
    assert told(Broken(), **AT_ONCE) == ""
