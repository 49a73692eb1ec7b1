"""The beginnings of outputs that are texts: shown where others have a picture."""

from __future__ import annotations

from typing import Any

from batchgen.core.media.formats import Preview, mimes_shown
from batchgen.ports import OutputFiles

TEXTS = mimes_shown(Preview.TEXT)
MOST_BYTES = 4_000
"""Of one text; the file holds all of it."""


def with_excerpts(row: dict[str, Any], outputs: OutputFiles) -> dict[str, Any]:
    """A job's row, its texts begun; a file that cannot be read has no beginning."""
    for file in row.get("files", ()):
        if file.get("type") in TEXTS:
            begun = excerpt(outputs, file["name"])
            if begun:
                file["text"] = begun
    return row


def excerpt(outputs: OutputFiles, name: str) -> str:
    """The first characters of a file, with an ellipsis where there are more; empty if unread."""
    path = outputs.local(name)
    if path is None:
        return ""  # in a bucket: not worth a request for each
    try:
        with path.open("rb") as file:
            head = file.read(MOST_BYTES + 1)
    except OSError:
        return ""
    text = head[:MOST_BYTES].decode("utf-8", "ignore")
    return f"{text}…" if len(head) > MOST_BYTES else text
