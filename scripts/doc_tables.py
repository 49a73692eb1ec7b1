"""The generated parts of the documents, each a function from the code to Markdown."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from itertools import pairwise
from typing import Any, get_args

import click
from pydantic import BaseModel

from batchgen.cli.main import cli
from batchgen.core.common.exit_codes import ExitCode
from batchgen.core.jobs.events import EventKind
from batchgen.core.jobs.job import GROUPS, STATES, AttemptState, JobState, StateGroup
from batchgen.core.jobs.lifecycle import diagram
from batchgen.core.jobs.outcomes import TABLE, CallKind, Signal, Treatment
from batchgen.core.manifest.notice_kinds import NoticeKind
from batchgen.core.manifest.schema import json_schema
from batchgen.core.progress.log_events import FIELDS, JOB_FIELDS, LogEvent, log_name, logged_kinds
from batchgen.core.scheduling.gates.gates import GateKind
from batchgen.providers.segmind.simulator.config import SimulatorConfig
from batchgen.providers.segmind.simulator.fault_rules import (
    CdnHost,
    Endpoint,
    FaultKind,
    FaultRule,
    ResetHeader,
)

HELP_WIDTH = 92


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; what would be markup inside its cells is escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    """One line. A bar ends a cell even inside code; `<name>` outside of it would be a tag."""
    pieces = " ".join(text.split()).replace("|", "\\|").split("`")
    pieces[::2] = [piece.replace("<", "\\<") for piece in pieces[::2]]
    return "`".join(pieces)


def code(value: object) -> str:
    """A value as inline code, in YAML's flow style."""
    return f"`{_flow(value, nested=False)}`"


def _flow(value: object, *, nested: bool = True) -> str:
    """Quoted where a bare text would be read as something else: a brace, or a comma in a list."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple, frozenset)):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    text = str(value.value if isinstance(value, Enum) else value)
    unclear = (
        text in {"", "true", "false", "null"}
        or "{" in text
        or (nested and any(c in text for c in "[],:"))
    )
    return f'"{text}"' if unclear else text


def attribute_meanings(owner: type) -> dict[str, str]:
    """The docstring that follows each attribute of a class, by the attribute's name."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(owner)))
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    found: dict[str, str] = {}
    for node, after in pairwise(body):
        if not (isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)):
            continue
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(target, ast.Name) and isinstance(after.value.value, str):
            found[target.id] = " ".join(after.value.value.split())
    return found


def _meanings(kind: type[Enum], heading: str) -> str:
    told = attribute_meanings(kind)
    rows = [(f"`{member.value}`", told.get(member.name, "")) for member in kind]
    return table((heading, "meaning"), rows)


def lifecycle_diagram() -> str:
    """The table of legal moves as a Mermaid diagram."""
    return f"```mermaid\n{diagram()}\n```"


def job_states() -> str:
    """The states of a job."""
    told = attribute_meanings(JobState)
    rows = [(f"`{state}`", f"`{STATES[state].group}`", told[state.name]) for state in JobState]
    return table(("job state", "group", "meaning"), rows)


def state_groups() -> str:
    """The groups of states, and how each is put back."""
    told = attribute_meanings(StateGroup)
    options = {group: GROUPS[group].retry_option for group in StateGroup}
    rows = [
        (f"`{group}`", told[group.name], f"`{option}`" if option else "")
        for group, option in options.items()
    ]
    return table(("group", "meaning", "put back by `batchgen retry`"), rows)


def attempt_states() -> str:
    """The states of an attempt."""
    return _meanings(AttemptState, "attempt state")


def gates() -> str:
    """The gates."""
    return _meanings(GateKind, "gate")


def signals() -> str:
    """signal × call → treatment."""
    rows = [(str(signal), *(str(TABLE[signal][call]) for call in CallKind)) for signal in Signal]
    return table(("signal", *(f"`{call}`" for call in CallKind)), rows)


