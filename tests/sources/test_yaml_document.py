"""YAML into values and positions: what is read, what is refused and where, and hostile input."""

from __future__ import annotations

import json
import sys

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from batchgen.core.manifest.text.locations import MAX_PROBLEMS
from batchgen.errors import ManifestError
from batchgen.sources.yaml import document
from batchgen.sources.yaml.composer import MAX_DEPTH
from batchgen.sources.yaml.document import MAX_BYTES, parse_document, read_document

both_parsers = pytest.mark.parametrize("pure", [False, True], ids=["c", "python"])


def problems(data, *, pure=False):
    with pytest.raises(ManifestError) as caught:
        parse_document(data, "m.yaml", pure=pure)
    assert all(problem.remedy for problem in caught.value.problems)
    assert all(problem.file == "m.yaml" for problem in caught.value.problems)
    return [(problem.line, problem.column, problem.what) for problem in caught.value.problems]


@both_parsers
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 1", {"a": 1}),
        ("a: '1'\nb: \"true\"\nc: |\n  null\n", {"a": "1", "b": "true", "c": "null\n"}),
        ("a:\nb: ~\n", {"a": None, "b": None}),
        ("- 16:9\n- no\n- 010\n- 2024-01-02\n", ["16:9", "no", "010", "2024-01-02"]),
        ("[1, [2, {a: b}], {}]", [1, [2, {"a": "b"}], {}]),
        ("no: 1\nyes: 2\n", {"no": 1, "yes": 2}),
        ("'1': a\n'': b\n'<<': c\n", {"1": "a", "": "b", "<<": "c"}),
        ("%YAML 1.1\n---\na: no\n...\n", {"a": "no"}),
        ("\ufeffa: 1", {"a": 1}),
        ("a: \"\\x41\\u00e9\\U0001F600\"", {"a": "Aé😀"}),
        ("a: é😀", {"a": "é😀"}),
        ("just text", "just text"),
        ("a: &x [1]\nb: *x\nc: *x\n", {"a": [1], "b": [1], "c": [1]}),
        ("a: &x 1\nb: *x\n", {"a": 1, "b": 1}),
        ("&k a: 1\nb: *k\n", {"a": 1, "b": "a"}),
    ],
)  # fmt: skip
def test_read(text, value, pure):
    assert parse_document(text, pure=pure).value == value
    assert parse_document(text.encode(), pure=pure).value == value


def test_positions_of_keys_and_values():
    document = parse_document("version: 1\njobs:\n  - id: é\n    params: {seed: [1, 22, 3]}\n")
    places = document.positions

    def at(*path):
        key, value = places.key(path), places.value(path)
        return (key.line, key.column), (value.line, value.column)

    assert at() == ((1, 1), (1, 1))
    assert at("version") == ((1, 1), (1, 10))
    assert at("jobs") == ((2, 1), (3, 3))
    assert at("jobs", 0) == ((3, 5), (3, 5))
    assert at("jobs", 0, "params", "seed") == ((4, 14), (4, 20))
    assert at("jobs", 0, "params", "seed", 1) == ((4, 24), (4, 24))


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("jobs", 0, "nothing"), 2),
        (("jobs", 7), 2),
        (("jobs", "x"), 2),
        (("nothing", "at", "all"), 1),
        (("version", "deeper"), 1),
    ],
)
def test_a_path_that_leads_nowhere_ends_at_its_last_known_part(path, line):
    places = parse_document("version: 1\njobs:   [{id: a}]\n").positions
    assert places.value(path).line == line


def test_what_an_alias_brings_in_stands_where_its_anchor_does():
    places = parse_document("a: &x\n  b: 1\nc: *x\n").positions
    assert places.value(("c",)).line == 3
    assert places.value(("c", "b")).line == 2


