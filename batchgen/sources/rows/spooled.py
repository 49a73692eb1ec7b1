"""Rows from Python values: written down once, so that they can be read as often as needed.

A generator can be read once, a run reads rows several times: to check them, to make jobs of them,
and to tell in a later run whether they are still the same.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from batchgen.core.manifest.rows.row import MAX_DEPTH, RowError, RowFault, RowSource, parse_row
from batchgen.core.manifest.text.locations import RowLocation
from batchgen.sources.rows.files import FileSources
from batchgen.sources.rows.jsonl import jsonl_rows
from batchgen.sources.rows.row_file import MAX_LINE_BYTES, Items, RowFile, guarded
from batchgen.sources.rows.stamp import Stamp, stamp_of

MOST_FAULTS = 50
"""After so many rows that cannot be, nothing more is read."""

_VALUES = "use text, finite numbers, True, False, None, lists and mappings with text keys"


class Spool:
    """Rows on their way, one file a name, in a temporary folder that goes away with this object."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._files: dict[str, Path] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._files

    def put(self, name: str, rows: Iterable[Mapping[str, Any]]) -> list[RowFault]:
        """Write rows down, each once, with memory for one only; those that cannot be, as faults.

        With any fault nothing is kept. Raises what the iterable raises, and `OSError`.
        """
        path = self._new_folder() / f"{len(self._files)}.jsonl"
        faults: list[RowFault] = []
        with path.open("w", encoding="utf-8") as file:
            for number, row in enumerate(rows, start=1):
                try:
                    file.write(_line(row) + "\n")
                except RowError as error:
                    faults.append(RowFault(RowLocation(name, number), str(error), error.remedy))
                    if len(faults) == MOST_FAULTS:
                        break
        if faults:
            path.unlink()
        else:
            self._files[name] = path
        return faults

    def path(self, name: str) -> Path:
        """Where the rows of a name stand."""
        return self._files[name]

    def _new_folder(self) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="batchgen-rows-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        return self._folder


class SpooledSources(FileSources):
    """The sources of a manifest made from Python values: spooled rows, and files like any others.

    It keeps the spool alive.
    """

    def __init__(self, folder: Path, spool: Spool, own: Sequence[Path] = ()) -> None:
        super().__init__(folder, own)
        self._spool = spool

    def open(self, name: str) -> RowSource:
        """See `Sources.open`."""
        if name not in self._spool:
            return super().open(name)
        return _Spooled(RowFile(self._spool.path(name), name))

    def stamp(self, name: str) -> Stamp:
        """See `FileSources.stamp`."""
        return stamp_of(self._spool.path(name)) if name in self._spool else super().stamp(name)

    def digest(self, name: str) -> str:
        """See `FileSources.digest`."""
        if name not in self._spool:
            return super().digest(name)
        with self._spool.path(name).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


class _Spooled:
    """`RowSource` over one spooled file."""

    def __init__(self, file: RowFile) -> None:
        self._file = file

    def rows(self) -> Items:
        """See `RowSource.rows`."""
        return guarded(jsonl_rows, self._file)


def _line(row: object) -> str:
    """One row as a line of JSON, as strict as a file of rows. Raises `RowError`."""
    if not isinstance(row, Mapping):
        remedy = 'give one mapping a row, such as {"prompt": "a cup", "seed": 1}'
        raise RowError(f"a row is a mapping, and this is {type(row).__name__}", remedy)
    strange = next(islice((key for key in row if not isinstance(key, str)), 1), None)
    if strange is not None:
        raise RowError(f"the key {strange!r:.60} is not text", "name every field by a text")
    try:
        text = json.dumps(dict(row), ensure_ascii=False, allow_nan=False)
    except RecursionError:
        raise RowError(f"nested deeper than {MAX_DEPTH} levels", "flatten it") from None
    except ValueError as error:  # NaN, infinite, or a value that holds itself
        raise RowError(_no_json(error), "use None where there is no number") from None
    except TypeError as error:
        raise RowError(_no_json(error), _VALUES) from None
    parse_row(text)
    if len(text) * 4 > MAX_LINE_BYTES and len(text.encode()) > MAX_LINE_BYTES:
        remedy = "name a file by its path or its URL instead of its content"
        raise RowError(f"the row is longer than {MAX_LINE_BYTES // 2**20} MiB", remedy)
    return text


def _no_json(error: Exception) -> str:
    return f"it cannot be written as JSON: {error}"