def treatments() -> str:
    """What the treatments of the table mean."""
    told = attribute_meanings(Treatment)
    rows = [(str(member), told[member.name]) for member in Treatment]
    return table(("treatment", "what is done"), rows)


def notices() -> str:
    """What people are told of."""
    return _meanings(NoticeKind, "told")


def exit_codes() -> str:
    """The exit codes."""
    return _meanings(ExitCode, "exit code")


def commands() -> dict[str, click.Command]:
    """Every command by its full name (`batchgen run`), the group itself first."""
    context = click.Context(cli, info_name="batchgen")
    found: dict[str, click.Command] = {"batchgen": cli}
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        if command is not None:
            found[f"batchgen {name}"] = command
    return found


def command_help() -> str:
    """The `--help` of every command."""
    parts = []
    for name, command in commands().items():
        context = click.Context(command, info_name=name, terminal_width=HELP_WIDTH)
        context.help_option_names = ["-h", "--help"]
        parts.append(f"## `{name}`\n\n```text\n{command.get_help(context).rstrip()}\n```")
    return "\n\n".join(parts)


def manifest_keys() -> list[tuple[str, dict[str, Any]]]:
    """Every key of the manifest by its dotted path, with its part of the JSON Schema."""
    schema = json_schema()
    return list(_keys(schema, "", schema["$defs"]))


def _keys(
    part: Mapping[str, Any], prefix: str, parts: Mapping[str, Any]
) -> Iterable[tuple[str, dict[str, Any]]]:
    for name, field in part["properties"].items():
        required = name in part.get("required", ())
        yield prefix + name, {**field, "required": required}
        below = _part_of(field, parts)
        if below:
            inside = "[]." if "items" in field else ".<slug>." if _is_by_slug(field) else "."
            yield from _keys(below, f"{prefix}{name}{inside}", parts)


def _is_by_slug(field: Mapping[str, Any]) -> bool:
    """Whether a field holds one part of the manifest for each model."""
    values = field.get("additionalProperties")
    return isinstance(values, Mapping) and "$ref" in values


