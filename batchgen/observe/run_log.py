"""`run.log`: JSON lines with stable event names (`core.progress.log_events`)."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from batchgen.core.jobs.events import Change
from batchgen.core.progress.log_events import UNLOGGED, log_name
from batchgen.ports import Clock


class RunLog:
    """A `Progress` that writes one line a change. Losing the log never stops a run.

    It holds ids, states and reasons, never a body, a header or the key. 0600: reasons may quote
    prompts.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self._clock = clock
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        """Open for appending, where that is possible."""
        with contextlib.suppress(OSError):
            self.path.touch(mode=0o600)
            self._file = self.path.open("a", encoding="utf-8")
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close, whatever the disk says."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None

    def changed(self, changes: Iterable[Change]) -> None:
        """One line a change that says something new."""
        lines = [
            _line(change.event.at, log_name(change.event.kind), _fields(change))
            for change in changes
            if change.event.kind not in UNLOGGED
        ]
        if lines:
            self._write("".join(lines))

    def said(self, name: str, text: str, fields: Mapping[str, object]) -> None:
        """One line."""
        told = {"text": text, **fields} if text else fields
        self._write(_line(self._clock.now(), name, told))

    def _write(self, lines: str) -> None:
        if self._file is None:
            return
        try:
            self._file.write(lines)
            self._file.flush()
        except OSError:
            # The state file is the record; a log that cannot be written is given up quietly.
            self._file = None


_ENCODER = json.JSONEncoder(ensure_ascii=False)
"""Made once: `json.dumps` would make one for every line."""


def _line(at: float, name: str, fields: Mapping[str, object]) -> str:
    instant = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return _ENCODER.encode({"at": instant, "event": name, **fields}) + "\n"


def _fields(change: Change) -> dict[str, object]:
    after, event = change.after, change.event
    fields: dict[str, object] = {"id": after.id, "model": after.model, "state": after.state.value}
    if after.attempt:
        fields["attempt"] = after.attempt
    if after.request_id:
        fields["request_id"] = after.request_id
    if event.reason:
        fields["reason"] = event.reason
    receipt = change.answer.receipt if change.answer else None
    if receipt is not None and receipt.cost_usd is not None:
        fields["cost_usd"] = receipt.cost_usd
    if change.files:
        fields["files"] = [file.name for file in change.files]
    return fields
