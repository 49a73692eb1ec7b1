"""Events of a YAML parser into values: strict, iterative, with a position for everything."""

from __future__ import annotations

import re
from sys import intern
from typing import Any

from yaml import MarkedYAMLError, events

from batchgen.core.catalog.validation import quoted
from batchgen.core.manifest.text.locations import MAX_PROBLEMS
from batchgen.core.manifest.text.scalars import MEANINGFUL_STARTS, ScalarError, resolve
from batchgen.errors import Problem
from batchgen.sources.yaml.positions import COLUMN_BITS, Positions
from batchgen.sources.yaml.syntax_errors import problem_after

MAX_DEPTH = 64
"""Deeper nesting is refused: no manifest needs it, and JSON writers recurse."""
MAX_ALIASED = 100_000
"""Values that aliases may add to a document, expanded: a bomb of ten lines makes billions."""

_TOO_DEEP = (f"nested deeper than {MAX_DEPTH} levels", "flatten it")
_FLOW_TOKEN = re.compile(
    r"""(?<!\w)'(?:[^']|'')*'|(?<!\w)"(?:[^"\\]|\\.)*"|(?<!\S)\#[^\n]*|[\[\]{}]""", re.DOTALL
)
"""Brackets, and the quoted texts and comments in which they are none."""
_EMPTY_EVENTS = (events.StreamStartEvent, events.DocumentEndEvent, events.StreamEndEvent)
_NO_KEY: Any = object()


class _Stop(Exception):  # noqa: N818  the end of the reading, not a fault
    """A problem after which nothing more can be read."""


class _Container:
    """A container under construction. `size` counts its values, aliases expanded.

    `key` is the key that waits for its value; in a list, and only there, it is never `_NO_KEY`.
    """

    __slots__ = ("anchor", "container", "is_list", "key", "marks", "size")

    def __init__(self, container: Any, anchor: str | None) -> None:
        self.container = container
        self.anchor = anchor
        self.is_list = isinstance(container, list)
        self.key: Any = None if self.is_list else _NO_KEY
        self.marks: list[int] = []
        self.size = 1


