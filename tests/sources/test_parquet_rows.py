"""Parquet: the types of columns as JSON has them, or a fault that says which column."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchgen.sources.rows import FileSources

NOON = dt.datetime(2026, 5, 4, 12, 0, 0, 250_000, dt.UTC)


def read(folder, table, **options):
    pq.write_table(table, folder / "rows.parquet", **options)
    return list(FileSources(folder).open("rows.parquet").rows())


COLUMNS = [
    (["a", None, "é"], pa.string(), ["a", None, "é"]),
    (["a"], pa.large_string(), ["a"]),
    (["a", "b", "a"], pa.dictionary(pa.int32(), pa.string()), ["a", "b", "a"]),
    ([1, None, -(2**63)], pa.int64(), [1, None, -(2**63)]),
    ([2**64 - 1], pa.uint64(), [2**64 - 1]),
    ([True, None], pa.bool_(), [True, None]),
    ([0.5, float("nan"), None], pa.float64(), [0.5, None, None]),
    ([0.1, 1e-20, 3.0], pa.float32(), [0.1, 1e-20, 3.0]),
    ([np.float16(0.5)], pa.float16(), [0.5]),
    ([dt.date(2026, 5, 4), None], pa.date32(), ["2026-05-04", None]),
    ([NOON], pa.timestamp("us"), ["2026-05-04T12:00:00.250000"]),
    ([NOON], pa.timestamp("ms"), ["2026-05-04T12:00:00.250000"]),
    ([1_777_896_000_123_456_789], pa.timestamp("ns"), ["2026-05-04T12:00:00.123456"]),
    ([NOON], pa.timestamp("us", "Asia/Tokyo"), ["2026-05-04T12:00:00.250000+00:00"]),
    ([dt.time(8, 30)], pa.time64("ns"), ["08:30:00"]),
    ([Decimal("3.00"), Decimal("0.25"), None], pa.decimal128(5, 2), [3, 0.25, None]),
    ([Decimal("0.12345678901234567890123")], pa.decimal128(30, 23), ["0.12345678901234567890123"]),
    ([["a", None], [], None], pa.list_(pa.string()), [["a", None], [], None]),
    ([[1.0, float("nan")]], pa.list_(pa.float64()), [[1.0, None]]),
    (
        [{"w": 1, "on": dt.date(2026, 5, 4)}, None],
        pa.struct({"w": pa.int32(), "on": pa.date32()}),
        [{"w": 1, "on": "2026-05-04"}, None],
    ),
    ([None, None], pa.null(), [None, None]),
]


@pytest.mark.parametrize(("given", "kind", "expected"), COLUMNS, ids=lambda value: str(value)[:30])
def test_values_become_what_json_has(tmp_path, given, kind, expected):
    rows = read(tmp_path, pa.table({"v": pa.array(given, kind)}))
    found = [row.fields["v"] for row in rows]
    assert found == expected
    assert list(map(type, found)) == list(map(type, expected))
    assert json.dumps(found, allow_nan=False)


def test_rows_are_called_by_their_numbers_and_keep_their_types(tmp_path):
    table = pa.table({"a b": list(range(5000)), "p": [f"cup {n}" for n in range(5000)]})
    rows = read(tmp_path, table, row_group_size=1700)
    assert [row.fields["a b"] for row in rows] == list(range(5000))
    assert (rows[4321].line, rows[4321].number, rows[4321].fields["row"]) == (4322,) * 3
    assert rows[0].fields == {"a b": 0, "p": "cup 0", "row": 1}
    assert not rows[0].untyped


@pytest.mark.parametrize(
    ("column", "what", "remedy"),
    [
        (pa.array([b"x"]), 'the column "v" holds bytes', "give their paths or URLs"),
        (pa.array([{"bytes": b"x", "path": "a"}]), 'the column "v" holds bytes', "leave it out"),
        (pa.array([[b"x"]], pa.list_(pa.large_binary())), "holds bytes", "leave it out"),
        (pa.array([dt.timedelta(1)]), "holds durations", "seconds"),
        (pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int8())), "type map<", "turn it"),
        (pa.array([1.0, float("inf")]), "an infinite number", "finite"),
        (pa.array([2**60], pa.timestamp("us")), "cannot be read", "mend the value"),
    ],
)
def test_what_cannot_be_a_field_names_the_column(tmp_path, column, what, remedy):
    (fault,) = read(tmp_path, pa.table({"v": column}))
    assert what in fault.what
    assert '"v"' in fault.what
    assert remedy in fault.remedy
    assert fault.spot.file == str(tmp_path / "rows.parquet")


def test_two_columns_of_one_name(tmp_path):
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    (fault,) = read(tmp_path, table)
    assert 'two columns are called "a"' in fault.what


def test_what_is_no_parquet_file_or_a_part_of_one_is_a_fault(tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"v": ["x" * 100] * 1000}), path)
    whole = path.read_bytes()
    for data in (b"", b"a,b\n1,2\n", whole[:-10], whole[:200], whole[10:]):
        path.write_bytes(data)
        (fault,) = FileSources(tmp_path).open("rows.parquet").rows()
        assert "no whole Parquet file" in fault.what


def test_without_the_library_the_remedy_installs_it(tmp_path):
    (tmp_path / "rows.parquet").write_bytes(b"PAR1")
    (tmp_path / "rows.jsonl.zst").write_bytes(b"x")
    program = (
        "import sys, pathlib\n"
        "sys.modules['pyarrow'] = sys.modules['zstandard'] = None\n"
        "from batchgen.sources.rows import FileSources\n"
        "for name in ('rows.parquet', 'rows.jsonl.zst'):\n"
        "    print(*FileSources(pathlib.Path(sys.argv[1])).open(name).rows())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert "python -m pip install pyarrow" in done.stdout
    assert "python -m pip install zstandard" in done.stdout
