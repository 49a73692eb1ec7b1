"""Which files a `from:` means: one, those that match a pattern, or the media in a folder."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from stat import S_ISREG

from batchgen.core.catalog.validation import quoted
from batchgen.core.manifest.rows.row import SourceError
from batchgen.core.media.formats import FORMATS
from batchgen.sources.rows.delimited import csv_rows, tsv_rows
from batchgen.sources.rows.jsonl import jsonl_rows
from batchgen.sources.rows.parquet import parquet_rows
from batchgen.sources.rows.row_file import Reader

READERS: Mapping[str, Reader] = {
    ".csv": csv_rows,
    ".tsv": tsv_rows,
    ".jsonl": jsonl_rows,
    ".ndjson": jsonl_rows,
    ".parquet": parquet_rows,
}
"""Who reads a file, by its extension."""
_PACKED = (".gz", ".zst")
_MEDIA = frozenset(
    f".{extension}" for each in FORMATS if each.is_row for extension in each.extensions
)
"""Pictures, video and sound. What a file really holds is looked at where it is used."""
_KINDS = ".csv, .tsv or .jsonl (each also .gz or .zst), .parquet, or pictures, video and sound"


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of one `from:` in their order; paths as they are relative to the manifest.

    `are_media` says that each of them is one row, and not a file of rows.
    """

    files: tuple[str, ...]
    are_media: bool


def listed(folder: Path, name: str, own: Sequence[Path] = ()) -> Listing:
    """The files that `name` means, seen from the folder of the manifest. Raises `SourceError`.

    A name with `*`, `?` or `[` is a pattern unless a file is called so; `**` goes through folders.
    What stands below an `own` folder, where the run puts its files, is passed over: results that
    became rows would be paid for again, more of them in every run.
    """
    path = folder / name
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        if glob.has_magic(name):
            return _of_pattern(folder, name, own)
        if path.suffix and not _is_media(name):
            reader_of(name)  # no file of that kind would do
        raise missing(path, error) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise missing(path, error) from error
    if path.is_dir():
        return _of_folder(path, name, own)
    if not S_ISREG(mode):
        remedy = "name a file that can be read more than once: not a pipe"
        raise SourceError(f"{quoted(str(path))} is not a regular file", remedy)
    return Listing((name,), are_media=_is_media(name))


def reader_of(name: str) -> Reader:
    """Who reads a file of rows. Raises `SourceError`."""
    path = PurePosixPath(name.lower())
    inner = PurePosixPath(path.stem).suffix if path.suffix in _PACKED else path.suffix
    reader = READERS.get(inner)
    if reader is None:
        what = f"the extension {quoted(path.suffix)} does not say how to read the rows"
        if inner == ".json":
            raise SourceError(what, "write JSON Lines (.jsonl): one object a line, no list around")
        if inner in {".xlsx", ".xls", ".ods"}:
            raise SourceError(what, "save the sheet as CSV UTF-8 (.csv)")
        raise SourceError(what, f"give {_KINDS}")
    if reader is parquet_rows and path.suffix != inner:
        remedy = "unpack it: Parquet is compressed inside"
        raise SourceError(f"{quoted(name)} cannot be read packed", remedy)
    return reader


def missing(path: Path, error: Exception) -> SourceError:
    """What is said of a file or folder that cannot be opened."""
    if isinstance(error, FileNotFoundError):
        remedy = "mend the path: it is relative to the folder of the manifest"
        what = "file" if path.suffix else "file or folder"
        return SourceError(f"there is no {what} {quoted(str(path))}", remedy)
    reason = getattr(error, "strerror", None) or str(error)
    return SourceError(f"{quoted(str(path))} cannot be read: {reason}", "mend that, and run again")


def _of_folder(path: Path, name: str, own: Sequence[Path]) -> Listing:
    """The media directly in a folder; other files and hidden ones are passed over."""
    prefix = "" if name in {".", "./"} else name.rstrip("/") + "/"
    try:
        with os.scandir(path) as entries:
            files = [
                prefix + entry.name
                for entry in entries
                if entry.name[0] != "." and _is_media(entry.name) and entry.is_file()
            ]
    except OSError as error:
        raise missing(path, error) from error
    if not files:
        what = f"there are no pictures, video or sound in the folder {quoted(str(path))}"
        remedy = f"for files of rows write a pattern, such as {prefix}*.csv"
        raise SourceError(what, f"{remedy}; for those in folders below, {prefix}**/*.png")
    if _is_below(path, own):
        raise _of_the_run(name)
    return Listing(tuple(sorted(files)), are_media=True)


def _of_pattern(folder: Path, name: str, own: Sequence[Path]) -> Listing:
    pattern = _with_real_folders(folder, name)
    found = glob.iglob(pattern, root_dir=folder, recursive=True)  # noqa: PTH207  may be absolute
    matching = {file for file in found if (folder / file).is_file()}
    if not matching:
        remedy = "mend the pattern: it is relative to the folder of the manifest"
        raise SourceError(f"no file matches {quoted(str(folder / name))}", remedy)
    passed_over = {
        above for above in {os.path.dirname(file) for file in matching}  # noqa: PTH120  as below
        if _is_below(folder / above, own)
    }  # fmt: skip
    files = tuple(sorted(f for f in matching if os.path.dirname(f) not in passed_over))  # noqa: PTH120
    if not files:
        raise _of_the_run(name)
    media = sum(map(_is_media, files))
    if media in {0, len(files)}:
        return Listing(files, are_media=media > 0)
    other = next(file for file in files if not _is_media(file))
    what = f"{quoted(name)} matches pictures, video or sound, and {quoted(other)} as well"
    raise SourceError(what, "write a narrower pattern, such as photos/*.png")


def _with_real_folders(folder: Path, name: str) -> str:
    """A pattern whose first folders, as far as they are there under just that name, are no
    pattern: `photos [2024]/*.png`."""
    parts = name.split("/")
    for count in range(len(parts) - 1, 0, -1):
        above = "/".join(parts[:count])
        if (folder / above).is_dir():
            return "/".join([glob.escape(above), *parts[count:]])
    return name


def _is_below(path: Path, own: Sequence[Path]) -> bool:
    real = path.resolve()
    return any(real.is_relative_to(folder.resolve()) for folder in own)


def _of_the_run(name: str) -> SourceError:
    what = f"{quoted(name)} means files where the run puts its results"
    return SourceError(what, "keep them apart: rename `output.dir` or the run, or move the files")


def _is_media(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in _MEDIA  # noqa: PTH122  of very many names
