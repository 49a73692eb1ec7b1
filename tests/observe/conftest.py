"""A terminal as a person sees it."""

import contextlib
import fcntl
import os
import pty
import struct
import termios

import pyte
import pytest


class Window:
    """A pseudo-terminal, and what a person sees on it."""

    def __init__(self, columns=80, rows=12):
        self.ours, self._theirs = pty.openpty()
        self.seen = pyte.Screen(columns, rows)
        self._reader = pyte.ByteStream(self.seen)
        self.resize(columns, rows)
        self.stream = os.fdopen(self._theirs, "w", encoding="utf-8")

    def resize(self, columns, rows=12):
        """As most terminals do it: lines that are too long now are broken anew."""
        old, cursor = self.seen, self.seen.cursor
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if columns < 1:
            return
        self.seen = pyte.Screen(columns, rows)
        self._reader = pyte.ByteStream(self.seen)
        broken = [_broken(line.rstrip(), columns) for line in old.display]
        above = sum(map(len, broken[: cursor.y])) + cursor.x // columns
        text = "\r\n".join(piece for pieces in broken for piece in pieces).rstrip()
        place = f"\x1b[{above + 1};{cursor.x % columns + 1}H"
        self._reader.feed((text + place).encode())

    def lines(self):
        os.set_blocking(self.ours, False)
        while True:
            try:
                self._reader.feed(os.read(self.ours, 65536))
            except BlockingIOError:
                return "\n".join(line.rstrip() for line in self.seen.display).strip().split("\n")


def _broken(line, columns):
    return [line[at : at + columns] for at in range(0, max(1, len(line)), columns)]


@pytest.fixture
def window(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    made = Window()
    yield made
    with contextlib.suppress(OSError):
        made.stream.close()
    os.close(made.ours)