class Composer:
    """Composes one document. `problems` collects what is wrong, `positions` where it stands."""

    def __init__(self, name: str) -> None:
        self.problems: list[Problem] = []
        self.positions = Positions()
        self._name = name
        self._top = _Container([], None)
        """The innermost open container; at the bottom, a list that takes the document's value."""
        self._outer: list[_Container] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._aliased_count = 0

    def compose(self, parser: Any, text: str) -> Any:
        """The value of the one document, meaningless when there are `problems`.

        Raises what the parser raises on a syntax error of `text` (`yaml.YAMLError`).
        """
        handlers: dict[type, Any] = {
            **dict.fromkeys(_EMPTY_EVENTS, lambda _event: None),
            events.ScalarEvent: self._scalar,
            events.MappingStartEvent: self._open,
            events.SequenceStartEvent: self._open,
            events.MappingEndEvent: self._close,
            events.SequenceEndEvent: self._close,
            events.AliasEvent: self._alias,
            events.DocumentStartEvent: self._document,
        }
        get_event = parser.get_event
        event: Any = None
        try:
            while (event := get_event()) is not None:
                handlers[type(event)](event)
        except _Stop:
            return None
        except MarkedYAMLError as error:
            if not self._reads_too_deep(text, event, error):
                raise
            return None
        value = self._top.container[0] if self._top.container else None
        if value is None and not self.problems:
            self._say(None, "the document is empty", "begin it with `version: 1`")
        self.positions.begin(value, self._top.marks)
        return value

    def _document(self, event: Any) -> None:
        if self._top.container:
            self._stop(event, "a second document begins", "remove the --- and what follows it")

    def _scalar(self, event: Any) -> None:
        """A key or a value. Runs for nearly every event, so what is rare has its own method."""
        value = text = event.value
        if event.implicit[0] and (not text or text[0] in MEANINGFUL_STARTS):
            value = self._resolved(event, text)
        if event.tag is not None:
            self._tag(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1)
        frame = self._top
        if frame.key is not _NO_KEY:
            self._put(value, event.start_mark, 1)
            return
        if value is not text or text in frame.container or text == "<<":
            self._odd_key(frame, event, value)
        mark = event.start_mark
        frame.key = intern(text)
        frame.marks.append(mark.line << COLUMN_BITS | mark.column)

    def _resolved(self, event: Any, text: str) -> Any:
        try:
            return resolve(text)
        except ScalarError as error:
            self._say(event, f"{quoted(text)}: {error}", "put it in quotes if it is text")
            return text

    def _odd_key(self, frame: _Container, event: Any, value: Any) -> None:
        text = event.value
        if not isinstance(value, str):
            remedy = f"put it in quotes: '{text}'" if text else "write a key before the colon"
            self._say(event, f"the key {quoted(text)} is not text to YAML", remedy)
        elif text in frame.container:
            remedy = "remove one of them; YAML would take the last one silently"
            self._say(event, f"the key {quoted(text)} stands here a second time", remedy)
        elif event.implicit[0]:
            remedy = "what jobs share goes into `defaults`"
            self._say(event, "merge keys (<<) are not supported", remedy)

    def _put(self, value: Any, mark: Any, size: int) -> None:
        """Store a value where it belongs and note its place."""
        frame = self._top
        frame.size += size
        place = mark.line << COLUMN_BITS | mark.column
        if frame.is_list:
            frame.container.append(value)
            frame.marks += (place, place)
            return
        frame.container[frame.key] = value  # of a duplicate, too: the document is refused
        frame.marks.append(place)
        frame.key = _NO_KEY

    def _open(self, event: Any) -> None:
        self._refuse_as_key(event)
        if event.tag is not None:
            self._tag(event)
        if len(self._outer) >= MAX_DEPTH:
            self._stop(event, *_TOO_DEEP)
        container: Any = {} if type(event) is events.MappingStartEvent else []
        self._put(container, event.start_mark, 0)
        self._outer.append(self._top)
        self._top = _Container(container, event.anchor)

    def _reads_too_deep(self, text: str, last: Any, error: MarkedYAMLError) -> bool:
        """Whether the parser, which reads ahead, met its own bound before it was asked for ours.

        `last` is the last event it gave. Reports the first bracket that is one level too many.
        """
        start = last.end_mark.index if last else 0
        end = error.problem_mark.index + 1 if error.problem_mark else 0
        depth = len(self._outer)
        for token in _FLOW_TOKEN.finditer(text, start, end):
            depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token.group(), 0)
            if depth > MAX_DEPTH:
                before = text[: token.start()]
                self.problems.append(problem_after(before, *_TOO_DEEP, self._name))
                return True
        return False

    def _close(self, _event: Any) -> None:
        frame = self._top
        self.positions.add(frame.container, frame.marks)
        self._top = self._outer.pop()
        self._top.size += frame.size
        if frame.anchor is not None:
            self._anchors[frame.anchor] = (frame.container, frame.size)

    def _alias(self, event: Any) -> None:
        self._refuse_as_key(event)
        if event.anchor not in self._anchors:
            remedy = f"write &{event.anchor} before a value above, or quote text that begins with *"
            self._say(event, f"*{event.anchor} refers to nothing", remedy)
        value, size = self._anchors.get(event.anchor, (None, 1))
        self._aliased_count += size
        if self._aliased_count > MAX_ALIASED:
            what = f"aliases (*) blow the document up by more than {MAX_ALIASED:,} values"
            self._stop(event, what, "use a matrix, or `defaults`")
        self._put(value, event.start_mark, size)

    def _refuse_as_key(self, event: Any) -> None:
        """A list, a mapping or an alias where a key must stand ends the reading."""
        if self._top.key is _NO_KEY:
            remedy = "put text that begins with [, { or * in quotes"
            self._stop(event, "a key must be text", remedy)

    def _tag(self, event: Any) -> None:
        tag = event.tag.replace("tag:yaml.org,2002:", "!!")
        self._say(event, f"the tag {quoted(tag)} is not supported", "remove it, or quote the text")

    def _say(self, event: Any, what: str, remedy: str) -> None:
        line, column = (event.start_mark.line + 1, event.start_mark.column + 1) if event else (1, 1)
        self.problems.append(Problem(what, remedy, self._name, line, column))
        if len(self.problems) >= MAX_PROBLEMS:
            raise _Stop

    def _stop(self, event: Any, what: str, remedy: str) -> None:
        self._say(event, what, remedy)
        raise _Stop
