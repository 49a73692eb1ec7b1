"""The journal: one JSON line for every accepted job, so that a simulator survives its own end.

Outcome, start and finish of a job are decided at its acceptance: nothing else has to be kept. A
line is written before the acceptance is answered. It is not forced to the disk: the journal
outlives the process, not a power cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

from batchgen.errors import Problem, StateError
from batchgen.providers.segmind.simulator.ledger import Bill
from batchgen.providers.segmind.simulator.service import EXPORT_VERSION, Service


class Journal:
    """An open journal file. Lines are written by a thread of its own, in order."""

    def __init__(self, path: Path) -> None:
        self._written_count = 0
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")
        self._file = path.open("ab", buffering=0)
        self._size = path.stat().st_size

    @classmethod
    def resume(cls, path: Path, service: Service) -> Self:
        """Open the journal and give the service the jobs it tells of.

        A last line that was cut by a kill is dropped. Raises StateError if the file is no journal
        or cannot be opened.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            bills = _read(path)
            service.restore({"version": EXPORT_VERSION, "bills": bills, **_window(bills)})
            journal = cls(path)
        except (OSError, ValueError) as error:
            problem = Problem(
                "the simulator's journal cannot be used: "
                f"{getattr(error, 'strerror', None) or error}",
                "mend its place or permissions, or move it away to begin with an empty account",
                file=str(path),
            )
            raise StateError(str(problem)) from error
        journal._written_count = len(service.ledger.bills)
        return journal

    async def keep_up(self, service: Service) -> None:
        """Write down every job that was accepted since the last call; OSError when it fails.

        What could not be written is tried again with the next call.
        """
        bills = service.ledger.bills
        if len(bills) == self._written_count:
            return
        await asyncio.get_running_loop().run_in_executor(self._writer, self._write, bills)

    def close(self) -> None:
        """Wait for the last line and close the file."""
        self._writer.shutdown()
        self._file.close()

    def _write(self, bills: list[Bill]) -> None:
        """In the writer's thread only, which alone touches the file and the counts."""
        news = bills[self._written_count :]
        data = "".join(json.dumps(bill.to_json()) + "\n" for bill in news).encode()
        try:
            self._append(data)
        except OSError:
            # Half a line in the middle would spoil the journal.
            with contextlib.suppress(OSError):
                self._file.truncate(self._size)
            raise
        self._size += len(data)
        self._written_count += len(news)

    def _append(self, data: bytes) -> None:
        if self._file.write(data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _read(path: Path) -> list[dict[str, Any]]:
    """The lines of a journal; cuts a last line off that has no end."""
    if not path.exists():
        return []
    if not path.is_file():
        raise ValueError("it is not a regular file")
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        with path.open("r+b") as file:
            file.truncate(len(whole))
    return [_read_line(number, line) for number, line in enumerate(whole.splitlines(), start=1)]


def _read_line(number: int, line: bytes) -> dict[str, Any]:
    try:
        return dict(json.loads(line))
    except (TypeError, ValueError) as error:
        raise ValueError(f"line {number} is not a JSON object") from error


def _window(bills: list[dict[str, Any]]) -> dict[str, Any]:
    """The rate window as far as accepted jobs tell it: other calls are not in the journal."""
    return {"admitted_at": [bill.get("accepted_at", 0.0) for bill in bills]}