def _part_of(field: Mapping[str, Any], parts: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of the manifest that a field holds: alone, in a list, for each model, or beside a
    shorter form.

    Empty when it is none.
    """
    holder = field["additionalProperties"] if _is_by_slug(field) else field.get("items", field)
    choices = (choice.get("$ref") for choice in field.get("anyOf", ()))
    reference = holder.get("$ref") or next(filter(None, choices), None)
    part: Mapping[str, Any] = parts[reference.rpartition("/")[2]] if reference else {}
    return part if "properties" in part else {}


def manifest_reference() -> str:
    """Every key with its type and bounds, its default, an example and its meaning."""
    parts = json_schema()["$defs"]
    rows = [
        (
            f"`{path}`",
            _kind(field, parts),
            "required" if field["required"] else _default(field),
            code(field["examples"][0]) if field.get("examples") else "–",
            field.get("description") or _part_of(field, parts)["description"],
        )
        for path, field in manifest_keys()
    ]
    return table(("key", "type and bounds", "default", "example", "meaning"), rows)


def _default(field: Mapping[str, Any]) -> str:
    default = field.get("default")
    if isinstance(default, Mapping) and default:
        return "each key's own"
    return "none" if default is None or default == {} else code(default)


def _kind(field: Mapping[str, Any], parts: Mapping[str, Any]) -> str:
    """The type of a schema in words, bounds included."""
    choices = field.get("anyOf") or field.get("oneOf")
    if choices:
        return ", or ".join(_kind(choice, parts) for choice in choices)
    if "$ref" in field:
        return _kind(parts[field["$ref"].rpartition("/")[2]], parts)
    if "const" in field or "enum" in field:
        return " or ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    return _KINDS[field.get("type", "")](field, parts)


def _number(field: Mapping[str, Any], word: str) -> str:
    phrases = {"minimum": "at least", "exclusiveMinimum": "more than", "maximum": "at most"}
    bounds = [f"{told} {int(field[key]):,}" for key, told in phrases.items() if key in field]
    return ", ".join([word, *bounds])


def _text(field: Mapping[str, Any]) -> str:
    longest = field.get("maxLength")
    return f"text, {field.get('minLength', 0):,} to {longest:,} characters" if longest else "text"


def _list(field: Mapping[str, Any], parts: Mapping[str, Any]) -> str:
    items = field["items"]
    is_job = "$ref" in items and bool(_part_of(field, parts))
    what = "jobs" if is_job else f"({_kind(items, parts)})"
    most = f" to {field['maxItems']:,}" if "maxItems" in field else " or more"
    return f"list of {field.get('minItems', 0):,}{most} {what}"


def _mapping(field: Mapping[str, Any], parts: Mapping[str, Any]) -> str:
    values = field.get("additionalProperties")
    if _is_by_slug(field):
        return "mapping of slugs, each to the keys below"
    if isinstance(values, Mapping):
        most = field.get("maxProperties")
        return f"mapping of 1 to {most} fields, each a {_kind(values, parts)}"
    return "mapping of the keys below" if "properties" in field else "mapping"


_KINDS: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Any]], str]] = {
    "string": lambda field, _parts: _text(field),
    "integer": lambda field, _parts: _number(field, "whole number"),
    "number": lambda field, _parts: _number(field, "number"),
    "boolean": lambda _field, _parts: "true or false",
    "null": lambda _field, _parts: "null",
    "array": _list,
    "object": _mapping,
}


def _settings(owner: type[BaseModel], heading: str = "setting") -> str:
    told = attribute_meanings(owner)
    rows = []
    for name, field in owner.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = "required" if field.is_required() else code(default)
        choices = [arg for arg in get_args(field.annotation) if isinstance(arg, str)]
        chosen = " or ".join(f"`{choice}`" for choice in choices)
        meaning = " ".join(filter(None, (told.get(name, ""), chosen and f"({chosen})")))
        rows.append((f"`{name}`", shown, meaning))
    return table((heading, "default", "meaning"), rows)


def simulator_settings() -> str:
    """The settings of the simulator."""
    return _settings(SimulatorConfig)


def fault_rules() -> str:
    """What a fault rule is made of: its keys, the places and the kinds."""
    keys = _settings(FaultRule, "key of a rule")
    kinds = [
        (Endpoint, "`where`"),
        (FaultKind, "`kind`"),
        (CdnHost, "`host`"),
        (ResetHeader, "`reset`"),
    ]
    return "\n\n".join([keys, *(_meanings(kind, heading) for kind, heading in kinds)])


def log_events() -> str:
    """What `run.log` tells of a run as a whole."""
    told = attribute_meanings(LogEvent)
    rows = [
        (f"`{event}`", told[event.name], ", ".join(f"`{name}`" for name in FIELDS[event]))
        for event in LogEvent
    ]
    return table(("event", "meaning", "fields"), rows)


def job_events() -> str:
    """What `run.log` tells of single jobs, and with which fields."""
    told = attribute_meanings(EventKind)
    rows = [(f"`{log_name(kind)}`", told[kind.name]) for kind in logged_kinds()]
    fields = [(f"`{name}`", meaning) for name, meaning in JOB_FIELDS.items()]
    return f"{table(('event', 'meaning'), rows)}\n\n{table(('field', 'meaning'), fields)}"


BLOCKS: Mapping[str, Callable[[], str]] = {
    "lifecycle diagram": lifecycle_diagram,
    "job states": job_states,
    "state groups": state_groups,
    "attempt states": attempt_states,
    "gates": gates,
    "signals": signals,
    "treatments": treatments,
    "exit codes": exit_codes,
    "notices": notices,
    "command help": command_help,
    "manifest keys": manifest_reference,
    "simulator settings": simulator_settings,
    "fault rules": fault_rules,
    "log events": log_events,
    "job events": job_events,
}
"""The name that stands in a document's marker, and what makes the text after it."""
