"""Where a value of a manifest stands: its path through the document, and its line and column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from batchgen.errors import Problem

KeyPath = tuple[str | int, ...]
"""Keys and list indexes (from 0) from the top of a document down to a value."""

MAX_PROBLEMS = 1_000
"""Mistakes looked for in one manifest at each stage of reading it; what lies beyond is not told."""


@dataclass(frozen=True, slots=True)
class Position:
    """A position in a text, both counted from 1; 0 is unknown."""

    line: int = 0
    column: int = 0


@dataclass(frozen=True, slots=True)
class RowLocation:
    """A line of another file than the manifest: of a row. Lines count from 1."""

    file: str
    line: int


class SourceMap(Protocol):
    """Finds the text position of a path; of its nearest ancestor, where it has none of its own."""

    def key(self, path: KeyPath) -> Position:
        """Where the key stands (for a list item: the item)."""
        ...

    def value(self, path: KeyPath) -> Position:
        """Where the value begins."""
        ...


class Nowhere:
    """For manifests made from Python values: no text, no positions."""

    def key(self, path: KeyPath) -> Position:  # noqa: ARG002  the protocol's signature
        """Unknown."""
        return Position()

    def value(self, path: KeyPath) -> Position:  # noqa: ARG002  the protocol's signature
        """Unknown."""
        return Position()


@dataclass(frozen=True, slots=True)
class Below:
    """Places of what stands at a path of a larger document, by its own paths."""

    places: SourceMap
    path: KeyPath

    def key(self, path: KeyPath) -> Position:
        """See `SourceMap.key`."""
        return self.places.key((*self.path, *path))

    def value(self, path: KeyPath) -> Position:
        """See `SourceMap.value`."""
        return self.places.value((*self.path, *path))


NOWHERE = Nowhere()


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """Something to be said about the value at `path`, or, with `at_key`, about its key.

    `spot` is the row that is to blame, where there is one. Remarks of one path and one remedy are
    the same thing said of several jobs.
    """

    path: KeyPath
    what: str
    remedy: str
    at_key: bool = False
    spot: RowLocation | None = None


@dataclass(frozen=True, slots=True)
class ManifestText:
    """What a manifest was read from: a name for messages, and where its values stand."""

    name: str = ""
    places: SourceMap = NOWHERE

    def problem(self, path: KeyPath, what: str, remedy: str, *, at_key: bool = False) -> Problem:
        """A problem with the value at `path`, or with the key itself."""
        place = self.places.key(path) if at_key else self.places.value(path)
        return Problem(what, remedy, self.name, place.line, place.column, dotted(path))

    def tell(self, remark: Diagnostic) -> Problem:
        """A remark as a problem: at its row, else at its place in the manifest."""
        if remark.spot is None:
            return self.problem(remark.path, remark.what, remark.remedy, at_key=remark.at_key)
        spot = remark.spot
        return Problem(remark.what, remark.remedy, spot.file, spot.line, key=dotted(remark.path))


def dotted(path: KeyPath) -> str:
    """A path as it is printed: `jobs[2].params.seed`; list indexes count from 0."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part.replace("_", "").replace("-", "").isalnum() and len(part) <= 100:
            text += f".{part}" if text else part
        else:
            clipped = "".join(c if c.isprintable() else "�" for c in part[:100])
            text += f'["{clipped}"]'
    return text
