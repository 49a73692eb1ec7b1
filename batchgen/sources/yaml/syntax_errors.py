"""What the YAML parser says, in the words of someone who writes manifests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from batchgen.errors import Problem

_MISFIT = (
    "this line does not fit its surroundings",
    (
        "give it the indentation of its neighbours; put text that begins with a quote, * or & "
        "in quotes as a whole"
    ),
)
_BY_PROBLEM: tuple[tuple[str, str, str], ...] = (
    (
        "mapping values are not allowed",
        "a colon stands where no key can be",
        'put text that contains ": " in quotes, and check the indentation of this line',
    ),
    (
        "could not find expected ':'",
        "a key without a colon",
        "write `key: value`; in long text, put it all in quotes or indent it further",
    ),
    ("did not find expected key", *_MISFIT),
    ("expected <block end>", *_MISFIT),
    (
        "did not find expected '-' indicator",
        "this line is not an item of the list above it",
        "begin it with `- ` in the column of the other items, or indent it as part of one",
    ),
    ("unknown escape character", "an unknown escape in double quotes", "write \\\\ or use '…'"),
    (
        "invalid Unicode character escape",
        "an escape that is no character",
        "write the character itself, or \\U with its 8 hexadecimal digits",
    ),
    ("undefined tag handle", "a tag (!…) is used", "remove it; put text that begins with ! in '…'"),
    (
        "document start>",
        "text stands outside the document",
        "remove it; put text that begins with % in quotes",
    ),
    ("unknown directive", "a line begins with %", "put text that begins with % in quotes"),
)
_BY_CONTEXT: tuple[tuple[str, str, str], ...] = (
    ("quoted scalar", "the quote that is opened here is never closed", "close it"),
    ("flow sequence", "the [ that is opened here is never closed", "close it with ]"),
    ("flow mapping", "the { that is opened here is never closed", "close it with }"),
    ("flow node", "a bracket is never closed", "close it with ] or }"),
    ("scanning an anchor", "& without a name", "put text that begins with & in quotes"),
    ("scanning an alias", "* without a name", "put text that begins with * in quotes"),
    ("a tag", "a tag (!…) is used", "remove it; put text that begins with ! in quotes"),
    ("block scalar", "text after | or >", "begin the text on the next line, indented"),
)


def problem_after(before: str, what: str, remedy: str, name: str) -> Problem:
    """A problem at the character after the text `before`."""
    line = before.count("\n") + 1
    column = len(before) - (before.rfind("\n") + 1) + 1
    return Problem(what, remedy, name, line, column)


def complaint(error: yaml.YAMLError, text: str, name: str) -> Problem:
    """A syntax error of the parser as a problem, at the place that wants mending."""
    problem = str(getattr(error, "problem", None) or "")
    context = str(getattr(error, "context", None) or "")
    opened = getattr(error, "context_mark", None)
    mark = getattr(error, "problem_mark", None) or opened
    if "cannot start any token" in problem and mark is not None:
        told = _misplaced(_character_at(text, mark))
        return _at(mark, text, name, told)
    for phrase, *told_about in _BY_PROBLEM:
        if phrase in problem:
            place = opened if "simple key" in context else mark
            return _at(place, text, name, told_about)
    for phrase, *told_about in _BY_CONTEXT:
        if phrase in context:
            return _at(opened or mark, text, name, told_about)
    return _at(mark, text, name, ("this is not YAML", "compare it with the examples in jobs/"))


def _misplaced(character: str) -> tuple[str, str]:
    if character == "\t":
        return "a tab is used as indentation", "indent with spaces"
    what = f"text cannot begin with {character!r} here"
    return what, "put text that begins with this character in quotes"


def _at(mark: Any, text: str, name: str, told: Sequence[str]) -> Problem:
    """At the mark; one at the end of the text lies a line behind the last, and is drawn back."""
    what, remedy = told
    if mark is None:
        return Problem(what, remedy, name)
    last = max(1, len(text.splitlines()))
    line, column = (last, 1) if mark.line >= last else (mark.line + 1, mark.column + 1)
    return Problem(what, remedy, name, line, column)


def _character_at(text: str, mark: Any) -> str:
    """libyaml points at the beginning of the blanks before the character it cannot use."""
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    return line[mark.column :].lstrip(" ")[:1]
