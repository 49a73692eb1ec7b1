"""A job as the manifest asks for it, before anything was done about it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

WORKFLOWS = "workflows/v2/"
"""How the name of a workflow begins; a model has its slug alone. Both are paths of their URLs."""


def door_of(model: str) -> str:
    """Where the submits of a model go: what stands before its slug. Requests of one door say
    nothing about those of another."""
    return model.rpartition("/")[0]


class ModelKind(StrEnum):
    """What a model makes, as far as that is known."""

    UNKNOWN = "unknown"
    """Nobody knows: whatever comes is its output."""
    MEDIA = "media"
    """Pictures, films, sounds or 3D models: nothing else is its output."""
    TEXT = "text"
    """Text or JSON: addresses inside it are part of what it says."""


class Mode(StrEnum):
    """Which of the service's two doors a job takes."""

    BLOCKING = "v1"
    """One blocking POST that answers the result. In maintenance mode, never the default."""
    QUEUED = "v2"
    """Submit, poll, fetch: the main path."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """A local file that a parameter names, as it was when it was looked at.

    `path` is relative to the folder of the manifest unless it is absolute. `size` in bytes,
    `sha256` in hex: they name the content. `stamp` tells whether the file was written to since.
    """

    path: str
    size: int
    media_type: str
    sha256: str
    stamp: str = ""


_NO_FIELDS: Mapping[str, Any] = MappingProxyType({})


class JobSpec(NamedTuple):
    """One job of a manifest, fully expanded.

    `body` is canonical JSON (`core.common.json`) as it will be sent, but with a placeholder
    (`core.jobs.placeholders`) for the content of each of its `inputs`: so `fingerprint` follows
    what is in them, and not their address. `stem` is the output path below `outputs/` without
    extension. `price_usd` is what one run is expected to cost, None when unknown. `fields` are the
    matrix or row fields the job was made from.
    """

    id: str
    model: str
    body: str
    stem: str
    api: Mode = Mode.QUEUED
    price_usd: float | None = None
    fields: Mapping[str, Any] = _NO_FIELDS
    inputs: tuple[InputFile, ...] = ()

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over model, API version and body: equal ones ask for the same."""
        text = f"{self.api}\n{self.model}\n{self.body}"
        return hashlib.sha256(text.encode()).hexdigest()
