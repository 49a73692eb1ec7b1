"""Manifests to begin with: for a model, for any slug, for a file of rows. YAML with comments.

Values are written as JSON, which YAML reads as it is meant; what stands in comments is a valid line
once its `# ` is taken away.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from batchgen.core.catalog.model import Model, Parameter, ParameterType
from batchgen.core.catalog.validation import quoted, shown
from batchgen.core.manifest.entry import RESERVED_FIELDS
from batchgen.core.manifest.scaffold.columns import Fit, GuessedColumn
from batchgen.core.manifest.text.filenames import NameFaultError, check_part, safe_text

SCHEMA_LINE = "# yaml-language-server: $schema=manifest.schema.json"
"""Where editors find the schema: beside the manifest, as in `jobs/`."""
NEUTRAL_PROMPT = "a lighthouse at dawn"
_WIDTH = 100
_INDENT = " " * 6
_MOST_NAMED = 20
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_RESERVED_WORDS = frozenset({"true", "false", "null"})
_TYPES: Mapping[ParameterType, tuple[str, Any]] = {
    ParameterType.STRING: ("text", NEUTRAL_PROMPT),
    ParameterType.INTEGER: ("whole number", 1),
    ParameterType.NUMBER: ("number", 1),
    ParameterType.BOOLEAN: ("true or false", True),
    ParameterType.URI: ("address of a file, or a local one", "https://example.com/picture.png"),
    ParameterType.ANY: ("any value", NEUTRAL_PROMPT),
}
"""Of each type its name for people, and a value of it."""


@dataclass(frozen=True, slots=True)
class Start:
    """What a manifest begins with. `slug` may be outside the catalogue: then `model` is None.

    `command` is what it was made by, `path` where it will stand; both are for its comments.
    """

    slug: str
    model: Model | None
    name: str
    command: str
    path: str


def of_model(start: Start) -> str:
    """The manifest of one job."""
    body = ["jobs:", "  - id: first", *_model_lines(start), "    params:"]
    if start.model is None:
        body += _generic()
    else:
        body += _apart(_parameter(p, start.model) for p in start.model.parameters.values())
    return _page(start, body)


def of_rows(start: Start, source: str, columns: tuple[GuessedColumn, ...], fit: Fit) -> str:
    """The manifest of one job a row; `source` is the file as `from:` names it."""
    body = [
        "jobs:",
        f"  - from: {_word(source)} # one job a row",
        *_comment("The id of a job. A column that is unique is better, such as {name} in the "
                  "place of {row}: then rows may be put in or taken out.", "    "),
        '    id: "row-{row}"',
        *_model_lines(start),
        "    params:",
    ]  # fmt: skip
    if start.model is None:
        fields = [c for c in columns if c.is_usable and c.name not in RESERVED_FIELDS]
        body += _comment("Not in the catalogue: params go out unchecked.", _INDENT)
        body += [f"{_INDENT}{column.name}: {_field(column)}" for column in fields] or _generic()
    else:
        parameters = start.model.parameters.values()
        body += _apart([*(_filled(p, start.model, fit) for p in parameters), _others(fit)])
    return _page(start, body)


def literal(value: Any) -> str:
    """A value as JSON that YAML reads the same; braces of texts are none of templates."""
    if isinstance(value, str):
        return _quoted(value.replace("{", "{{").replace("}", "}}"))
    return json.dumps(value, ensure_ascii=False)


def _word(text: str) -> str:
    """A name or a path, which are no templates; without quotes where YAML takes it for text."""
    is_plain = _PLAIN.fullmatch(text) is not None and text.lower() not in _RESERVED_WORDS
    return text if is_plain else _quoted(text)


def _quoted(text: str) -> str:
    """Characters that YAML does not print stand as escapes that it knows."""
    quoted_text = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in quoted_text)


def name_of(text: str) -> str:
    """A name for a batch: as safe as the name of a folder has to be."""
    name = safe_text(text).strip("-._")
    try:
        check_part(name)
    except NameFaultError:
        return "batch"
    return name


def _apart(blocks: Iterable[Iterable[str]]) -> Iterator[str]:
    """The lines of all blocks, an empty one between two."""
    for number, block in enumerate(filter(None, map(list, blocks))):
        if number:
            yield ""
        yield from block


def _page(start: Start, body: list[str]) -> str:
    model = start.model
    head = [
        SCHEMA_LINE,
        "#",
        *(_comment(f"{model.name}: {model.summary}", "") if model else ()),
        f"# Made by `{start.command}`. Next:",
        "#",
        f"#   batchgen plan {start.path}   what it will come to; free",
        f"#   batchgen run {start.path} --limit 1   a taste",
        "#   batchgen schema > manifest.schema.json   lets editors check and complete keys",
        "version: 1",
        f"name: {_word(start.name)} # the run directory is runs/<name>",
        "",
        "budget:",
        "  requests_per_minute: auto # found out; a number is never exceeded",
        "  # max_spend: 5.00 # USD, at most; every job then needs a price",
        "",
    ]
    return "\n".join([*head, *body]) + "\n"


def _model_lines(start: Start) -> Iterator[str]:
    model = start.model
    latency_s, price_usd = (model.latency_s, model.price_usd) if model else (None, None)
    facts = [] if model else ["not in the catalogue"]
    facts += [] if latency_s is None else [f"about {latency_s:.0f} s a job"]
    facts += [] if price_usd is None else [f"${price_usd:.2f} a job"]
    yield f"    model: {_word(start.slug)}" + (f" # {', '.join(facts)}" if facts else "")
    if price_usd is None:
        yield "    # price: 0.05 # USD a job: nobody told it yet, and max_spend needs it"


def _generic() -> list[str]:
    return [
        *_comment("As the page of the model names them; nothing is checked here.", _INDENT),
        f"{_INDENT}prompt: {literal(NEUTRAL_PROMPT)}",
    ]


def _parameter(parameter: Parameter, model: Model) -> Iterator[str]:
    """One parameter: filled where it is required, else in a comment with its default."""
    mark, last_words = ("", "") if parameter.required else ("# ", " No default; for example:")
    if parameter.has_default and not parameter.required:
        last_words = " Default:"
    yield from _comment(f"{_facts(parameter)}{last_words}", _INDENT)
    yield f"{_INDENT}{mark}{parameter.name}: {literal(_example(parameter, model))}"


def _filled(parameter: Parameter, model: Model, fit: Fit) -> Iterator[str]:
    """One parameter for rows: from its column, where there is one."""
    column = fit.columns.get(parameter.name)
    near = fit.near.get(parameter.name)
    if column is None:
        if near is not None:
            yield from _comment(_why_not(near, parameter), _INDENT)
        elif parameter.required:
            yield from _comment("No column fits; the same for every row:", _INDENT)
        yield from _parameter(parameter, model)
        return
    if parameter.name in fit.guessed:
        yield from _comment("A guess: no column is called so.", _INDENT)
    yield from _comment(_facts(parameter), _INDENT)
    yield f"{_INDENT}{parameter.name}: {_field(column)}"


def _why_not(column: GuessedColumn, parameter: Parameter) -> str:
    """Why a column that is called like a parameter does not fill it."""
    name = quoted(column.name)
    if not column.can_be_named:
        return f"A template cannot name the column {name}: call it {parameter.name}."
    if not column.is_everywhere:
        return f"The column {name} is not in every row, and a template needs it there."
    return f"Something in the column {name} cannot be sent as {parameter.name}."


def _others(fit: Fit) -> Iterator[str]:
    """The columns that fill nothing."""
    named = [f"{{{column.name}}}" for column in fit.others if column.is_usable]
    everywhere = [c for c in fit.others if c.is_everywhere and not c.can_be_named]
    unnamed = [quoted(column.name) for column in everywhere]
    some = [quoted(column.name) for column in fit.others if not column.is_everywhere]
    for text, names in (
        ("Further fields, for templates and for metadata.jsonl", named),
        ("For metadata.jsonl only, since a template names letters, digits and _", unnamed),
        ("Not in every row, so that no template can name it", some),
    ):
        if names:
            yield from _comment(f"{text}: {_some(names)}.", "    ")


def _some(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _field(column: GuessedColumn) -> str:
    return f'"{{{column.name}}}"'


def _facts(parameter: Parameter) -> str:
    """Type, description, range and allowed values in one sentence or two."""
    kind, _ = _TYPES[parameter.type]
    parts = [f"{'Required, ' if parameter.required else ''}{kind}: {parameter.description}"]
    low, high = parameter.minimum, parameter.maximum
    if low is not None and high is not None:
        parts.append(f"From {low:g} to {high:g}.")
    elif low is not None or high is not None:
        parts.append(f"At least {low:g}." if low is not None else f"At most {high:g}.")
    if parameter.allowed:
        values = ", ".join(shown(value) for value in parameter.allowed)
        cut = ", and more that the page does not show" if parameter.allowed_is_cut else ""
        parts.append(f"One of {values}{cut}.")
    text = " ".join(parts)
    return text[0].upper() + text[1:]


def _example(parameter: Parameter, model: Model) -> Any:
    is_shown = parameter.name in model.example
    if parameter.has_default and not (parameter.required and is_shown):
        return parameter.default
    if is_shown:
        return model.example[parameter.name]
    if parameter.allowed:
        return parameter.allowed[0]
    return _TYPES[parameter.type][1] if parameter.minimum is None else parameter.minimum


def _comment(text: str, indent: str) -> Iterator[str]:
    """A comment, wrapped; without what could end its line."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    lead = f"{indent}# "
    yield from textwrap.wrap(
        plain, _WIDTH, initial_indent=lead, subsequent_indent=lead, break_on_hyphens=False
    )
