"""Names: what is safe, what is made safe, and which names are one file on some disk."""

from __future__ import annotations

import unicodedata
from itertools import product
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.manifest.text.filenames import (
    MAX_FIELD_BYTES,
    NameFaultError,
    check_part,
    check_stem,
    collision_key,
    safe_text,
)
from batchgen.core.manifest.validate.duplicates import Duplicates, digest


@pytest.mark.parametrize(
    "part",
    ["a", "cup-1", "Cup_2", "a.b", "a b", "é", "日本語", "-a", "a" * 200, "con-1", "console", "a@b",
     "é" * 100, "16-9", "👍"],
)  # fmt: skip
def test_safe_parts(part):
    check_part(part)


@pytest.mark.parametrize(
    ("part", "phrase"),
    [
        ("", "is empty"),
        (".", "dot"),
        ("..", "dot"),
        (".hidden", "dot"),
        ("a.", "dot"),
        ("a ", "space"),
        (" a", "space"),
        ("a/b", "holds /"),
        ("a\\b", "holds \\"),
        ("a~2", "holds ~"),
        ("16:9", "holds :"),
        ("a*", "holds *"),
        ("a?", "holds ?"),
        ('a"', 'holds "'),
        ("a<b", "holds <"),
        ("a|b", "holds |"),
        ("a\0", "U+0000"),
        ("a\nb", "U+000A"),
        ("a\x1b[2J", "U+001B"),
        ("a\u202eb", "U+202E"),
        ("a\u00a0", "U+00A0"),
        ("a" * 201, "longer than 200 bytes"),
        ("é" * 101, "longer than 200 bytes"),
        ("\ud800", "surrogate"),
        ("con", "device"),
        ("NUL", "device"),
        ("com1.x", "device"),
    ],
)
def test_unsafe_parts(part, phrase):
    with pytest.raises(NameFaultError) as caught:
        check_part(part)
    assert phrase in str(caught.value)


@pytest.mark.parametrize(
    "stem", ["a", "a/b", "flux-1.5/a", "a/metadata", "x/" * 8 + "a", "a.png", "metadata-1"]
)
def test_safe_stems(stem):
    check_stem(stem)


@pytest.mark.parametrize(
    ("stem", "phrase"),
    [
        ("/a", "its part ''"),
        ("a/", "its part ''"),
        ("a//b", "its part ''"),
        ("../a", "its part '..'"),
        ("a/../../b", "its part '..'"),
        ("a/./b", "its part '.'"),
        ("C:/a", "holds :"),
        ("x/" * 9 + "a", "more than 8 folders"),
        ("a.png/b", "looks like a file"),
        ("metadata", "is taken"),
        ("Metadata", "is taken"),
        ("README", "is taken"),
        ("metadata.jsonl", "is taken"),
    ],
)
def test_unsafe_stems(stem, phrase):
    with pytest.raises(NameFaultError) as caught:
        check_stem(stem)
    assert phrase in str(caught.value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("16:9", "16-9"),
        ("a/../b", "a-..-b"),
        ("../../etc/passwd", "-..-etc-passwd"),
        ("a cup of tea", "a-cup-of-tea"),
        ("", "-"),
        ("...", "-"),
        ("///", "-"),
        (None, "null"),
        (True, "true"),
        (-1.5, "-1.5"),
        ("e\u0301", "é"),
        ("\ud800a", "-a"),
        ("x" * 500, "x" * MAX_FIELD_BYTES),
        ("é" * 500, "é" * (MAX_FIELD_BYTES // 2)),
    ],
)
def test_made_safe(value, text):
    assert safe_text(value) == text


@given(st.text() | st.integers() | st.floats() | st.booleans() | st.none())
def test_whatever_a_field_holds_makes_a_safe_part(value):
    text = safe_text(value)
    check_part(f"x-{text}-x")
    assert len(text.encode()) <= MAX_FIELD_BYTES


PIECES = st.sampled_from(["a", "B", "é", "/", ".", "..", "/../", "//", "\\", "~", "C:", " ", "\0"])


@given(st.lists(PIECES, min_size=1, max_size=6).map("".join) | st.text(alphabet="ab/.", max_size=8))
def test_what_passes_stays_inside_its_folder(stem):
    if not passes(stem):
        return
    for flavour in (PurePosixPath, PureWindowsPath):
        path = flavour(stem)
        assert not path.is_absolute()
        assert not path.drive
        assert ".." not in path.parts
        assert path.as_posix() == stem


def passes(stem):
    try:
        check_stem(stem)
    except NameFaultError:
        return False
    return True


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("cup", "Cup", True),
        ("straße", "STRASSE", True),
        ("é", "e\u0301", True),
        ("É", "e\u0301", True),
        ("ſ", "s", True),
        ("K", "k", True),  # KELVIN SIGN
        ("cup", "cap", False),
        ("a/b", "a-b", False),
    ],
)
def test_collision_keys(one, other, same):
    assert (collision_key(one) == collision_key(other)) is same
    assert (digest(one) == digest(other)) is same


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=20))
def test_a_collision_key_ignores_form_and_simple_case(name):
    key = collision_key(name)
    assert collision_key(unicodedata.normalize("NFD", name)) == key
    assert collision_key(unicodedata.normalize("NFC", name)) == key
    assert collision_key(key) == key


def test_twins_finds_names_given_twice_and_only_those():
    duplicates = Duplicates()
    names = [f"job-{i}-{j}" for i, j in product(range(100), range(50))]
    for name in [*names, "job-7-7", "JOB-8-8", "job-7-7"]:
        duplicates.add(name)
    assert duplicates.found() == {digest("job-7-7"), digest("job-8-8")}
    assert Duplicates().found() == frozenset()
