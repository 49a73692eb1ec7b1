"""The house rules that a machine can check: sizes, names, arrows, no trace of a machine."""

from __future__ import annotations

import ast
import re
import subprocess
from collections import Counter

import pytest

from batchgen.core.jobs.job import AttemptState, JobState
from tests.docs.readers import (
    ROOT,
    class_names,
    cycle_in,
    developer_paths,
    imported,
    too_long,
    written_from_outside,
)

PACKAGE = ROOT / "batchgen"
MOST_MODULES = 20


def module_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


SOURCES = {module_of(path): path.read_text("utf-8") for path in sorted(PACKAGE.rglob("*.py"))}


def test_functions_keep_to_the_size_of_the_house():
    assert len(SOURCES) > 50
    found = {module: told for module, source in SOURCES.items() if (told := too_long(source))}
    assert found == {}


def test_what_is_too_long_is_noticed():
    body = "\n".join(f"    x = {number}" for number in range(40))
    docstring = '    """One.\n\n    Two.\n    """\n'
    assert too_long(f"def f():\n{body}\n") == ["f: 41 lines"]
    assert too_long(f"async def f():\n{body}\n") == ["f: 41 lines"]
    assert too_long(f"def f():\n{docstring}{body}\n") == ["f: 41 lines"]
    assert too_long(f"def f():\n{docstring}{body.rpartition(chr(10))[0]}\n") == []


def test_a_class_name_stands_once():
    """One word means one thing: whoever searches for a class finds it at once."""
    found = {name: where for name, where in class_names(SOURCES).items() if len(where) > 1}
    assert found == {}


def test_a_class_name_that_stands_twice_is_noticed():
    found = class_names({"a": "class X: ...", "b": "def f():\n    class X: ..."})
    assert found == {"X": ["a", "b"]}


def test_nobody_writes_the_schedulers_state_from_outside():
    outside = {m: s for m, s in SOURCES.items() if ".core.scheduling" not in m}
    found = {m: told for m, s in outside.items() if (told := written_from_outside(s, "scheduler"))}
    assert found == {}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("self.scheduler.probing = True", ["self.scheduler.probing"]),
        ("scheduler.lookups.candidates[1] = 'r'", ["scheduler.lookups.candidates[1]"]),
        ("x, scheduler.rate.used = 1, 2", ["scheduler.rate.used"]),
        ("scheduler.quota -= 1", ["scheduler.quota"]),
        ("del scheduler.held['m']", ["scheduler.held['m']"]),
        ("self.scheduler = scheduler", []),
        ("scheduler.gates.close(kind, reason, now)", []),
    ],
)
def test_a_write_from_outside_is_noticed(line, told):
    assert written_from_outside(line, "scheduler") == told


def test_no_folder_holds_more_modules_than_one_can_look_through():
    counts = Counter(path.parent for path in PACKAGE.rglob("*.py"))
    assert {str(path): n for path, n in counts.items() if n > MOST_MODULES} == {}


def test_modules_do_not_import_each_other_in_rings():
    arrows = {module: imported(module, source, SOURCES) for module, source in SOURCES.items()}
    assert cycle_in(arrows) == []


def test_a_ring_is_noticed():
    arrows = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()}
    assert cycle_in(arrows) == ["b", "c", "b"]
    text = "def f():\n    from a import b\nif TYPE_CHECKING:\n    from a import c\nimport d\n"
    assert imported("x", text, {"a", "a.b", "a.c", "d"}) == {"a.b", "d"}


def words_of_states(source):
    """Words of states as SQL quotes them."""
    states = "|".join(state.value for kind in (JobState, AttemptState) for state in kind)
    return sorted(set(re.findall(rf"(?:[=>(,]|DEFAULT) *('(?:{states})')", source)))


def test_the_words_of_states_get_into_sql_by_their_enum_alone():
    store = [module for module in SOURCES if module.startswith("batchgen.store.")]
    assert len(store) > 10
    assert {module: told for module in store if (told := words_of_states(SOURCES[module]))} == {}


def test_such_a_word_is_noticed():
    for condition in ("state = 'done'", "a.state NOT IN ('x', 'done')", "state<>'done'"):
        assert words_of_states(condition) == ["'done'"]


def doors_into_the_store(source):
    """Where a module reaches through a store for its ledger or its connection."""
    if not re.search(r"\b(?:ledger|connection)\b", source):
        return []  # spared the parser, as most modules are
    return [
        f"{node.lineno}: .{node.attr}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and node.attr in {"ledger", "connection"}
    ]


BILLS = ("batchgen.providers.segmind.simulator", "batchgen.cli.simulator")
"""The simulated service has a ledger of its own: that of its bills."""


def test_only_the_store_reaches_its_ledger_and_connection():
    others = [m for m in SOURCES if not m.startswith(("batchgen.store", *BILLS))]
    assert {m: found for m in others if (found := doors_into_the_store(SOURCES[m]))} == {}


def test_such_a_door_is_noticed():
    text = "state.ledger.note('a')\nledger.connection.execute('SELECT 1')"
    assert doors_into_the_store(text) == ["1: .ledger", "2: .connection"]
    assert doors_into_the_store("from a.ledger import connection") == []


def files_of_the_project():
    """What is, or could be, committed. A tree without git is taken as it stands."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    names = [name for name in listed.stdout.decode().split("\0") if name]
    paths = [ROOT / name for name in names] or list(ROOT.rglob("*"))
    return [path for path in paths if path.is_file() and ".venv" not in path.parts]


def test_no_path_of_a_developers_machine_is_in_the_tree():
    found = {}
    for path in files_of_the_project():
        text = path.read_bytes().decode("utf-8", "replace")
        if paths := developer_paths(text):
            found[path.relative_to(ROOT).as_posix()] = paths
    assert found == {}


@pytest.mark.parametrize(
    "text",
    [
        "see " + "/home/" + "ada/batchgen",
        "see " + "/Users/" + "ada/batchgen",
        "see C:\\" + "Users\\ada",
        f"see {ROOT}/README.md",
    ],
)
def test_such_a_path_is_noticed(text):
    assert developer_paths(text)
