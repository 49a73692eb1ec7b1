"""`{field}` in the text of a manifest, filled from a job's fields.

The whole language: `{name}` is the value of a field, `{{` and `}}` are literal braces. Nothing
else: no attributes, no conversions, no formats. A text that is exactly one field takes the field's
value with its type (`"{seed}"` becomes the integer); inside other text, values are written as YAML
would write them (`true`, `3`), and null is a mistake.

Templates are compiled once for an entry and filled once for each of its jobs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from batchgen.core.catalog.model import nearest
from batchgen.core.common.text import scalar_text

FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""What a field may be called."""
_TOKEN = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_]*)\}|[{}]")

Fields = Mapping[str, Any]
Filled = Callable[[Fields], Any]


@dataclass(frozen=True, slots=True)
class Field:
    """One `{name}` of a template."""

    name: str


class _AnyField(frozenset[str]):
    """For the templates of rows: which fields a row has is seen when it is read."""

    __slots__ = ()

    def __contains__(self, name: object) -> bool:
        return True


ANY_FIELD: Collection[str] = _AnyField()


class TemplateError(ValueError):
    """Text that is no template.

    `what` and `remedy` are for the reader; `path` leads from the compiled value to the text, which
    stays empty where the value is that text itself.
    """

    def __init__(self, what: str, remedy: str, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy
        self.path = path


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled text: literal pieces and fields in their order."""

    pieces: tuple[str | Field, ...]
    names: frozenset[str] = field(init=False)
    """The fields it needs."""
    _around: tuple[str, str, str] | None = field(init=False)
    """Of a template with one field: the text before it, its name, the text behind it."""

    def __post_init__(self) -> None:
        """Look at the pieces once: templates are filled a million times."""
        names = [piece.name for piece in self.pieces if isinstance(piece, Field)]
        around = None
        if len(names) == 1:
            at = self.pieces.index(Field(names[0]))
            before, behind = (_literal(part) for part in (self.pieces[:at], self.pieces[at + 1 :]))
            around = before, names[0], behind
        object.__setattr__(self, "names", frozenset(names))
        object.__setattr__(self, "_around", around)

    @property
    def literal(self) -> str:
        """The literal text, with fields left out."""
        return _literal(self.pieces)

    @property
    def fill(self) -> Filled:
        """What fills it: with text, or with the one field's own value where it is exactly that."""
        if len(self.pieces) == 1 and isinstance(self.pieces[0], Field):
            return itemgetter(self.pieces[0].name)
        return self.text

    def text(self, fields: Fields, write: Callable[[Any], str] | None = None) -> str:
        """Filled, always as text; `write` turns the value of a field into text.

        Without one, null is refused (`TemplateError`): nobody wants to pay for "a null cup".
        """
        if self._around is not None:
            before, name, behind = self._around
            value = fields[name]
            return before + (_sent(name, value) if write is None else write(value)) + behind
        written = []
        for piece in self.pieces:
            if isinstance(piece, str):
                written.append(piece)
                continue
            value = fields[piece.name]
            written.append(_sent(piece.name, value) if write is None else write(value))
        return "".join(written)


def _literal(pieces: tuple[str | Field, ...]) -> str:
    return "".join(piece for piece in pieces if isinstance(piece, str))


def parse(text: str, known: Collection[str]) -> Template:
    """Compile one text whose fields must be among `known`. Raises `TemplateError`."""
    if "{" not in text and "}" not in text:
        return Template((text,))
    pieces: list[str | Field] = []
    literal = ""
    end = 0
    for token in _TOKEN.finditer(text):
        literal += text[end : token.start()]
        end = token.end()
        if token.group() in {"{{", "}}"}:
            literal += token.group()[0]
            continue
        name = token.group(1)
        if not name:
            raise _lone_brace(text, token.start(), known)
        if name not in known:
            raise _unknown(name, known)
        if literal:
            pieces.append(literal)
        literal = ""
        pieces.append(Field(name))
    literal += text[end:]
    return Template((*pieces, literal) if literal or not pieces else tuple(pieces))


def compile_value(value: Any, known: Collection[str]) -> Filled:
    """Compile every text in a JSON value; the result makes the filled value from fields.

    Keys of mappings are not templates. Raises `TemplateError` with the path of the first bad text.
    """
    if isinstance(value, str):
        return _compile_text(value, known)
    if isinstance(value, Mapping):
        parts = {key: _below(key, item, known) for key, item in value.items()}
        return lambda fields: {key: part(fields) for key, part in parts.items()}
    if isinstance(value, (list, tuple)):
        items = [_below(index, item, known) for index, item in enumerate(value)]
        return lambda fields: [item(fields) for item in items]
    return lambda _fields: value


def names_in(value: Any) -> frozenset[str]:
    """The fields that the texts of a JSON value name, known or not."""
    if isinstance(value, str):
        return frozenset(match[1] for match in _TOKEN.finditer(value) if match[1])
    if isinstance(value, Mapping):
        return frozenset().union(*map(names_in, value.values()))
    if isinstance(value, (list, tuple)):
        return frozenset().union(*map(names_in, value))
    return frozenset()


def _sent(name: str, value: Any) -> str:
    if type(value) is str:
        return value
    if value is None:
        raise _null(name)
    return as_text(value)


def as_text(value: Any) -> str:
    """A field's value inside other text, as YAML writes it.

    Raises `TemplateError` for a list or an object.
    """
    if isinstance(value, (list, dict)):
        kind = "a list" if isinstance(value, list) else "an object"
        remedy = "let the text be that one field and nothing else, or give text in the rows"
        raise TemplateError(f"{kind} cannot stand inside a text", remedy)
    return scalar_text(value)


def _compile_text(text: str, known: Collection[str]) -> Filled:
    if "{" not in text and "}" not in text:
        return lambda _fields: text
    template = parse(text, known)
    if not template.names:
        literal = template.literal
        return lambda _fields: literal
    return template.fill


def _below(part: str | int, value: Any, known: Collection[str]) -> Filled:
    try:
        return compile_value(value, known)
    except TemplateError as error:
        raise TemplateError(error.what, error.remedy, (part, *error.path)) from None


def _null(name: str) -> TemplateError:
    return TemplateError(
        f"the field {name} is empty, and a text needs it",
        f"fill it in; rows without it are left out by where: {{{name}: {{not: null}}}}",
    )


def _unknown(name: str, known: Collection[str]) -> TemplateError:
    if not known:
        return TemplateError(
            f"{{{name}}} is no field: there are none without a matrix",
            f"add a matrix with {name}, or write {{{{{name}}}}} for literal braces",
        )
    close = nearest(name, sorted(known))
    advice = f"did you mean {{{close}}}? " if close else ""
    return TemplateError(
        f"{{{name}}} is no field here",
        f"{advice}the fields are: {', '.join(sorted(known))}; {{{{ is a literal brace",
    )


def _lone_brace(text: str, at: int, known: Collection[str]) -> TemplateError:
    brace = text[at]
    excerpt = text[max(0, at - 10) : at + 15]
    shown = "".join(c if c.isprintable() else " " for c in excerpt)
    fields = f"a field is one of {', '.join('{' + name + '}' for name in sorted(known))}"
    return TemplateError(
        f"the {brace} at character {at + 1} of the text (…{shown}…) is not part of a field",
        f"write {brace * 2} for a literal brace" + (f"; {fields}" if known else ""),
    )
