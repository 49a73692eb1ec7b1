"""Whom a run tells what: the parts `notify` and `on_finish` of a manifest."""

from __future__ import annotations

import re
import shlex
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from batchgen.core.manifest.notice_kinds import NoticeKind
from batchgen.core.manifest.text.fields import Duration, ManifestPart, fault

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_COMMAND = {
    "anyOf": [
        {"type": "string", "minLength": 1, "maxLength": 4_000},
        {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 100},
    ]
}


def _variable(name: str) -> str:
    """The text itself is not repeated: it may be the address, and so a secret."""
    if not _VARIABLE.fullmatch(name):
        remedy = "put the address into one, such as NTFY_URL, and write its name here"
        raise fault("this is not the name of an environment variable", remedy)
    return name


def _command(value: Any) -> Any:
    if value is None:
        return None
    words = value if isinstance(value, list) else [value]
    if not words or len(words) > 100 or not all(isinstance(word, str) for word in words):
        remedy = "write a command such as ./done.sh, or its words as a list of texts"
        raise fault("command is neither a text nor a list of words", remedy)
    if not words[0].strip() or sum(map(len, words)) > 4_000 or any("\0" in w for w in words):
        remedy = "write a command such as ./done.sh"
        raise fault("command is empty, too long, or holds a NUL", remedy)
    return value


def _short(value: Any) -> Any:
    """A command alone stands for the mapping."""
    return {"command": value} if isinstance(value, (str, list)) else value


class Notify(ManifestPart):
    """Who is told about the run, through apprise (`python -m pip install apprise`)."""

    env: Annotated[
        list[Annotated[str, AfterValidator(_variable)]],
        Field(max_length=20, examples=[["NTFY_URL"]]),
    ] = []  # noqa: RUF012 - pydantic copies it
    """Names of environment variables, each with one or more addresses of apprise, such as
    ntfy://topic. The addresses are secrets: they stand nowhere but there."""
    on: Annotated[
        list[Annotated[NoticeKind, Field(strict=False)]],
        Field(min_length=1, examples=[["finished", "decision"]]),
    ] = list(NoticeKind)  # noqa: RUF012 - pydantic copies it
    """What is told: that the run has finished, has stopped early, needs a decision, or has used up
    80 % of max_spend."""
    timeout: Annotated[Duration, Field(le=60, examples=[10])] = 10.0
    """Seconds that sending one message may take, at most 60."""


class OnFinish(ManifestPart):
    """A command that is run when the run has ended, with what it came to in its environment."""

    command: Annotated[
        Any,
        BeforeValidator(_command),
        WithJsonSchema({"anyOf": [*_COMMAND["anyOf"], {"type": "null"}]}),
        Field(examples=["./done.sh", ["rsync", "-a", "runs/", "nas:runs/"]]),
    ] = None
    """The command and its arguments; in the folder of the manifest."""
    shell: Annotated[bool, Field(examples=[True])] = False
    """Whether a shell reads the command: pipes, variables, several commands."""
    timeout: Annotated[Duration, Field(le=3_600, examples=["2m"])] = 60.0
    """How long it may take; then it is ended."""

    @model_validator(mode="after")
    def _readable(self) -> OnFinish:
        if self.shell and isinstance(self.command, list):
            raise fault("a shell takes one text", "write the command as one text, or remove shell")
        try:
            words = self.words
        except ValueError as error:
            remedy = "close the quotes, or write the words of the command as a list"
            raise fault(f"the command cannot be read: {error}", remedy) from None
        if self.command is not None and not (words and words[0]):
            raise fault("the command is empty", "write a command such as ./done.sh")
        return self

    @property
    def words(self) -> list[str]:
        """The program and its arguments; empty when there is no command. Raises `ValueError`."""
        if self.command is None:
            return []
        if isinstance(self.command, list):
            return list(self.command)
        return ["/bin/sh", "-c", self.command] if self.shell else shlex.split(self.command)


OnFinishForm = Annotated[
    OnFinish, BeforeValidator(_short, json_schema_input_type=OnFinish | str | list[str])
]
"""Also a command alone."""
