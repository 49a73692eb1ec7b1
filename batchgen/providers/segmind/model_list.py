"""The service's list of all its models, read.

It is not documented as an interface. Other people's clients tell its shape: an object with a list
of rows under some key; a row has `slug`, `type`, `description`, `is_depreciated` (so spelled) and
`parameters`. Everything may be missing or odd: what can be read is taken, and rows that cannot be
are counted.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from batchgen.core.catalog.facts import ModelFacts
from batchgen.core.catalog.model import Parameter, ParameterType
from batchgen.core.catalog.validation import is_web_address
from batchgen.core.common.text import printable
from batchgen.core.manifest.text.scalars import MAX_INTEGER
from batchgen.core.media.formats import AUDIO, IMAGE, MODEL, TEXT, VIDEO, Family
from batchgen.core.net.http import MAX_JSON_DEPTH, Answer, is_deep

LIST_PATH = "/inference-model-information/list"
LIST_QUERY = "segmind_model=True"
MAX_MODELS = 10_000
MAX_PARAMETERS = 200
MAX_OPTIONS = 500
MAX_TEXT = 300
MAX_VALUE = 20_000
"""Characters of a default; a longer one is left out."""
_FILE_NAME = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}")
_FAMILY_WORDS: tuple[tuple[Family, tuple[str, ...]], ...] = (
    (MODEL, ("3d", "mesh")),
    (VIDEO, ("video", "film", "animation")),
    (AUDIO, ("audio", "speech", "music", "voice", "sound", "tts")),
    (IMAGE, ("image", "picture", "photo")),
    (TEXT, ("text", "llm", "chat", "language", "vision", "embedding", "caption")),
)
_FILE_COMPONENTS = ("upload", "file", "image", "video", "audio", "media")
_NUMBER_COMPONENTS = ("slider", "number", "integer", "float", "range", "seed")
_TEXT_COMPONENTS = ("text", "prompt", "string")
_TRUTH_COMPONENTS = ("switch", "checkbox", "toggle", "bool")


class ShapeError(ValueError):
    """A source in which nothing could be found; the text says why."""


@dataclass(slots=True)
class PublishedModels:
    """What one source told: facts by slug, and how many of its rows could not be read."""

    models: dict[str, ModelFacts] = field(default_factory=dict)
    unreadable_count: int = 0
    _folded: set[str] = field(default_factory=set)
    """Many disks hold one file for names that differ by case only."""

    def add(self, facts: ModelFacts | None) -> None:
        """One more row; None is one that could not be read."""
        folded = facts.slug.lower() if facts else ""
        if facts is None or len(self.models) >= MAX_MODELS or folded in self._folded:
            self.unreadable_count += facts is None or facts.slug not in self.models
            return
        self._folded.add(folded)
        self.models[facts.slug] = facts


def is_file_name(slug: str) -> bool:
    """Whether a slug from outside may name a file."""
    return bool(_FILE_NAME.fullmatch(slug))


def read_list(body: bytes) -> PublishedModels:
    """The answer of the list. Raises `ShapeError`."""
    try:
        value = Answer(200, {}, body).json()
    except ValueError as error:
        raise ShapeError("it is not JSON") from error
    rows = _first_list(value)
    if rows is None:
        raise ShapeError("it holds no list")
    listing = PublishedModels()
    for row in rows:
        listing.add(_row(row))
    if not listing.models:
        raise ShapeError("no row of it names a model")
    return listing


def _first_list(value: Any) -> list[Any] | None:
    """The rows: the value itself, or the first list under any key, one level further down too."""
    if isinstance(value, list):
        return value
    if not isinstance(value, dict):
        return None
    inner = list(value.values())
    inner += [deeper for item in inner if isinstance(item, dict) for deeper in item.values()]
    lists = [item for item in inner if isinstance(item, list)]
    return next((rows for rows in lists if rows), lists[0] if lists else None)


def _row(row: Any) -> ModelFacts | None:
    if not isinstance(row, dict):
        return None
    slug = _slug(row)
    if slug is None:
        return None
    return ModelFacts(
        slug,
        name=text_in(row.get("title")) or text_in(row.get("name")) or slug,
        summary=text_in(row.get("description")),
        output=family_of(str(row.get("type") or "")),
        parameters=_parameters(row.get("parameters")),
        is_deprecated=any(_is_true(row.get(key)) for key in ("is_depreciated", "is_deprecated")),
    )


def _slug(row: Mapping[str, Any]) -> str | None:
    named = (row.get(key) for key in ("slug", "model_id", "id", "name"))
    first = next((value for value in named if isinstance(value, str) and value), None)
    return first if first is not None and is_file_name(first) else None


def _parameters(value: Any) -> dict[str, Parameter] | None:
    """None where it tells of none. A list of objects with names is as good as an object."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    if isinstance(value, list):
        value = {row["name"]: row for row in value if isinstance(row, dict) and "name" in row}
    if not isinstance(value, dict):
        return None
    found: dict[str, Parameter] = {}
    for name, told in value.items():
        if len(found) < MAX_PARAMETERS and isinstance(name, str) and _PARAMETER.fullmatch(name):
            found[name] = _parameter(name, told if isinstance(told, dict) else {})
    return found or None


