"""Pictures, video and sound as rows: one file, one row."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from pathlib import Path

from batchgen.core.catalog.validation import quoted
from batchgen.core.manifest.rows.row import ROW_NUMBER, Row, RowFault
from batchgen.core.manifest.text.locations import RowLocation
from batchgen.sources.rows.row_file import Items


def media_rows(folder: Path, files: Iterable[str]) -> Items:
    """A row for each file: its `path` as a parameter takes it, relative to the manifest's folder,
    its `name`, its `stem` (the name without extension), and the name of the `folder` it is in."""
    for number, file in enumerate(files, start=1):
        above, name = posixpath.split(file)
        fields = {
            "path": file,
            "name": name,
            "stem": posixpath.splitext(name)[0],
            "folder": posixpath.basename(above) or folder.resolve().name,
            ROW_NUMBER: number,
        }
        place = str(folder / file)
        if not _is_text(file):
            what = f"the name of the file {quoted(place)} is not UTF-8"
            shown = place.encode("utf-8", "replace").decode()
            yield RowFault(RowLocation(shown, 0), what, "rename it")
        else:
            yield Row(place, 0, number, fields)


def _is_text(name: str) -> bool:
    """Not the name of a file in another encoding than the system's."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
