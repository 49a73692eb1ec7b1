"""Which files, in which shards, under which names; and cells that nothing runs."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.dataset.columns import Record
from batchgen.core.dataset.export import (
    Cutter,
    Filter,
    PlannedFile,
    ShardLimits,
    UnknownFieldError,
    member_names,
    pair_key,
    parse_size,
)
from batchgen.core.dataset.tables import cell


@given(st.lists(st.integers(0, 50), max_size=60), st.integers(1, 9), st.integers(1, 60))
def test_shards_are_as_full_as_their_limits_allow(costs, files, size):
    cutter = Cutter(ShardLimits(files, size))
    shards = {}
    for cost in costs:
        shards.setdefault(cutter.number_of(cost), []).append(cost)
    assert list(shards) == list(range(len(shards)))
    assert [cost for shard in shards.values() for cost in shard] == costs
    for number, shard in shards.items():
        assert len(shard) <= files
        assert sum(shard) <= size or len(shard) == 1
        if number + 1 in shards:
            assert len(shard) == files or sum(shard) + shards[number + 1][0] > size


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("cup.png", "cup"),
        ("flux/ü [1]~2.png", "flux/ü [1]~2"),
        ("a.b.png", r"a_b-[0-9a-f]{8}"),
        ("v1.5/a.png", r"v1_5/a-[0-9a-f]{8}"),
        ("bare", "bare"),
    ],
)
def test_keys_have_no_dots(name, key):
    assert pair_key(name) == key or re.fullmatch(key, pair_key(name))


NAMES = st.text("ab._/", min_size=1, max_size=6).map(lambda stem: f"{stem}.png")


@given(st.sets(NAMES, max_size=30))
def test_keys_stay_apart(names):
    assert len({pair_key(name) for name in names}) == len(names)


@pytest.mark.parametrize(
    ("name", "members"),
    [("a.PNG", ("a.png", "a.json")), ("a.json", ("a.output.json", "a.json"))],
)
def test_the_members_for_a_file_are_two(name, members):
    assert member_names(PlannedFile(name, "", 0, {}), set()) == members


def test_files_of_one_name_and_two_kinds_have_keys_of_their_own():
    keys = set()
    names = [member_names(PlannedFile(name, "", 0, {}), keys) for name in ("a.png", "a.jpg")]
    assert names[0] == ("a.png", "a.json")
    assert len(keys) == 2
    assert all(name.count(".") == 1 for pair in names for name in pair)


RECORD = Record(
    {"id": "a", "width": None, "cost": 0.04},
    {"seed": 7, "on": True, "l": [1]},
    {"id": "x", "label": "cup [v1]"},
)


@pytest.mark.parametrize(
    ("condition", "passes"),
    [
        (("id", "a"), True),
        (("id", "x"), False),
        (("seed", "7"), True),
        (("seed", "?"), True),
        (("seed", "8"), False),
        (("on", "true"), True),
        (("l", "[[]1*"), True),
        (("width", ""), True),
        (("id", ""), False),
        (("width", "*"), False),
        (("cost", "0.0*"), True),
        (("row_id", "x"), True),
        (("param_seed", "7"), True),
        (("label", "cup [v1]"), True),
    ],
)
def test_conditions(condition, passes):
    assert bool(list(Filter((condition,)).passed([RECORD]))) is passes


def test_all_conditions_have_to_hold():
    assert list(Filter((("id", "a"), ("seed", "8"))).passed([RECORD])) == []


def test_a_field_that_nothing_has_is_told_with_those_there_are():
    with pytest.raises(UnknownFieldError) as told:
        list(Filter((("sead", "7"),)).passed([RECORD]))
    assert (told.value.name, told.value.known[:2]) == ("sead", ("id", "width"))
    assert list(Filter((("sead", "7"),)).passed([])) == []
    with pytest.raises(UnknownFieldError):
        list(Filter((("row_seed", "7"),)).passed([RECORD]))


@pytest.mark.parametrize(
    ("text", "size"),
    [("1GB", 10**9), ("512 MiB", 2**29), ("1.5k", 1500), ("7", 7), ("20b", 20)],
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "0", "-1GB", "1XB", "1iB", "1e9"])
def test_what_is_no_size(text):
    with pytest.raises(ValueError):
        parse_size(text)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, ""), (True, "true"), (-1.5, "-1.5"), (7, "7"), ("a cup", "a cup"),
        ("=1+1", "'=1+1"), ("@x", "'@x"), ("-x", "'-x"), ("+x", "'+x"), ("\t=x", "'\t=x"),
    ],
)  # fmt: skip
def test_cells(value, written):
    assert cell(value) == written
