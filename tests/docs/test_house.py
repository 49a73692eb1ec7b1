"""The house rules that a machine can check: sizes, and no trace of anybody's machine."""

from __future__ import annotations

import subprocess

import pytest

from tests.docs.readers import ROOT, developer_paths, too_long

MODULES = sorted((ROOT / "batchgen").rglob("*.py"))


def test_modules_and_functions_keep_to_the_sizes_of_the_house():
    assert len(MODULES) > 50
    found = {
        path.relative_to(ROOT).as_posix(): complaints
        for path in MODULES
        if (complaints := too_long(path.read_text("utf-8")))
    }
    assert found == {}


def test_what_is_too_long_is_noticed():
    body = "\n".join(f"    x = {number}" for number in range(40))
    docstring = '    """One.\n\n    Two.\n    """\n'
    assert too_long(f"def f():\n{body}\n") == ["f: 41 lines"]
    assert too_long(f"async def f():\n{body}\n") == ["f: 41 lines"]
    assert too_long(f"def f():\n{docstring}{body}\n") == ["f: 41 lines"]
    assert too_long(f"def f():\n{docstring}{body.rpartition(chr(10))[0]}\n") == []
    assert too_long("x = 1\n" * 301) == ["module: 301 lines"]
    assert too_long("x = 1\n" * 300) == []


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
