"""The parameters of a job against what the page of its model declares.

An ERROR is what the service is sure to refuse, or what cannot have been meant. A WARNING is what
the page does not settle: services accept extra keys, lists on pages are cut, ranges stand in prose.
Of a model that is known from the service's list only, everything is a WARNING.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, TypeGuard
from urllib.parse import urlsplit

from batchgen.core.catalog.model import Model, Parameter, ParameterType, nearest
from batchgen.core.jobs.placeholders import missing

_SHOWN_CHARACTERS = 60
_HEARSAY = ", as the service's list of models has it"


class Severity(StrEnum):
    """How much a finding weighs."""

    ERROR = "error"
    """The job would fail: nothing is submitted until it is mended."""
    WARNING = "warning"
    """The job may do something else than meant; it runs."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about one parameter; `remedy` does not depend on the value that was given."""

    severity: Severity
    param: str
    what: str
    remedy: str


def check(model: Model, params: Mapping[str, Any]) -> tuple[Finding, ...]:
    """Everything to be said about `params` (JSON values, as they would be sent), errors first."""
    if not model.parameters:
        return ()
    found = [*_missing(model, params), *_unknown(model, params), *_too_permissive(model, params)]
    for parameter in model.parameters.values():
        if parameter.name in params:
            found.extend(_value(parameter, params[parameter.name]))
    if model.is_third_hand:
        return tuple(replace(f, severity=Severity.WARNING, what=f.what + _HEARSAY) for f in found)
    return tuple(sorted(found, key=lambda finding: finding.severity is Severity.WARNING))


def shown(value: Any) -> str:
    """A value for a message: as YAML would write it, clipped, without control characters."""
    if isinstance(value, str):
        return quoted(value)
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    try:
        text = repr(value)
    except ValueError:  # Python does not print integers of more than some thousand digits
        text = "a number of very many digits"
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"


def quoted(text: str) -> str:
    """Text in double quotes, clipped; what cannot be printed is escaped."""
    clipped = text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in clipped) + '"'


def _missing(model: Model, params: Mapping[str, Any]) -> Iterator[Finding]:
    for parameter in model.parameters.values():
        if parameter.required and parameter.name not in params:
            yield Finding(
                Severity.ERROR,
                parameter.name,
                f"{model.slug} needs the parameter {parameter.name}",
                f"add {parameter.name} ({_type_words(parameter)}) to the params of the job",
            )


def _unknown(model: Model, params: Mapping[str, Any]) -> Iterator[Finding]:
    for name in params:
        if name in model.parameters:
            continue
        close = nearest(name, model.parameters)
        advice = f"did you mean {close}?" if close else "it is sent as it stands;"
        yield Finding(
            Severity.WARNING,
            name,
            f"{model.slug} declares no parameter {quoted(name)}",
            f"{advice} {model.slug} declares: {', '.join(model.parameters)}",
        )


def _too_permissive(model: Model, params: Mapping[str, Any]) -> Iterator[Finding]:
    for parameter in model.parameters.values():
        limit = parameter.maximum_with_image
        value = params.get(parameter.name) if limit is not None else None
        if limit is None or not _is_number(value) or value <= limit:
            continue
        if not _has_image(model, params):
            return
        yield Finding(
            Severity.WARNING,
            parameter.name,
            f"{parameter.name} is {shown(value)}, but the page of {model.slug} allows at most "
            f"{limit:g} when a picture is sent along",
            f"set {parameter.name} to {limit:g} or less",
        )


def _has_image(model: Model, params: Mapping[str, Any]) -> bool:
    return any(
        parameter.type is ParameterType.URI and params.get(parameter.name)
        for parameter in model.parameters.values()
    )


def _value(parameter: Parameter, value: Any) -> Iterator[Finding]:
    if parameter.has_default and value == parameter.default and _same_kind(value, parameter):
        return
    if not _TYPE_CHECKS[parameter.type](value):
        yield _wrong_type(parameter, value)
        return
    if parameter.type is ParameterType.URI:
        yield from _uri(parameter, value)
    if parameter.type is ParameterType.INTEGER and isinstance(value, float):
        yield Finding(
            Severity.WARNING,
            parameter.name,
            f"{parameter.name} is {shown(value)}, and a whole number is declared",
            "write it without a decimal point",
        )
    yield from _range(parameter, value)
    yield from _allowed(parameter, value)