@both_parsers
@pytest.mark.parametrize(
    ("text", "line", "column", "phrase"),
    [
        ("a: 1\na: 2\n", 2, 1, '"a" stands here a second time'),
        ("a: {b: 1, b: 2}", 1, 11, '"b" stands here a second time'),
        ("a: !!str 1", 1, 4, 'tag "!!str"'),
        ("a: !x [1]", 1, 4, 'tag "!x"'),
        ("a: ! x", 1, 4, 'tag "!"'),
        ("a: !!python/object/apply:os.system [ls]", 1, 4, "!!python/object/apply:os.system"),
        ("1: a", 1, 1, '"1" is not text'),
        ("true: a", 1, 1, '"true" is not text'),
        ("~: a", 1, 1, '"~" is not text'),
        ("a: 1\n? \n: b", 2, 2, '"" is not text'),
        ("a: 1\n: b", 2, 1, "does not fit"),
        ("1.5: a", 1, 1, '"1.5" is not text'),
        ("<<: {a: 1}", 1, 1, "merge keys"),
        ("[a]: b", 1, 1, "a key must be text"),
        ("? {a: b}\n: c", 1, 3, "a key must be text"),
        ("a: &x b\n*x : c", 2, 1, "a key must be text"),
        ("a: *x", 1, 4, "*x refers to nothing"),
        ("a: &x [*x]", 1, 8, "*x refers to nothing"),
        ("a: .nan", 1, 4, "cannot be sent as JSON"),
        ("a: 1\n---\nb: 1", 2, 1, "a second document"),
        ("", 1, 1, "empty"),
        ("# nothing", 1, 1, "empty"),
        ("---\n...\n", 1, 1, "empty"),
        ("~", 1, 1, "empty"),
        ("a:\n\t- b", 2, 1, "a tab"),
        ("a: @x", 1, 4, "cannot begin with '@'"),
        ("a: 'x", 1, 4, "never closed"),
        ("a: \"x", 1, 4, "never closed"),
        ("a: [1", 1, 4, "never closed"),
        ("a: {b: 1", 1, 4, "never closed"),
        ("a: 1\nb", 2, 1, "a key without a colon"),
        ("a: b: c", 1, 5, "a colon stands where no key can be"),
        ("- a\nb", 2, 1, "a key without a colon"),
        ("- a\nb: c", 2, 1, "this line "),
        ("a:\n  - b\n c: d", 3, 2, "does not fit"),
        ("a: 'b' c", 1, 8, "does not fit"),
        ("a: \"\\q\"", 1, 5, "unknown escape"),
        ("a: !b!c d", 1, 4, "tag"),
        ("--- a\n...\nb", 3, 1, "outside the document"),
        ("a: |x\n  b", 1, 4, "text after"),
    ],
)  # fmt: skip
def test_refused_with_its_place(text, line, column, phrase, pure):
    found = problems(text, pure=pure)
    assert len(found) == 1
    assert phrase in found[0][2]
    assert found[0][0] == line
    assert pure or found[0][1] == column  # the two parsers may differ by a character


@pytest.mark.parametrize(
    ("data", "line", "column", "phrase"),
    [
        (b"a: \xe9", 1, 4, "0xE9 is not UTF-8"),
        (b"a: 1\nb: \xc3\xa9\xff", 2, 5, "0xFF is not UTF-8"),
        ("a: 1".encode("utf-16"), 1, 1, "UTF-16"),
        (b"a: x\0y", 1, 5, "U+0000"),
        (b"a: \x1b[2J", 1, 4, "U+001B"),
        ("a: \ud800", 1, 4, "surrogate"),
        ("a: x\ufeff", 1, 5, "U+FEFF"),
    ],
)
def test_what_is_no_text_is_refused(data, line, column, phrase):
    ((found_line, found_column, what),) = problems(data)
    assert (found_line, found_column) == (line, column)
    assert phrase in what


@both_parsers
def test_escapes_of_half_characters_are_refused(pure):
    assert len(problems('a: "\\ud83d"', pure=pure)) == 1


def test_everything_wrong_is_told_at_once():
    found = problems("a: 1\na: 2\nb: !x 3\n4: 5\nc: .inf\nc: {d: 1, d: 2}\n")
    assert [line for line, _, _ in found] == [2, 3, 4, 5, 6, 6]


def test_problems_before_an_error_of_syntax_are_told_with_it():
    assert [line for line, _, _ in problems("a: 1\na: 2\nb: [")] == [2, 3]


def test_reading_ends_after_many_problems():
    assert len(problems("a: 1\n" * 5_000)) == MAX_PROBLEMS


def test_the_first_of_duplicates_keeps_the_positions_right():
    text = "a: 1\na: [1, 2]\nb: {c: 1}\nd: !x 1\n"
    assert [line for line, _, _ in problems(text)] == [2, 4]


@both_parsers
@pytest.mark.parametrize("text", ["[" * 200_000, "{a: " * 100_000, "- " * 400], ids=len)
def test_deep_nesting_is_refused_at_the_first_level_too_many(text, pure):
    ((_, _, what),) = problems(text, pure=pure)
    assert str(MAX_DEPTH) in what


@both_parsers
@pytest.mark.parametrize(
    ("before", "place"),
    [
        ("", (1, 65)),
        ("# [[[[ don't\na: ", (2, 4 + 63)),  # the mapping is one level
        ("a: {b: 'it''s [', c: \"\\\"[\"}\nd:\n- ", (3, 3 + 62)),  # the list is another
    ],
)
def test_the_bound_is_ours_wherever_the_parser_has_its_own(before, place, pure):
    """A C parser that reads ahead refuses 1,000 brackets in a row before it gives one of them."""
    ((line, column, what),) = problems(before + "[" * 5_000, pure=pure)
    assert str(MAX_DEPTH) in what
    assert (line, column) == place


