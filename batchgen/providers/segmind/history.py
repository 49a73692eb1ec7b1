"""The list that the history answers with, read into rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from batchgen.core.common.timestamps import instant_of
from batchgen.core.net.http import Answer
from batchgen.core.reconciliation.history import HistoryRow, comparable


def rows_of(answer: Answer) -> list[HistoryRow] | None:
    """The rows of a list answer, wherever they stand; None when there is no list at all."""
    try:
        body = answer.json()
    except ValueError:
        return None
    found = _list_in(body, 0)
    if found is None:
        return None
    return [_row(item) for item in found if isinstance(item, dict)]


def _list_in(value: Any, depth: int) -> list[Any] | None:
    """The envelope is not documented: the list may be the body, or under some key of it."""
    if isinstance(value, list):
        return value
    if not isinstance(value, dict) or depth > 3:
        return None
    preferred = ("data", "results", "items", "requests", "rows", "history")
    for key in (*preferred, *(key for key in value if key not in preferred)):
        if isinstance(value.get(key), list | dict):
            found = _list_in(value[key], depth + 1)
            if found is not None:
                return found
    return None


def _row(item: Mapping[str, Any]) -> HistoryRow:
    request_id = item.get("request_id")
    # Half a surrogate pair, for one, could be neither asked for nor looked up.
    usable = isinstance(request_id, str) and request_id.isprintable()
    return HistoryRow(
        str(request_id) if usable else "",
        item["model_name"] if isinstance(item.get("model_name"), str) else "",
        comparable(item.get("request_body")),
        next(_instants(item), None),
    )


def _instants(item: Mapping[str, Any]) -> Iterator[float]:
    for key in ("model_created", "created_at", "createdAt", "timestamp"):
        at = instant_of(str(item[key])) if item.get(key) is not None else None
        if at is not None:
            yield at