def _same_kind(value: Any, parameter: Parameter) -> bool:
    """Python holds True == 1 and 7.0 == 7; only the declared default itself is always accepted."""
    return type(value) is type(parameter.default)


def _wrong_type(parameter: Parameter, value: Any) -> Finding:
    remedy = f"give {_type_words(parameter)}"
    if parameter.type is ParameterType.STRING and isinstance(value, (bool, int, float)):
        remedy = 'put the value in quotes where it is written, such as "42"'
    return Finding(
        Severity.ERROR,
        parameter.name,
        f"{parameter.name} is {shown(value)}, and {_type_words(parameter)} is declared",
        remedy,
    )


def _range(parameter: Parameter, value: Any) -> Iterator[Finding]:
    if not _is_number(value):
        return
    low, high = parameter.minimum, parameter.maximum
    too_low = low is not None and value < low
    too_high = high is not None and value > high
    if too_low or too_high:
        yield Finding(
            Severity.WARNING if parameter.range_is_told else Severity.ERROR,
            parameter.name,
            f"{parameter.name} is {shown(value)}, out of range",
            f"give {_range_words(parameter)}",
        )


def _allowed(parameter: Parameter, value: Any) -> Iterator[Finding]:
    if not parameter.allowed or value in parameter.allowed:
        return
    values = ", ".join(shown(allowed) for allowed in parameter.allowed)
    texts = [allowed for allowed in parameter.allowed if isinstance(allowed, str)]
    close = nearest(value, texts) if isinstance(value, str) else None
    hint = f", perhaps {shown(close)}" if close else ""
    what = f"{parameter.name} is {shown(value)}{hint}"
    if parameter.allowed_is_cut:
        yield Finding(
            Severity.WARNING,
            parameter.name,
            f"{what}, which is not among the values the page shows; it has more than it shows",
            f"sure to be allowed: {values}",
        )
    else:
        yield Finding(
            Severity.ERROR, parameter.name, f"{what}, which is not allowed", f"allowed: {values}"
        )


def _uri(parameter: Parameter, value: str) -> Iterator[Finding]:
    if is_web_address(value):
        return
    if value[:5].lower() == "data:" and "," in value:
        yield Finding(
            Severity.WARNING,
            parameter.name,
            f"{parameter.name} is a data: URI, and some models refuse these after queueing "
            '("Reference media rejected: URL must be a valid HTTP or HTTPS URL")',
            "give `file:PATH` or an https URL",
        )
        return
    if missing(f'"{value}"'):
        return  # a local file, which was found
    yield Finding(
        Severity.ERROR,
        parameter.name,
        f"{parameter.name} is {shown(value)}, neither an http(s) URL nor a data: URI",
        "give the http(s) URL of a file the service can reach, a data: URI, or the path of a file",
    )


def is_web_address(value: str) -> bool:
    """Whether a text is the address of something on the web: http(s), with a host, no blanks."""
    if any(character.isspace() or not character.isprintable() for character in value):
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return _is_number(value) and (isinstance(value, int) or value.is_integer())


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


_TYPE_CHECKS: Mapping[ParameterType, Callable[[Any], bool]] = {
    ParameterType.STRING: _is_text,
    ParameterType.INTEGER: _is_whole,
    ParameterType.NUMBER: _is_number,
    ParameterType.BOOLEAN: lambda value: isinstance(value, bool),
    ParameterType.URI: _is_text,
    ParameterType.ANY: lambda _value: True,
}

_TYPE_WORDS: Mapping[ParameterType, str] = {
    ParameterType.STRING: "text",
    ParameterType.INTEGER: "a whole number",
    ParameterType.NUMBER: "a number",
    ParameterType.BOOLEAN: "true or false",
    ParameterType.URI: "an http(s) URL, a data: URI or a local file",
    ParameterType.ANY: "a value",
}


def _type_words(parameter: Parameter) -> str:
    return _TYPE_WORDS[parameter.type]


def _range_words(parameter: Parameter) -> str:
    words = _type_words(parameter)
    if parameter.minimum is None:
        return f"{words} up to {parameter.maximum:g}"
    if parameter.maximum is None:
        return f"{words} from {parameter.minimum:g} up"
    return f"{words} from {parameter.minimum:g} to {parameter.maximum:g}"
