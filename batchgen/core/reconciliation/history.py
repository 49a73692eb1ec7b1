"""The account's history as evidence: its rows, and a paged read of them.

The envelope of the list, the name of its time and the order of its pages are not documented. So a
read claims to be complete only where it saw the end of the list, or pages in order that lead to
before the time that matters; and rows that cannot be used are kept, because they may be ours.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from batchgen.core.common.json import canonical_json

PAGE_ROWS = 100
"""The most the service gives on a page."""
MAX_PAGES = 300
"""A read longer than this is given up as incomplete. A guess: 30,000 requests since the POST."""
SKEW_S = 120.0
"""How far the service's clock may be from where its answers put it."""
MAX_LAG_S = 600.0
"""How long the history may need to know an id that an answer, or its own list, named. A guess."""
DAY_S = 86_400.0
SPAN_S = 28 * DAY_S
"""How far back a read goes at most; the service allows 31 days in one question."""


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One request in the account's history.

    `model` is empty when it is not told, `body` (canonical JSON) when it cannot be read, and
    `request_id` when the row names none that could be asked for. `created_at` may be None.
    """

    request_id: str
    model: str
    body: str
    created_at: float | None


@dataclass(frozen=True, slots=True)
class OwnRequest:
    """A request_id of our own ledger: what was sent, and when."""

    model: str
    body: str
    sent_at: float

    def is_ahead(self, read: HistoryRead) -> bool:
        """Whether it is dated after a read that shows it: an earlier process had another clock, and
        its instants tell nothing of before and after."""
        return self.sent_at > read.started_at + SKEW_S


@dataclass(slots=True)
class HistoryRead:
    """One paged read, newest first, back to the earliest doubtful POST; it serves all of them.

    `started_at` is on our clock, `back_to` on the service's. `rows` is by request_id; `nameless`
    are rows without one.

    Newest first, so that rows which arrive meanwhile push others to later pages: seen twice, never
    missed.
    """

    started_at: float
    back_to: float
    page: int = 1
    rows: dict[str, HistoryRow] = field(default_factory=dict)
    nameless: set[HistoryRow] = field(default_factory=set)
    complete: bool = False
    failed: str = ""
    _short: bool = False

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to read."""
        return self.complete or bool(self.failed)

    @property
    def from_at(self) -> float:
        """Where the list that is asked for begins, on the service's clock."""
        latest_at = max(self.started_at, self.back_to)
        return max(self.back_to - DAY_S, latest_at - SPAN_S)

    def covers(self, sent_at: float) -> bool:
        """Whether a complete read would show what was sent then, on the service's clock.

        Half of the slack is left to what the service's clock was taken for meanwhile. A day of the
        list's beginning is not counted: its days may be those of another time zone.
        """
        return sent_at - SKEW_S / 2 >= max(self.back_to, self.from_at + DAY_S) - SKEW_S

    def add(self, rows: Sequence[HistoryRow]) -> None:
        """One page. The read is complete at the end of the list or of the time that matters.

        A short page is not the end: the service may give fewer than it is asked for.
        """
        known_count = len(self.rows) + len(self.nameless)
        for row in rows:
            if row.request_id:
                self.rows.setdefault(row.request_id, row)
            else:
                self.nameless.add(row)
        if not rows or self._reaches_back(rows):
            self.complete = True
        elif len(self.rows) + len(self.nameless) == known_count:
            self.failed = "the history repeats a page"
        elif self.page >= MAX_PAGES:
            self.failed = f"the history is longer than {MAX_PAGES} pages"
        self._short = len(rows) < PAGE_ROWS
        self.page += 1

    def break_off(self, reason: str, *, not_found: bool) -> None:
        """A page did not come. After a short one, `not_found` (404) is the end of the list."""
        if not_found and self._short:
            self.complete = True
        else:
            self.failed = reason

    def _reaches_back(self, rows: Sequence[HistoryRow]) -> bool:
        """Whether later pages can only be older than what matters; in disorder they may not."""
        instants = [row.created_at for row in rows if row.created_at is not None]
        ordered = all(later <= earlier + SKEW_S / 2 for earlier, later in pairwise(instants))
        return bool(instants) and ordered and instants[-1] < self.back_to - SKEW_S


def comparable(body: Any) -> str:
    """Canonical JSON of a body or of its text; empty when it is no JSON object.

    Whole numbers are written without a fraction: other languages make no difference between 1 and
    1.0, and the body may have passed through one.
    """
    try:
        text = body if isinstance(body, str) else canonical_json(body)
        value = json.loads(text, parse_float=_number)
        return canonical_json(value) if isinstance(value, dict) else ""
    except (ValueError, RecursionError):
        return ""


def _number(text: str) -> int | float:
    number = float(text)
    return int(number) if number.is_integer() else number
