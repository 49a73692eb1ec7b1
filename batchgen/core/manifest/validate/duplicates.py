"""Names given twice among millions, found with eight bytes a name.

Every name goes in as a 64-bit digest; those that occur twice are told at the end. Two different
names may share a digest, so duplicates are candidates: the caller compares the names themselves.
"""

from __future__ import annotations

from array import array
from itertools import pairwise

from batchgen.core.jobs.spec import JobSpec
from batchgen.core.manifest.text.filenames import collision_key
from batchgen.core.manifest.text.locations import Diagnostic

_BUCKET_COUNT = 256
"""Digests are sorted bucket by bucket, so that sorting needs little memory beside them."""


class Duplicates:
    """Takes names, and finds the digests that occurred more than once."""

    def __init__(self) -> None:
        self._buckets = tuple(array("q") for _ in range(_BUCKET_COUNT))

    def add(self, name: str) -> None:
        """One more name; what counts is its `collision_key`."""
        number = hash(collision_key(name))
        self._buckets[number % _BUCKET_COUNT].append(number)

    def found(self) -> frozenset[int]:
        """The digests that more than one name had."""
        twice: set[int] = set()
        for bucket in self._buckets:
            twice.update(left for left, right in pairwise(sorted(bucket)) if left == right)
        return frozenset(twice)


class EqualCopies:
    """Finds jobs of one entry with `repeat` that ask for the same: copies of jobs whose own seeds
    are less than the number of copies apart. Entries come one after another."""

    def __init__(self) -> None:
        self._entry = -1
        self._asked = Duplicates()

    def add(self, entry: int, spec: JobSpec) -> Diagnostic | None:
        """One more job; what is wrong with the entry before, where it is the first of another."""
        found = None
        if entry != self._entry:
            found = self.end()
            self._entry, self._asked = entry, Duplicates()
        self._asked.add(spec.fingerprint)
        return found

    def end(self) -> Diagnostic | None:
        """What is wrong with the last entry, once all its jobs are there."""
        count = len(self._asked.found())
        if not count:
            return None
        what = f"{count:,} of its copies have the seed, and all else, of another: paid twice"
        remedy = "let given seeds be as far apart as repeat says, or leave the seed to repeat"
        return Diagnostic(("jobs", self._entry, "repeat"), what, remedy)


def digest(name: str) -> int:
    """64 bits over the collision key of a name; they mean something in this process only."""
    return hash(collision_key(name))
