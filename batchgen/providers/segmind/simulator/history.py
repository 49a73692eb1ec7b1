"""The account's request history: a page of rows, or one request of any age."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from heapq import merge
from typing import Any

from batchgen.core.jobs.spec import WORKFLOWS
from batchgen.providers.segmind.simulator import answers
from batchgen.providers.segmind.simulator.answers import (
    error_reply,
    iso_instant,
    json_reply,
    local_time,
)
from batchgen.providers.segmind.simulator.ledger import Bill, Outcome
from batchgen.providers.segmind.simulator.media.shelf import MediaIndex
from batchgen.providers.segmind.simulator.messages import ApiRefusal, Reply

DEFAULT_DAYS = 7
MAX_DAYS = 31
MAX_PER_PAGE = 100
STATUSES = ("COMPLETED", "FAILED", "PENDING")
SORTS = ("model_created", "model_name", "credits_deduction")


@dataclass(frozen=True, slots=True)
class _Query:
    """A page of the history as asked for; dates are whole days of UTC, both inclusive."""

    page: int
    per_page: int
    first_day: date
    last_day: date
    model_name: str
    status: str
    sort_by: str
    ascending: bool


@dataclass(frozen=True, slots=True)
class History:
    """Reads rows off bills. `team_bills` are rows of team-mates: listed, but never found by id."""

    shelf: MediaIndex
    bills: Sequence[Bill]
    team_bills: Sequence[Bill]

    def page(self, query: Mapping[str, str], now: float) -> Reply:
        """One page; refuses (400) what the documentation rules out."""
        wanted = _read_query(query, now)
        found = [
            (bill, index)
            for bill in self._ordered(wanted, now)
            for index in range(self._row_count(bill, now))
        ]
        first = (wanted.page - 1) * wanted.per_page
        rows = [self._row(*item, now) for item in found[first : first + wanted.per_page]]
        envelope = self.shelf.config.history_envelope
        if envelope == "list":
            return json_reply(200, rows)
        paging = {
            "page": wanted.page,
            "per_page": wanted.per_page,
            "total": len(found),
            "total_pages": -(-len(found) // wanted.per_page),
        }
        return json_reply(200, {envelope: rows, **paging})

    def one(self, bill: Bill | None, now: float) -> Reply:
        """One request of ours as a row; 404 if there is none, or not yet."""
        config = self.shelf.config
        lag_s = config.history_lag_s if config.record_lag_s is None else config.record_lag_s
        if bill is None or not self._is_told(bill) or now < bill.accepted_at + lag_s:
            return error_reply(404, answers.UNKNOWN_REQUEST)
        return json_reply(200, self._row(bill, 0, now))

    def _is_told(self, bill: Bill) -> bool:
        config = self.shelf.config
        return config.workflow_history != "none" or not bill.model.startswith(WORKFLOWS)

    def _name(self, bill: Bill) -> str:
        by_path = self.shelf.config.workflow_history == "path"
        return bill.model if by_path else bill.model.removeprefix(WORKFLOWS)

    def _is_listed(self, bill: Bill, now: float) -> bool:
        return self._is_told(bill) and bill.accepted_at + self.shelf.config.history_lag_s <= now

    def _status(self, bill: Bill, now: float) -> str:
        state = bill.state_at(now)
        is_known = now >= bill.finished_at + self.shelf.config.history_end_lag_s
        return state if state in STATUSES and is_known else "PENDING"

    def _row_count(self, bill: Bill, now: float) -> int:
        return bill.output_count if self._status(bill, now) == "COMPLETED" else 1

    def _time(self, at: float) -> str:
        offset_s = self.shelf.config.history_offset_s
        return iso_instant(at) if offset_s is None else local_time(at, offset_s)

    def _matches(self, bill: Bill, query: _Query, now: float) -> bool:
        if query.status and self._status(bill, now) != query.status:
            return False
        if query.model_name not in bill.model:
            return False
        return query.first_day <= _day(bill.accepted_at) <= query.last_day

    def _ordered(self, query: _Query, now: float) -> list[Bill]:
        both = merge(self.bills, self.team_bills, key=lambda bill: bill.accepted_at)
        found = [
            bill for bill in both if self._is_listed(bill, now) and self._matches(bill, query, now)
        ]
        if query.sort_by == "model_name":
            found.sort(key=lambda bill: bill.model)
        if query.sort_by == "credits_deduction":
            found.sort(key=lambda bill: bill.charged_usd(now))
        return found if query.ascending else found[::-1]

    def _row(self, bill: Bill, index: int, now: float) -> dict[str, Any]:
        """One output of a request, with the cost and the inputs of the whole request."""
        status = self._status(bill, now)
        has_file = status == "COMPLETED" and bill.outcome is not Outcome.FILTERED
        ended = status != "PENDING"
        body: Any = bill.body if self.shelf.config.history_body_as_text else bill.params()
        return {
            "request_id": bill.request_id,
            "model_name": self._name(bill),
            "model_status": status,
            "credits_deduction": bill.charged_usd(now) if ended else 0.0,
            "request_body": body,
            "generation_url": self.shelf.urls(bill)[index] if has_file else None,
            "latency_ms": round((bill.finished_at - bill.accepted_at) * 1000) if ended else None,
            "model_created": self._time(bill.accepted_at),
            "model_completed": self._time(bill.finished_at) if ended else None,
            "error": bill.error if status == "FAILED" else None,
        }


def _day(at: float) -> date:
    return datetime.fromtimestamp(at, UTC).date()


def _read_query(query: Mapping[str, str], now: float) -> _Query:
    last_day = _read_day(query, "to_date", _day(now))
    week_before = date.fromordinal(max(1, last_day.toordinal() - DEFAULT_DAYS))
    first_day = _read_day(query, "from_date", week_before)
    if not 0 <= (last_day - first_day).days < MAX_DAYS:
        raise _refused(f"from_date to to_date may span at most {MAX_DAYS} days")
    return _Query(
        page=_read_number(query, "page", 1, 10**9),
        per_page=_read_number(query, "per_page", 20, MAX_PER_PAGE),
        first_day=first_day,
        last_day=last_day,
        model_name=query.get("model_name", ""),
        status=_read_choice(query, "status", ("", *STATUSES)),
        sort_by=_read_choice(query, "sort_by", SORTS),
        ascending=_read_choice(query, "sort_order", ("desc", "asc")) == "asc",
    )


def _read_number(query: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 12 and 1 <= int(text) <= most):
        raise _refused(f"{name} must be a whole number from 1 to {most}")
    return int(text)


def _read_choice(query: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    """One of `choices`; the first of them is the default."""
    text = query.get(name, choices[0])
    if text not in choices:
        raise _refused(f"{name} must be one of {', '.join(filter(None, choices))}")
    return text


def _read_day(query: Mapping[str, str], name: str, default: date) -> date:
    text = query.get(name, "")
    if not text:
        return default
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise _refused(f"{name} must be a date, YYYY-MM-DD") from error


def _refused(message: str) -> ApiRefusal:
    return ApiRefusal(error_reply(400, message))
