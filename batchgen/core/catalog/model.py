"""A model of the service as a value: its parameters as its page declares them, and the catalogue.

The data are in `batchgen/providers/segmind/catalog/models`; this is their shape. What a page does
not say is None.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, TypeVar

from batchgen.core.jobs.spec import Mode
from batchgen.core.media.formats import AUDIO, IMAGE, MODEL, TEXT, VIDEO, Family

T = TypeVar("T")

_LONGEST_SLIP = 100
_FROM_TEXT_S = {IMAGE: 7.0, VIDEO: 140.0, TEXT: 9.0, AUDIO: 15.0, MODEL: 37.0}
_WITH_FILES_S = {**_FROM_TEXT_S, IMAGE: 19.0}
"""Seconds a job takes, by what it returns: medians of www.segmind.com/llms.txt of 2026-08-19."""


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
    ANY = "any"
    """Nobody says: every value may be right."""


class Source(StrEnum):
    """Who says what a model takes."""

    PAGE = "page"
    """Its page, as it ships with batchgen."""
    LIST = "list"
    """The service's list of models, read by `batchgen models --update`: third hand, perhaps cut or
    out of date. Nothing is refused by its word."""
    OWN = "own"
    """The user, in a file of `models/` beside the manifest."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter as its page declares it.

    `default` counts only where `has_default` (a page may declare null). `minimum` and `maximum` are
    inclusive; with `range_is_told` they stand in the describing text only, not in a range of the
    page. `allowed` is empty where anything goes; with `allowed_is_cut` the page shows a part of it.
    `maximum_with_image` is the lower maximum that counts when a picture is sent along.
    `affects_price`: what a job costs depends on it.
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
    affects_price: bool = False


@dataclass(frozen=True, slots=True)
class Model:
    """One model. `latency_s` is the typical time of one generation, `price_usd` the price of a job.

    Both are averages over the service's traffic, as they were on the day `estimated` (an ISO date),
    unless that is empty. Without `parameters` nobody says what it takes: nothing is checked.

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
    estimated: str = ""
    source: Source = Source.PAGE
    is_deprecated: bool = False

    @property
    def is_third_hand(self) -> bool:
        """Whether only the service's list says what it takes: then nothing is refused."""
        return self.source is Source.LIST

    @property
    def is_remarkable(self) -> bool:
        """Whether there may be something to say of it that is not about a value of a parameter."""
        return self.is_deprecated or any(p.affects_price for p in self.parameters.values())

    @property
    def takes_files(self) -> bool:
        """Whether some parameter is the address of a file."""
        return any(p.type is ParameterType.URI for p in self.parameters.values())

    @property
    def typical_latency_s(self) -> float | None:
        """Its latency, else the median of its kind; None where nothing is known of it."""
        if self.latency_s:
            return self.latency_s
        return _WITH_FILES_S.get(self.output) if self.takes_files else _FROM_TEXT_S.get(self.output)


class Catalog:
    """The known models. Any other slug is legal: the service has hundreds.

    `models` may read a model only when it is asked for; `stamp` is then a text that is another one
    whenever any of them may be.
    """

    def __init__(self, models: Mapping[str, Model], stamp: str = "") -> None:
        self._models = models
        self._stamp = stamp
        self.slugs = tuple(sorted(models))

    @property
    def stamp(self) -> str:
        """A text that is another one when what jobs are made by is: prices and parameters."""
        # Nothing with a set in it: the order of one is another in every process.
        return self._stamp or repr(
            [(model.slug, model.price_usd, *model.parameters.values()) for model in self]
        )

    def get(self, slug: str) -> Model | None:
        """The model of that slug, or None when the catalogue does not have it."""
        return self._models.get(slug)

    def nearest(self, slug: str) -> str | None:
        """The known slug that an unknown one may be a slip of, or None."""
        return nearest(slug, self.slugs)

    def slip_of(self, slug: str) -> str | None:
        """The known slug that an unknown one differs from by one slip of the finger, or None."""
        if slug in self._models or len(slug) > _LONGEST_SLIP:
            return None
        return next((known for known in self.slugs if is_slip(slug, known)), None)

    def __iter__(self) -> Iterator[Model]:
        return (self._models[slug] for slug in self.slugs if slug in self._models)

    def __len__(self) -> int:
        return len(self.slugs)

    def __contains__(self, slug: object) -> bool:
        return slug in self._models

    def __repr__(self) -> str:
        return f"<Catalog: {', '.join(self.slugs)}>"


class PerModel(Mapping[str, T]):
    """What `told` tells of each known model, where that is not None; read when asked for."""

    def __init__(self, catalog: Catalog, told: Callable[[Model], T | None]) -> None:
        self._catalog = catalog
        self._told = told
        self._found: dict[str, T | None] = {}

    def __getitem__(self, slug: str) -> T:
        if slug not in self._found:
            model = self._catalog.get(slug)
            self._found[slug] = None if model is None else self._told(model)
        found = self._found[slug]
        if found is None:
            raise KeyError(slug)
        return found

    def __iter__(self) -> Iterator[str]:
        return (slug for slug in self._catalog.slugs if slug in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def latency_guesses(catalog: Catalog, speed: float = 1.0) -> Mapping[str, float]:
    """Seconds that a job of each known model may take, divided by `speed`."""

    def seconds(model: Model) -> float | None:
        typical = model.typical_latency_s
        return None if typical is None else typical / speed

    return PerModel(catalog, seconds)


def is_slip(word: str, known: str) -> bool:
    """Whether two slugs differ by case, by _ for -, and at most by one slip: a character too many,
    too few or another one, or two neighbours swapped. A digit is never a slip: it is a version."""
    one, other = (text.lower().replace("_", "-") for text in (word, known))
    head = 0
    while head < min(len(one), len(other)) and one[head] == other[head]:
        head += 1
    one, other = one[head:], other[head:]
    while one and other and one[-1] == other[-1]:
        one, other = one[:-1], other[:-1]
    if any(character.isdigit() for character in one + other):
        return False
    swapped = len(one) == 2 and one == other[::-1]
    return swapped or (len(one) <= 1 and len(other) <= 1)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` may be a slip of, or None. Long words are not searched for."""
    return _nearest(word, tuple(known)) if len(word) <= _LONGEST_SLIP else None


@lru_cache(maxsize=1024)
def _nearest(word: str, known: tuple[str, ...]) -> str | None:
    """Remembered: the same slip often stands in every one of very many jobs."""
    lowered = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word.lower(), lowered, n=1, cutoff=0.6)
    return lowered[found[0]] if found else None