def _parameter(name: str, told: Mapping[str, Any]) -> Parameter:
    allowed = _options(told.get("options"))
    default = told.get("default")
    kind = _type(told, allowed)
    if kind in {ParameterType.INTEGER, ParameterType.NUMBER} and isinstance(default, str):
        default = _number(default)
    if kind is ParameterType.INTEGER and isinstance(default, float) and default.is_integer():
        default = int(default)
    is_number = kind in {ParameterType.INTEGER, ParameterType.NUMBER} and not allowed
    low, high = (_number(told.get(key)) if is_number else None for key in ("min", "max"))
    if low is not None and high is not None and low > high:
        low = high = None
    has_default = default is not None and _is_kept(default)
    return Parameter(
        name,
        kind,
        required=_is_true(told.get("isRequired", told.get("required"))),
        default=default if has_default else None,
        has_default=has_default,
        minimum=low,
        maximum=high,
        allowed=allowed,
        description=text_in(told.get("description")) or text_in(told.get("label")) or "",
        affects_price=_is_true(told.get("affectsPricing")),
    )


def _type(told: Mapping[str, Any], allowed: tuple[Any, ...]) -> ParameterType:
    """From its options, else from what its field in the form is, its default and its limits."""
    if allowed:
        return _common_type(allowed)
    component = " ".join(str(told.get(key) or "") for key in ("component", "type")).lower()
    default = told.get("default")
    numbers = [_number(told.get(key)) for key in ("min", "max", "step")]
    given = [number for number in (*numbers, _number(default)) if number is not None]
    if isinstance(default, bool) or has_any(component, _TRUTH_COMPONENTS):
        return ParameterType.BOOLEAN
    if isinstance(default, (list, dict)):
        return ParameterType.ANY
    if isinstance(default, str) and is_web_address(default):
        return ParameterType.URI
    is_number = type(default) in {int, float} or has_any(component, _NUMBER_COMPONENTS)
    if is_number or (any(number is not None for number in numbers[:2]) and len(given) >= 2):
        # Whole limits say little: 0 to 10 may mean 7.5.
        is_whole = numbers[2] is not None and all(float(each).is_integer() for each in given)
        return ParameterType.INTEGER if is_whole else ParameterType.NUMBER
    if has_any(component, _FILE_COMPONENTS):
        return ParameterType.URI
    is_text = isinstance(default, str) or has_any(component, _TEXT_COMPONENTS)
    return ParameterType.STRING if is_text else ParameterType.ANY


def _common_type(values: tuple[Any, ...]) -> ParameterType:
    kinds = {type(value) for value in values}
    if kinds == {str}:
        return ParameterType.STRING
    if kinds == {bool}:
        return ParameterType.BOOLEAN
    if kinds == {int}:
        return ParameterType.INTEGER
    return ParameterType.NUMBER if kinds <= {int, float} else ParameterType.ANY


def _options(value: Any) -> tuple[Any, ...]:
    """The plain values of a list of options; an option may be an object with `value` or `label`."""
    if isinstance(value, dict):
        value = list(value)
    if not isinstance(value, list):
        return ()
    plain = []
    for option in value:
        told = option.get("value", option.get("label")) if isinstance(option, dict) else option
        if isinstance(told, (str, int, float, bool)) and _is_kept(told) and told not in plain:
            plain.append(told)
    # A list that is cut here would call what it lacks wrong.
    return tuple(plain) if len(plain) <= MAX_OPTIONS else ()


def _is_kept(value: Any) -> bool:
    if is_deep([value], min(MAX_JSON_DEPTH, 10)):
        return False
    try:
        text = json.dumps(value, ensure_ascii=False)
        json.loads(text, parse_int=_within_64_bits)
        return len(text.encode()) <= MAX_VALUE
    except (UnicodeEncodeError, ValueError):
        return False


def _within_64_bits(text: str) -> int:
    """No reader of YAML here takes a larger number."""
    if abs(number := int(text)) > MAX_INTEGER:
        raise ValueError("too large")
    return number


def _number(value: Any) -> int | float | None:
    """A finite number, also one that is written as text."""
    if isinstance(value, str) and 0 < len(value) <= 40:
        try:
            value = float(value)
        except ValueError:
            return None
        value = int(value) if math.isfinite(value) and value.is_integer() else value
    if type(value) not in {int, float} or not -1e18 <= value <= 1e18:
        return None
    number: int | float = value
    return number


def _is_true(value: Any) -> bool:
    return value is True or value == 1 or (isinstance(value, str) and value.lower() == "true")


def text_in(value: Any) -> str | None:
    """One printable line, None where there is none."""
    return printable(value, MAX_TEXT) or None if isinstance(value, str) else None


def has_any(text: str, words: tuple[str, ...]) -> bool:
    """Whether any of the words stands in a text."""
    return any(word in text for word in words)


def family_of(modality: str) -> Family | None:
    """What a model returns that is called so, such as textToImage, image to video or LLM; None
    where that cannot be told."""
    whole = modality.lower()
    for text in (whole.rsplit("to", 1)[-1], whole):
        for family, words in _FAMILY_WORDS:
            if has_any(text, words):
                return family
    return None