@both_parsers
def test_brackets_that_nest_nothing_are_no_depth(pure):
    text = "a: ['" + "[" * 2_000 + "', \"" + "[" * 2_000 + '"\nb: c: d'
    ((_, _, what),) = problems(text, pure=pure)
    assert "nested deeper" not in what


def test_the_deepest_nesting_allowed_is_read():
    assert parse_document("[" * MAX_DEPTH + "]" * MAX_DEPTH).value
    assert problems("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))


def bomb(levels):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(1, levels):
        aliases = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} [{aliases}]")
    return "\n".join(lines)


def test_aliases_may_be_used_but_not_as_a_bomb():
    assert parse_document(bomb(3)).value["a2"][9][9] == ["x"] * 10
    ((line, _, what),) = problems(bomb(50))
    assert line == 5
    assert "blow the document up" in what


def test_aliases_in_a_chain_of_mappings_count_too():
    text = "a: &a {k: 1}\n" + "".join(f"b{i}: *a\n" for i in range(60_000))
    assert "blow the document up" in problems(text)[0][2]


def test_a_document_beyond_the_cap_is_refused_unread(tmp_path):
    path = tmp_path / "large.yaml"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(ManifestError, match="larger than 64 MiB"):
        read_document(path)


def test_files_that_cannot_be_read(tmp_path):
    for path, phrase in [
        (tmp_path / "none.yaml", "no such file"),
        (tmp_path, "this is a directory"),
        (tmp_path / "a" / ("x" * 300), "no such file|cannot be read"),
        (tmp_path / "nul\0.yaml", "cannot be read"),
    ]:
        with pytest.raises(ManifestError, match=phrase) as caught:
            read_document(path)
        assert caught.value.problems[0].remedy


def test_a_file_is_named_in_its_problems(tmp_path):
    path = tmp_path / "m.yaml"
    path.write_text("a: 1\na: 2\n")
    with pytest.raises(ManifestError) as caught:
        read_document(path)
    assert str(caught.value).startswith(f"{path}:2:1: ")


def test_the_parser_in_c_is_used_where_there_is_one():
    assert yaml.__with_libyaml__
    assert document._PARSERS[0] is yaml.CSafeLoader


def calls_made_by(function):
    """How many functions, in Python and in C, a call runs through: a cost that never wavers."""
    count = 0

    def note(_frame, event, _argument):
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


def test_the_cost_of_composing_grows_with_the_text_and_no_faster():
    line = (
        "- {id: job-%d, model: flux-pro, params: {prompt: a cup, seed: %d, aspect_ratio: 16:9}}\n"
    )
    texts = ["".join(line % (i, i) for i in range(count)) for count in (100, 1_000)]
    costs = [calls_made_by(lambda text=text: parse_document(text)) for text in texts]
    event_count = 16 * 1_000
    assert costs[1] < 10.5 * costs[0]
    assert costs[1] < 8 * event_count


SNIPPETS = st.sampled_from(
    ["a: ", "- ", "\n", "  ", "\t", "[", "]", "{", "}", ",", "'", '"', "&x ", "*x", "!t ", "|", ">",
     "? ", ": ", "#", "%", "@", "---", "...", "<<: ", "\\u12", "1", "0x", ".inf", "é", "\u2028",
     "\x85", "\r", "\0", "\ufeff", "\U0001f600", "~", "no", "- - ", "`", "=", "null"]
)  # fmt: skip


@given(
    st.binary(max_size=200) | st.lists(SNIPPETS, max_size=25).map("".join) | st.text(max_size=100)
)
@example('"\\ud800"')
@example("\ud800")
@example("? - a\n  - b\n: c")
@example("a: \u2028b")
@example("&x")
@both_parsers
def test_any_bytes_are_a_document_or_a_manifest_error(pure, data):
    document, error = outcome(data, pure=pure)
    if error is None:
        walk(document.value, document.positions, ())
    else:
        assert error.problems
        assert all(problem.what and problem.remedy for problem in error.problems)
        assert str(error).replace("\n", "").isprintable()


def outcome(data, *, pure):
    try:
        return parse_document(data, "x", pure=pure), None
    except ManifestError as error:
        return None, error


def walk(value, places, path):
    """Every value reached is plain, and stands somewhere."""
    assert places.value(path).line >= 1
    assert places.key(path).column >= 1
    if isinstance(value, dict):
        for key, item in value.items():
            assert type(key) is str
            walk(item, places, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            walk(item, places, (*path, index))
    else:
        assert type(value) in {str, int, float, bool, type(None)}


TEXT = st.text(
    st.characters(
        exclude_categories=("Cs", "Cc"), exclude_characters="\ufeff\u2028\u2029\x85\ufffe\uffff"
    )
)
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from("abc"), PLAIN, min_size=1))
def test_json_means_the_same_here(value):
    assert parse_document(json.dumps(value, ensure_ascii=False)).value == value
