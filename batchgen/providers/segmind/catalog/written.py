"""What the service publishes of its models, written into the user's folder: a data file a model."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from batchgen.core.catalog.facts import ModelFacts
from batchgen.core.catalog.model import Parameter
from batchgen.providers.segmind.catalog.listed import MAX_FILE_BYTES, SUFFIX, ListedModels
from batchgen.providers.segmind.model_list import PublishedModels
from batchgen.system.durable import replace_file, sync_folder

_HEADER = (
    "# What the service publishes of this model, as `batchgen models --update` read it; the next\n"
    "# one writes it anew. Copied into models/ beside a manifest, it is yours to change.\n"
)
_PLAIN_KEY = re.compile(r"[a-z][a-z0-9_]*")
_AMBIGUOUS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Text(str):
    """Text that is written in double quotes: no reader takes it for anything else."""

    __slots__ = ()


class _ModelDumper(_Dumper):  # type: ignore[misc]  # Any: in C where there is one
    """Writes `_Text` in double quotes."""


_ModelDumper.add_representer(
    _Text,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style='"'),
)


@dataclass(frozen=True, slots=True)
class UpdateCounts:
    """What an update came to, over all models that it was told of."""

    model_count: int
    priced_count: int
    deprecated_count: int
    unreadable_count: int

    def text(self) -> str:
        """In one line."""
        models = "model" if self.model_count == 1 else "models"
        told = (
            f"{self.model_count:,} {models}: {self.priced_count:,} with a price, "
            f"{self.deprecated_count:,} deprecated"
        )
        rows = "row" if self.unreadable_count == 1 else "rows"
        more = f"; {self.unreadable_count:,} {rows} could not be read"
        return told + more * bool(self.unreadable_count)


def write_models(folder: Path, listings: Sequence[PublishedModels], today: str) -> UpdateCounts:
    """Write what the sources told, the first before the others; what none told now stays.

    `today` is an ISO date. Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = ListedModels(folder, lambda _broken: None)
    slugs = {slug for listing in listings for slug in listing.models}
    taken = {slug.lower(): slug for slug in known}
    written = []
    for slug in sorted(slugs):
        if taken.setdefault(slug.lower(), slug) != slug:
            continue  # one file on many disks
        told = [listing.models[slug] for listing in listings if slug in listing.models]
        facts = _merged([*told, known.get(slug)], today)
        data = text_of(facts).encode()
        if len(data) > MAX_FILE_BYTES:  # nobody means such parameters
            data = text_of(replace(facts, parameters=None)).encode()
        _write(folder / f"{slug}{SUFFIX}", data)
        written.append(facts)
    sync_folder(folder)
    skipped_count = len(slugs) - len(written)
    return UpdateCounts(
        len(written),
        sum(facts.price_usd is not None for facts in written),
        sum(facts.is_deprecated is True for facts in written),
        sum(listing.unreadable_count for listing in listings) + skipped_count,
    )


def _merged(told: Sequence[ModelFacts | None], today: str) -> ModelFacts:
    """The first that says something has the word; the last is what was known before."""
    *new, _old = told
    sources = [facts for facts in told if facts is not None]
    said: dict[str, Any] = {
        name: next((v for facts in sources if (v := getattr(facts, name)) is not None), None)
        for name in ModelFacts.__slots__
    }
    is_new = any(facts is not None and facts.price_usd is not None for facts in new)
    said["estimated"] = today if is_new else said["estimated"]
    return ModelFacts(**said)


def _write(path: Path, data: bytes) -> None:
    try:
        if path.read_bytes() == data:
            return
    except OSError:
        pass
    replace_file(path, data)


def text_of(facts: ModelFacts) -> str:
    """A data file. What it means does not depend on who reads it, YAML 1.1 or 1.2."""
    told: dict[str, Any] = {
        "slug": facts.slug,
        "name": facts.name,
        "summary": facts.summary,
        "output": facts.output.name if facts.output else None,
        "latency_s": facts.latency_s,
        "price_usd": facts.price_usd,
        "estimated": facts.estimated,
        "deprecated": facts.is_deprecated,
    }
    if facts.parameters is not None:
        told["parameters"] = {name: _parameter(one) for name, one in facts.parameters.items()}
    kept = {key: value for key, value in told.items() if value is not None}
    body: str = yaml.dump(
        _quoted(kept), Dumper=_ModelDumper, sort_keys=False, allow_unicode=True, width=2**30
    )
    return _HEADER + body


def _parameter(parameter: Parameter) -> Mapping[str, Any]:
    told: dict[str, Any] = {"type": parameter.type.value}
    if parameter.required:
        told["required"] = True
    if parameter.has_default:
        told["default"] = parameter.default
    if parameter.minimum is not None or parameter.maximum is not None:
        told["range"] = [parameter.minimum, parameter.maximum]
    if parameter.allowed:
        told["allowed"] = list(parameter.allowed)
    if parameter.description:
        told["description"] = parameter.description
    if parameter.affects_price:
        told["affects_price"] = True
    return told


def _quoted(value: Any) -> Any:
    if isinstance(value, dict):
        return {_key(key): _quoted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_quoted(item) for item in value]
    return _Text(value) if isinstance(value, str) else value


def _key(key: str) -> str:
    is_plain = _PLAIN_KEY.fullmatch(key) and key not in _AMBIGUOUS
    return key if is_plain else _Text(key)
