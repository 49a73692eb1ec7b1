"""One consistent set of columns, whatever the jobs of a run are."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.dataset.columns import FILES, LOADER_NAMES, ColumnSource, Record, Survey
from batchgen.core.dataset.types import ColumnType, as_kind, kind_of, wider

OWN = dict.fromkeys(FILES.natural)


def record(params=None, row=None, **own):
    return Record(OWN | own, params or {}, row or {})


def columns_of(*records):
    survey = Survey()
    for one in records:
        survey.add(one)
    return survey.columns()


def rows_of(*records):
    """The rows without the columns of ours that no test is about."""
    columns = columns_of(*records)
    rows = [columns.row(one) for one in columns.in_order(records)]
    return [{k: v for k, v in row.items() if k not in OWN or v is not None} for row in rows]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([None, None], ColumnType.NOTHING),
        ([True, None], ColumnType.FLAG),
        ([1, 2], ColumnType.WHOLE),
        ([1, 2**53 + 1], ColumnType.LARGE),
        ([2**63], ColumnType.JSON),
        ([1, 2.5], ColumnType.NUMBER),
        ([2**53 + 1, 2.5], ColumnType.JSON),
        ([1, True], ColumnType.JSON),
        (["a", None], ColumnType.TEXT),
        (["2024-01-02", "2024-01-02T03:04:05Z"], ColumnType.STAMP),
        (["2024-01-02", "2024-02-31"], ColumnType.TEXT),
        (["2024-01-02", "soon"], ColumnType.TEXT),
        (["1", 1], ColumnType.JSON),
        ([["a"], "a"], ColumnType.JSON),
        ([{"a": 1}], ColumnType.JSON),
    ],
)
def test_the_kind_of_a_column(values, kind):
    (column,) = [c for c in columns_of(*(record({"p": v}) for v in values)).all if c.name == "p"]
    assert column.kind is kind


def test_a_mixed_column_is_json_text_in_every_row():
    rows = rows_of(*(record({"p": v}) for v in (7, "7", ["b", 1], None)))
    assert [row["p"] for row in rows] == ["7", '"7"', '["b",1]', None]


def test_whole_numbers_among_others_are_written_with_a_fraction():
    first, second = rows_of(record({"p": 1}), record({"p": 2.5}))
    assert (repr(first["p"]), second["p"]) == ("1.0", 2.5)


def test_a_value_that_one_row_has_and_another_not_is_null_there():
    assert rows_of(record({"a": 1}), record({"b": 2})) == [
        {"a": 1, "b": None},
        {"a": None, "b": 2},
    ]


def test_names_of_ours_and_of_loaders_are_kept_free():
    (row,) = rows_of(
        record(
            {"id": "theirs", "image": "u", "x_file_name": "f", "prompt": "p", "seed": 1},
            {"prompt": "q", "seed": 2, "style": "ink", "video": "v"},
            id="a",
            seed=3,
        )
    )
    assert row == {
        "id": "a",
        "param_id": "theirs",
        "param_image": "u",
        "param_x_file_name_": "f",
        "prompt": "p",
        "param_seed": 1,
        "row_prompt": "q",
        "row_seed": 2,
        "style": "ink",
        "row_video": "v",
        "seed": 3,
    }


def test_what_says_the_same_as_the_column_it_would_be_called_like_is_left_out():
    rows = rows_of(
        record({"prompt": "p", "seed": 3}, {"prompt": "p", "seed": 3}, seed=3),
        record({"prompt": "q"}, {"prompt": "q"}, seed=4),
    )
    assert rows == [{"prompt": "p", "seed": 3}, {"prompt": "q", "seed": 4}]


def test_but_not_where_it_is_all_there_is():
    rows = rows_of(record({"prompt": "p"}, {"prompt": "p"}), record({}, {"prompt": "q"}))
    assert rows[1] == {"prompt": None, "row_prompt": "q"}


def test_a_name_that_is_taken_even_with_its_prefix():
    (row,) = rows_of(record({"id": "theirs", "param_id": "own"}, id="a"))
    assert row == {"id": "a", "param_id": "own", "param_id_": "theirs"}


def test_a_type_that_shows_late_is_shown_early():
    records = [record({"n": n}, id=f"{n}") for n in range(3_000)]
    records[2_500] = record({"n": 2_500, "late": 5, "day": "soon"}, id="2500")
    records[10] = record({"n": 10, "day": "2024-01-02"}, id="10")
    records[2_600] = record({"n": 2_600, "late": 6}, id="2600")
    columns = columns_of(*records)

    ids = [one.own["id"] for one in columns.in_order(records)]

    assert ids[:3] == ["2500", "0", "1"]
    assert sorted(ids, key=int) == [f"{n}" for n in range(3_000)]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**65), 2**65)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "a", "7", "2024-01-02"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.just("k"), inner, max_size=1),
    max_leaves=3,
)
NAMES = st.sampled_from(["a", "id", "seed", "image", "param_id", "row_a", "a_file_name", "prompt"])
VALUES = st.dictionaries(NAMES, JSON, max_size=4)
RECORDS = st.lists(
    st.builds(lambda p, r, s: record(p, r, id="x", seed=s), VALUES, VALUES, st.integers(0, 9)),
    min_size=1,
    max_size=6,
)


@given(RECORDS)
def test_every_row_has_the_same_columns_each_of_one_kind_and_no_value_is_lost(records):
    columns = columns_of(*records)
    names = [column.name for column in columns.all]
    assert len(set(names)) == len(names)
    assert not {n for n in names if n.endswith("file_name")} - {"file_name"}
    assert not LOADER_NAMES & set(names)
    for one in records:
        row = columns.row(one)
        assert list(row) == names
        for column in columns.all:
            written = kind_of(row[column.name])
            expected = ColumnType.TEXT if column.kind is ColumnType.JSON else column.kind
            assert wider(written, expected) is expected or column.kind is ColumnType.JSON
            assert column.kind is not ColumnType.JSON or isinstance(row[column.name], str | None)
    assert_no_value_is_lost(columns, records)


def assert_no_value_is_lost(columns, records):
    by_key = {(c.source, c.key): c for c in columns.all}
    for one in records:
        row = columns.row(one)
        for source, values in ((ColumnSource.PARAM, one.params), (ColumnSource.ROW, one.row)):
            for name, value in values.items():
                column = by_key.get((source, name))
                if column is None:
                    over = one.own[name] if name in one.own else one.params.get(name)
                    assert value is None or over == value
                    continue
                found = row[column.name]
                decoded = json.loads(found) if column.kind is ColumnType.JSON and found else found
                assert decoded == value


@given(st.lists(JSON, max_size=6), st.randoms())
def test_a_kind_does_not_depend_on_the_order(values, random):
    def kind(some):
        found = ColumnType.NOTHING
        for value in some:
            found = wider(found, kind_of(value))
        return found

    shuffled = list(values)
    random.shuffle(shuffled)
    assert kind(values) is kind(shuffled)
    for value in values:
        as_kind(value, kind(values))
