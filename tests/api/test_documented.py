"""The examples of docs/python.md: they compile, and name nothing that is not there."""

import ast

import pytest

import batchgen
from batchgen.api.batch import EntryKeys
from batchgen.api.options import Options
from tests.docs.readers import DOCUMENTS, blocks, not_in_code

PAGE = DOCUMENTS["docs/python.md"]
OPTIONS = set(Options.__annotations__)
KNOWN = {
    "open": OPTIONS,
    "run": OPTIONS,
    "results": {"run_dir"},
    "add": {"rows", *EntryKeys.__annotations__},
    "Batch": {"name", "defaults", "budget", "folder", "retry", "reconcile", "output"},
}


def unknown_in(source):
    """Names of the package, and arguments, that are not there."""
    tree = compile(source, "docs", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    wrong = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "batchgen":
            wrong += [] if node.attr in batchgen.__all__ else [node.attr]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            known = KNOWN.get(node.func.attr)
            named = {keyword.arg for keyword in node.keywords}
            wrong += sorted(named - known) if known is not None else []
    return wrong


@pytest.mark.parametrize("number", range(4))
def test_examples_name_only_what_is_there(number):
    source = blocks(PAGE, "python")[number].text
    assert "batchgen." in source
    assert unknown_in(source) == []


def test_what_is_not_there_is_noticed():
    assert unknown_in("batchgen.runs()\nasync with batchgen.open('x', rmp=3): pass") == [
        "runs",
        "rmp",
    ]


def test_every_option_and_every_part_of_a_result_is_told():
    names = {*OPTIONS, *batchgen.Result.__dataclass_fields__}
    assert not_in_code(PAGE, sorted(names)) == []
    assert not_in_code(PAGE.replace("`replay`", ""), ["replay"]) == ["replay"]
