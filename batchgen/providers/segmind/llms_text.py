"""llms.txt of the service's web pages, read: tables of models with average prices and times.

It is written for language models, and nobody promises its form: columns are found by their
headings, and rows that cannot be read are counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from batchgen.core.catalog.facts import ModelFacts
from batchgen.providers.segmind.model_list import (
    PublishedModels,
    ShapeError,
    family_of,
    has_any,
    is_file_name,
    text_in,
)

LLMS_PATH = "/llms.txt"
MAX_PRICE_USD = 10_000.0
MAX_LATENCY_S = 86_400.0
_HEADINGS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("slug", ("slug",)),
    ("price", ("cost", "price", "pricing")),
    ("latency", ("latency", "time", "duration")),
    ("modality", ("modality", "type", "category", "task")),
    ("summary", ("description", "summary")),
    ("name", ("name", "model", "title")),
)
_AMOUNT = re.compile(r"\$\s*([0-9][0-9,]*(?:\.[0-9]+)?(?:[eE]-?[0-9]+)?)")
_BARE_NUMBER = re.compile(r"~?\s*([0-9][0-9,]*(?:\.[0-9]+)?)\s*(?:usd)?", re.IGNORECASE)
_TIME_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|h|m|s)", re.IGNORECASE)
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_LINK = re.compile(r"!?\[([^\]]*)\]\(([^)\s]*)[^)]*\)")
_SLUG_IN_URL = re.compile(r"/models/([^/?#)\s]+)")
_CELL_END = re.compile(r"(?<!\\)\|")


def read_llms(body: bytes) -> PublishedModels:
    """The answer. Raises `ShapeError`."""
    text = body.decode("utf-8", "replace")
    listing, columns, heading = PublishedModels(), None, ""
    for line in text.splitlines():
        stripped = line.strip()
        if not stripped.startswith("|"):
            columns = None
            heading = stripped.lstrip("# ") if stripped.startswith("#") else heading
            continue
        cells = [cell.strip() for cell in _CELL_END.split(stripped.strip().strip("|"))]
        if columns is None:
            columns = _columns(cells)
        elif columns and not all(re.fullmatch(r":?-+:?", cell) for cell in cells):
            listing.add(_llms_row(cells, columns, heading))
    if not listing.models:
        raise ShapeError("it holds no table of models")
    return listing


def _columns(cells: list[str]) -> Mapping[str, int]:
    """Which column is what, by its heading; empty where it is no table of models."""
    found: dict[str, int] = {}
    for index, cell in enumerate(cells):
        words = cell.lower()
        for role, signs in _HEADINGS:
            if role not in found and has_any(words, signs):
                found[role] = index
                break
    is_of_models = "slug" in found or ("name" in found and {"price", "latency"} & found.keys())
    return found if is_of_models else {}


def _llms_row(cells: list[str], columns: Mapping[str, int], heading: str) -> ModelFacts | None:
    def cell(role: str) -> str:
        index = columns.get(role, len(cells))
        return cells[index] if index < len(cells) else ""

    slug = _plain(cell("slug"))
    if not is_file_name(slug):
        linked = _SLUG_IN_URL.search(f"{cell('slug')} {cell('name')}")
        slug = linked.group(1) if linked else ""
    if not is_file_name(slug):
        return None
    return ModelFacts(
        slug,
        name=text_in(_plain(cell("name"))),
        summary=text_in(_plain(cell("summary"))),
        output=family_of(_plain(cell("modality")) or heading),
        price_usd=read_price(_plain(cell("price"))),
        latency_s=read_duration(_plain(cell("latency"))),
    )


def _plain(cell: str) -> str:
    """The text of a cell without Markdown."""
    text = _LINK.sub(lambda link: link.group(1), cell)
    return text.replace("\\|", "|").strip().strip("`*").strip().strip("-–—").strip()


def read_price(text: str) -> float | None:
    """USD, such as $0.05; of several the highest: an estimate that is too low is the worse one."""
    amounts = _AMOUNT.findall(text)
    if not amounts:
        bare = _BARE_NUMBER.fullmatch(text)
        amounts = [bare.group(1)] if bare else []
    try:
        prices = [float(amount.replace(",", "")) for amount in amounts]
    except ValueError:
        return None
    sound = [price for price in prices if 0 < price <= MAX_PRICE_USD]
    return max(sound, default=None)


def read_duration(text: str) -> float | None:
    """Seconds, from texts such as 21.8s, 1m 3s, 850 ms or 1h 2m."""
    bare = _BARE_NUMBER.fullmatch(text)
    told = re.sub(r"sec(ond)?s?", "s", re.sub(r"min(ute)?s?", "m", text.lower()))
    try:
        if bare:
            seconds = float(bare.group(1).replace(",", ""))
        else:
            parts = list(_parts(told))
            seconds = sum(parts) if parts else 0.0
    except ValueError:
        return None
    return round(seconds, 3) if 0 < seconds <= MAX_LATENCY_S else None


def _parts(text: str) -> Iterator[float]:
    for amount, unit in _TIME_PART.findall(text):
        yield float(amount) * _UNITS_S[unit.lower()]
