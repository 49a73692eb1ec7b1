"""The folder of an export: what was planned, what is there, and whether it may go on.

All of it stands in the hidden folder `.export`, which loaders pass over. `plan.jsonl` lists the
files and their rows; it is there while the export is under way. `export.json` says what is exported
how, and stays. Shards and files get their names when they are whole, so a name is all it takes to
know that one is done.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from batchgen.core.dataset.columns import Column, Columns
from batchgen.core.dataset.export import Filter, Finished, PlannedFile
from batchgen.core.media.formats import FAMILIES, Family
from batchgen.datasets.metadata import json_line, replace_text, survey
from batchgen.errors import UserError
from batchgen.ports import RecordReader
from batchgen.system.durable import sync_folder

_HIDDEN = ".export"


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What is to be exported: `settings` tell one export from another and stand in its record."""

    settings: Mapping[str, Any]
    filter: Filter
    id_glob: str = "*"
    model_glob: str = "*"


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """What an export consists of. `finished` is how the run stood when it was planned.

    `digest` is over everything planned; `extensions` are those of the files.
    """

    column_list: tuple[Column, ...]
    medium_name: str
    extensions: tuple[str, ...]
    file_count: int
    byte_count: int
    digest: str
    finished: Finished
    unverified_count: int = 0

    @property
    def columns(self) -> Columns:
        """What makes the rows."""
        return Columns(self.column_list)

    @property
    def medium(self) -> Family:
        """What kind of files it holds."""
        return FAMILIES[self.medium_name]


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a folder is for, as its `export.json` says; tables have no plan."""

    settings: Mapping[str, Any]
    plan: ExportPlan | None = None


_CLAIM = TypeAdapter(_Claim)


class ExportFolder:
    """A folder that belongs to one export."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._hidden = path / _HIDDEN
        self._plan = self._hidden / "plan.jsonl"
        self._record = self._hidden / "export.json"

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Make the folder and keep others out. Raises `UserError` for a foreign or busy one."""
        try:
            self._refuse_foreign()
            self._hidden.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._hidden, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in _FULL:
                raise
            raise UserError(
                f"{self.path} cannot be used: {error.strerror or error}; choose another folder"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise UserError(f"another export is at work in {self.path}; wait for it") from None
        try:
            shutil.rmtree(self.parts, ignore_errors=True)
            self.parts.mkdir()
            yield
        finally:
            self._tidy()
            os.close(descriptor)

    def _tidy(self) -> None:
        """Leave nothing unfinished; and nothing at all where nothing was begun."""
        shutil.rmtree(self.parts, ignore_errors=True)
        with contextlib.suppress(OSError):
            if not self._record.exists():
                shutil.rmtree(self._hidden)
                self.path.rmdir()

    @property
    def parts(self) -> Path:
        """What has no name yet."""
        return self._hidden / "parts"

    def _refuse_foreign(self) -> None:
        if self._record.is_file() or not self.path.exists():
            return
        names = {entry.name for entry in self.path.iterdir()} - {_HIDDEN}
        if names:
            raise UserError(
                f"{self.path} holds files that are no export ({min(names)!r}, …); "
                "choose a new or an empty folder"
            )

    def plan(self, reader: RecordReader, wish: ExportRequest) -> tuple[ExportPlan, bool]:
        """The plan to follow, and whether the run has changed since it was made.

        What was begun goes on as it was planned, even if more has finished meanwhile. Raises
        `UserError` where the folder holds another export, and `ChangedRunError` where it holds a
        complete one of an earlier state of the run.
        """
        claim = self._claimed(wish.settings)
        begun = claim.plan if claim else None
        now = reader.finished()
        if begun is not None and self._plan.is_file():
            return begun, begun.finished != now
        if begun is not None and begun.finished != now:
            raise ChangedRunError(begun, now)
        with reader.snapshot():
            made = self._write_plan(reader, wish)
        if begun is not None and begun.digest != made.digest:
            self._plan.unlink()
            raise ChangedRunError(begun, now)
        self._write_claim(_Claim(wish.settings, made))
        sync_folder(self._hidden)
        return made, False

    def files(self) -> Iterator[PlannedFile]:
        """The planned files in their order."""
        with self._plan.open("r", encoding="utf-8", newline="\n") as file:
            for line in file:
                yield PlannedFile(*json.loads(line))

    def complete(self) -> None:
        """Nothing is left to be done."""
        sync_folder(self.path)
        self._plan.unlink()

    def _write_plan(self, reader: RecordReader, wish: ExportRequest) -> ExportPlan:
        records = reader.files().only(wish.id_glob, wish.model_glob)
        surveyed = survey(wish.filter.passed(records))
        if not surveyed.names.count:
            what = "nothing is finished in this run yet; export it when there are files"
            if reader.finished().count:
                what = "no finished file matches; look at the filters: --id, --model, --where"
            raise UserError(what)
        byte_count = 0

        def lines() -> Iterator[str]:
            nonlocal byte_count
            columns = surveyed.columns
            for record in columns.in_order(wish.filter.passed(records)):
                file = PlannedFile.of(record, columns.row(record))
                byte_count += file.size
                yield json_line([file.name, file.sha256, file.size, file.row])

        digest = replace_text(self._plan, lines())
        return ExportPlan(
            surveyed.columns.all,
            surveyed.names.medium.name,
            tuple(surveyed.names.extensions),
            surveyed.names.count,
            byte_count,
            digest,
            reader.finished(),
            surveyed.names.unverified_count,
        )

    def claim(self, settings: Mapping[str, Any]) -> None:
        """Mark the folder as that of tables, which are made anew each time. Raises `UserError`."""
        if self._claimed(settings) is None:
            self._write_claim(_Claim(settings))

    def _write_claim(self, claim: _Claim) -> None:
        replace_text(self._record, [_CLAIM.dump_json(claim, indent=1).decode() + "\n"])

    def _claimed(self, settings: Mapping[str, Any]) -> _Claim | None:
        """What the record says, if there is one. Raises `UserError` for one of another export."""
        try:
            claim = _CLAIM.validate_json(self._record.read_bytes())
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise UserError(
                f"{self._record} cannot be read; choose another folder, or remove {self.path}"
            ) from error
        was = claim.settings
        now = json.loads(json.dumps(settings))
        other = sorted(name for name in {*was, *now} if was.get(name) != now.get(name))
        if other:
            told = (f"{n}: {_shown(was.get(n))} there, {_shown(now.get(n))} now" for n in other)
            raise UserError(
                f"{self.path} holds another export ({'; '.join(told)}).\n"
                "    Choose another folder, or give the same options to go on with that one"
            )
        return claim


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""The disk is full, and the folder is not to blame."""


class ChangedRunError(Exception):
    """The folder holds a complete export of what the run was; `now` it is something else."""

    def __init__(self, was: ExportPlan, now: Finished) -> None:
        super().__init__(was, now)
        self.was = was
        self.now = now


def _shown(setting: Any) -> str:
    return "none" if setting in (None, []) else json.dumps(setting, ensure_ascii=False)
