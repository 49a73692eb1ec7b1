"""A model of the service as a value: its parameters as its page declares them, and the catalogue.

The data are in `batchgen/providers/segmind/catalog/models`; this is their shape. What a page does
not say is None.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

from batchgen.core.jobs.spec import Mode
from batchgen.core.media.formats import FILE, TEXT, Family

_LONGEST_SLIP = 100


class ParameterType(StrEnum):
    """The type a page declares for a parameter."""

    STRING = "string"
    """Any text."""
    INTEGER = "integer"
    """A whole number; true and false are none."""
    NUMBER = "number"
    """A whole or fractional number; true and false are none."""
    BOOLEAN = "boolean"
    """true or false."""
    URI = "uri"
    """The address of a file: an http(s) URL, or a data: URI that carries it."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter as its page declares it.

    `default` counts only where `has_default` (a page may declare null). `minimum` and `maximum` are
    inclusive; with `range_is_told` they stand in the describing text only, not in a range of the
    page. `allowed` is empty where anything goes; with `allowed_is_cut` the page shows a part of it.
    `maximum_with_image` is the lower maximum that counts when a picture is sent along.
    """

    name: str
    type: ParameterType
    required: bool = False
    default: Any = None
    has_default: bool = False
    minimum: float | None = None
    maximum: float | None = None
    range_is_told: bool = False
    maximum_with_image: float | None = None
    allowed: tuple[Any, ...] = ()
    allowed_is_cut: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True)
class Model:
    """One model. `latency_s` is the typical time of one generation, `price_usd` of one job.

    `output` is what its page says that it returns; what really came is told from the bytes.
    `page_api` is the door the page shows; `parameters` keep the page's order; `example` is the
    page's own request, word for word.
    """

    slug: str
    name: str
    summary: str
    page_api: Mode
    latency_s: float | None
    price_usd: float | None
    output: Family
    parameters: Mapping[str, Parameter]
    example: Mapping[str, Any]

    @property
    def makes_media(self) -> bool:
        """Whether its page says that it returns pictures, films, sounds or 3D models."""
        return self.output not in {TEXT, FILE}


class Catalog:
    """The known models. Any other slug is legal: the service has hundreds."""

    def __init__(self, models: Mapping[str, Model]) -> None:
        self._models = {slug: models[slug] for slug in sorted(models)}

    def get(self, slug: str) -> Model | None:
        """The model of that slug, or None when the catalogue does not have it."""
        return self._models.get(slug)

    def nearest(self, slug: str) -> str | None:
        """The known slug that an unknown one may be a slip of, or None."""
        return nearest(slug, self._models)

    def __iter__(self) -> Iterator[Model]:
        return iter(self._models.values())

    def __len__(self) -> int:
        return len(self._models)

    def __contains__(self, slug: object) -> bool:
        return slug in self._models

    def __repr__(self) -> str:
        return f"<Catalog: {', '.join(self._models)}>"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` may be a slip of, or None. Long words are not searched for."""
    return _nearest(word, tuple(known)) if len(word) <= _LONGEST_SLIP else None


@lru_cache(maxsize=1024)
def _nearest(word: str, known: tuple[str, ...]) -> str | None:
    """Remembered: the same slip often stands in every one of very many jobs."""
    lowered = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word.lower(), lowered, n=1, cutoff=0.6)
    return lowered[found[0]] if found else None
