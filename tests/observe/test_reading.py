"""How far the reading of a manifest is: a line on a terminal, one now and then in a log."""

import io

from batchgen.observe.reading import reading_display


class Broken(io.StringIO):
    def write(self, text):
        raise OSError(5, "gone")


class Frozen:
    """A clock that stands still."""

    def now(self):
        return 0.0


class Minutes:
    """A clock that is a minute further at each look."""

    def __init__(self):
        self.at = 0.0

    def now(self):
        self.at += 60.0
        return self.at


def read(stream, look=lambda: None, *, clock=None, **times):
    with reading_display(clock or Frozen(), stream, **times) as tell:
        for count in range(500, 3_000, 500):
            tell(count)
            look()


def told(stream, **options):
    read(stream, **options)
    return stream.getvalue()


def test_a_manifest_that_is_read_quickly_is_not_spoken_of(window):
    read(window.stream)
    assert window.lines() == [""]
    assert told(io.StringIO()) == ""


def test_a_slow_one_shows_how_many_jobs_were_read(window):
    shown = []
    read(window.stream, lambda: shown.extend(window.lines()), show_after_s=0.0, redraw_s=0.0)
    assert [line for line in shown if line.startswith("reading the manifest: 2,500 jobs, 00:")]
    assert window.lines() == [""], "the line is wiped in the end"


def test_without_a_terminal_a_line_is_said_now_and_then():
    said = told(io.StringIO(), clock=Minutes()).splitlines()
    assert said == [f"reading the manifest: {n:,} jobs" for n in range(500, 3_000, 500)]


def test_nobody_reads_on_and_it_goes_on():
    assert told(Broken(), clock=Minutes()) == ""
