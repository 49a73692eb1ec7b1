"""Reading Markdown documents: what they hold, and what a list of things is missing in them.

Checkers take text and return what is wrong, so that a test can also hold them against a text that
is wrong on purpose.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = {
    path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
    for path in [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
}
"""Every document by its path."""
USER_DOCS = "\n".join(
    text for name, text in DOCUMENTS.items() if name == "README.md" or name.startswith("docs/")
)
"""What a user is told to read."""

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^()\s]+)\)")
_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_PATH = re.compile(r"(?:batchgen|docs|jobs|scripts|tests)/[\w./-]*\w")


@dataclass(frozen=True)
class Block:
    """One fenced block: its language and its text."""

    language: str
    text: str


def blocks(text: str, *languages: str) -> list[Block]:
    """The fenced blocks of a document, in these languages."""
    found = [Block(*match.groups()) for match in _FENCE.finditer(text)]
    return [block for block in found if block.language in languages]


def without_blocks(text: str) -> str:
    """A document without its fenced blocks."""
    return _FENCE.sub("", text)


def code_spans(text: str) -> list[str]:
    """What stands in inline code."""
    return _CODE.findall(without_blocks(text))


def section(text: str, heading: str) -> str:
    """The text under a heading, up to the next one of the same level; empty when there is none."""
    lines = text.splitlines()
    if heading not in lines:
        return ""
    level = heading.partition(" ")[0]
    begin = lines.index(heading) + 1
    end = next((i for i in range(begin, len(lines)) if lines[i].startswith(f"{level} ")), None)
    return "\n".join(lines[begin:end])


def anchors(text: str) -> set[str]:
    """The anchors of a document's headings, as they are made where it is shown."""
    headings = re.findall(r"^#+ (.+)$", without_blocks(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(name: str, text: str, documents: Mapping[str, str]) -> list[str]:
    """Relative links that lead nowhere, to a file or to a heading of a document."""
    broken = []
    for target in _LINK.findall(without_blocks(text)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        place = (ROOT / name).parent / path if path else ROOT / name
        if not place.exists():
            broken.append(target)
        elif anchor:
            there = place.resolve().relative_to(ROOT).as_posix()
            if anchor not in anchors(text if not path else documents.get(there, "")):
                broken.append(target)
    return broken


def missing_paths(text: str) -> list[str]:
    """Paths of this project in inline code or in commands that are not there."""
    spans = [span for span in code_spans(text) if _PATH.fullmatch(span)]
    words = [word for command in commands_in(text) for word in command if _PATH.fullmatch(word)]
    return [path for path in [*spans, *words] if not (ROOT / path).exists()]


def commands_in(text: str) -> Iterator[list[str]]:
    """The words of every shell command in a document's `console` blocks, and of inline ones."""
    for block in blocks(text, "console"):
        for line in block.text.splitlines():
            if line.startswith("$ "):
                typed = re.sub(r"\s#.*", "", line[2:])
                for part in re.split(r"&&|;|\|", typed):
                    yield shlex.split(part)
    for span in code_spans(text):
        if re.match(r"(?:batchgen|make|python -m) [\w.-]", span):
            yield span.translate(str.maketrans("", "", "[]")).split()


OTHER_PROGRAMS = {"cd", "export", "git"}
OTHER_MODULES = {"pip"}
"""What is not ours and may stand in an example: programs, and what `python -m` runs."""


def wrong_command(words: list[str], known: Mapping[str, click.Command], makefile: str) -> str:
    """What is wrong with a command; empty when it can be typed as it stands."""
    if not words or words[0] in OTHER_PROGRAMS:
        return ""
    program, *rest = words
    if program == "make":
        goals = [word for word in rest if "=" not in word]
        return ", ".join(f"no target {goal}" for goal in goals if goal not in targets(makefile))
    if program == "python" and rest[:1] == ["-m"]:
        path = ROOT.joinpath(*rest[1].split("."))
        there = (
            rest[1] in OTHER_MODULES
            or path.with_suffix(".py").exists()
            or (path / "__main__.py").exists()
        )
        return "" if there else f"no module {rest[1]}"
    if program != "batchgen":
        return f"no program {program}"
    return _wrong_arguments(rest, known)


def _wrong_arguments(words: list[str], known: Mapping[str, click.Command]) -> str:
    name = f"batchgen {words[0]}" if words and not words[0].startswith("-") else "batchgen"
    if name not in known:
        return f"no command {name}"
    options = {flag for parameter in known[name].params for flag in parameter.opts}
    used = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    return ", ".join(f"no option {flag}" for flag in sorted(used - options - {"-h", "--help"}))


def unparsable(words: list[str], known: Mapping[str, click.Command]) -> str:
    """What click says to a `batchgen` command of an example; empty when it takes it."""
    command = known.get(" ".join(words[:2]))
    if command is None or "--help" in words:
        return ""
    try:
        command.make_context(words[1], words[2:])
    except click.ClickException as error:
        return error.format_message()
    return ""


def targets(makefile: str) -> set[str]:
    """The targets that a Makefile has a rule for; `.PHONY` alone makes none."""
    return set(re.findall(r"^([a-z][a-z-]*):(?!=)", makefile, re.MULTILINE))


def undocumented_options(text: str, known: Mapping[str, click.Command]) -> list[str]:
    """Commands without a section of their own, and options that it does not name."""
    missing = []
    for name, command in known.items():
        part = section(text, f"## `{name}`")
        if not part:
            missing.append(name)
        flags = [flag for parameter in command.params for flag in parameter.opts if "--" in flag]
        missing += [f"{name} {flag}" for flag in flags if not _names(part, flag)]
    return missing


def _names(text: str, word: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) is not None


def not_in_code(text: str, words: Iterable[str]) -> list[str]:
    """Words that no inline code of a document consists of."""
    spans = set(code_spans(text))
    return [word for word in words if word not in spans]


def rows_without(text: str, firsts: Iterable[str]) -> list[str]:
    """Which of these stand at the beginning of no row of a table, as inline code."""
    found = set(re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE))
    return [first for first in firsts if first not in found]


def environment_names(source: str) -> set[str]:
    """The environment variables that a module reads by name.

    Raises `LookupError` where a name is neither a text nor a constant of the module.
    """
    if not re.search("environ|getenv", source):
        return set()  # spared the parser, as most modules are
    tree = ast.parse(source)
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    names = set()
    for node in ast.walk(tree):
        key = _environment_key(node)
        if isinstance(key, ast.Constant):
            names.add(key.value)
        elif isinstance(key, ast.Name) and key.id in constants:
            names.add(constants[key.id])
        elif key is not None:
            raise LookupError(f"line {key.lineno}: which variable is read?")
    return names


def _environment_key(node: ast.AST) -> ast.expr | None:
    if isinstance(node, ast.Subscript) and _is_environment(node.value):
        return node.slice
    if not (isinstance(node, ast.Call) and node.args and isinstance(node.func, ast.Attribute)):
        return None
    reads = node.func.attr in {"get", "setdefault", "pop"} and _is_environment(node.func.value)
    return node.args[0] if reads or node.func.attr == "getenv" else None


def _is_environment(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "environ"


def too_long(source: str, *, function_lines: int = 40) -> list[str]:
    """Functions that are longer, without their docstrings, than the house allows."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node, clean=False)
            length = (node.end_lineno or 0) - node.lineno + 1
            length -= docstring.count("\n") + 1 if docstring else 0
            if length > function_lines:
                found.append(f"{node.name}: {length} lines")
    return found


def class_names(sources: Mapping[str, str]) -> dict[str, list[str]]:
    """Where each class is defined: name to modules."""
    found: dict[str, list[str]] = {}
    for module, source in sources.items():
        tree = ast.parse(source if "class " in source else "")
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append(module)
    return found


def imported(module: str, source: str, modules: Container[str]) -> set[str]:
    """Which of `modules` a module imports, anywhere in it, but for the sake of types alone."""
    found = set()
    for node in _without_type_checking(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if name in modules else node.module for name in names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name in modules and name != module}


def _without_type_checking(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            continue
        yield node
        yield from _without_type_checking(node)


def cycle_in(arrows: Mapping[str, set[str]]) -> list[str]:
    """Modules that import each other in a ring, the first found; empty where there is none."""
    left = {module: set(targets) for module, targets in arrows.items()}
    while ends := [module for module, targets in left.items() if not targets & left.keys()]:
        for module in ends:
            del left[module]
    if not left:
        return []
    path = [min(left)]
    while path.count(path[-1]) == 1:
        path.append(min(left[path[-1]] & left.keys()))
    return path[path.index(path[-1]) :]


HOMES = re.compile(r"/(?:home|Users)/[A-Za-z][\w.-]*/|[A-Za-z]:\\\\?Users\\")


def developer_paths(text: str) -> list[str]:
    """Paths in a text that exist on one developer's machine only."""
    here = re.findall(re.escape(f"{ROOT}/"), text)
    return [*HOMES.findall(text), *here]


def written_from_outside(source: str, name: str) -> list[str]:
    """Assignments to what belongs to an object of this name, as `name.part = 1` is."""
    if name not in source:
        return []  # spared the parser, as most modules are
    found = []
    for node in ast.walk(ast.parse(source)):
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign | ast.Delete):
            targets = list(node.targets)
        elif isinstance(node, ast.AugAssign | ast.AnnAssign):
            targets = [node.target]
        for target in targets:
            for part in target.elts if isinstance(target, ast.Tuple) else [target]:
                written = part.value if isinstance(part, ast.Attribute | ast.Subscript) else None
                if written is not None and name in _names_of(written):
                    found.append(ast.unparse(part))
    return sorted(found)


def _names_of(node: ast.AST) -> set[str]:
    return {
        part.attr if isinstance(part, ast.Attribute) else part.id
        for part in ast.walk(node)
        if isinstance(part, ast.Attribute | ast.Name)
    }
