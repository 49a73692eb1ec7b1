"""The rows of a `metadata.jsonl` as somebody left it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BLOCK_BYTES = 16_384
BLOCKS = 16
"""Of a longer file so many blocks are read, evenly spread: its rows stand in the order of the
manifest, and not in that of time."""


def sampled_rows(path: Path, *, whole: bool = False) -> Iterator[dict[str, Any]]:
    """Some rows, or the `whole` of them; what cannot be read is passed over."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            if whole or size <= BLOCK_BYTES * BLOCKS:
                file.seek(0)
                yield from _objects(file)
                return
            for number in range(BLOCKS):
                file.seek((size - BLOCK_BYTES) * number // (BLOCKS - 1))
                yield from _objects(file.read(BLOCK_BYTES).splitlines())
    except OSError:
        return


def _objects(lines: Any) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            value = json.loads(line)
        except ValueError:
            continue  # the ends of a block are cut
        if isinstance(value, dict):
            yield value
