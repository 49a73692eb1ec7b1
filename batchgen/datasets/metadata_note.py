"""What the dataset files beside the outputs were made from, so that they are not made again.

For a million files that takes a minute, and a run in which nothing new was finished has no need of
it. A note in the state file, written once both files stand under their names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from batchgen.datasets.metadata import DATASET_NAMES
from batchgen.system.version import installed_version


def note_text(made_from: str, title: str, place: str, sizes: Mapping[str, int | None]) -> str:
    """The note: what the state knew (`ExportQueries.dataset_stamp`), what the card is about, and
    the bytes of both files, None where one is missing. Equal notes, equal files."""
    return json.dumps([installed_version(), made_from, title, place, dict(sizes)])


def sizes_in(folder: Path) -> dict[str, int | None]:
    """The bytes of the dataset files in a folder."""
    return {name: _size(folder / name) for name in DATASET_NAMES}


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
