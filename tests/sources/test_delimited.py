"""CSV and TSV: every record is a row, or a fault with its line."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.manifest.rows.row import Row, RowFault
from batchgen.sources.rows import FileSources
from batchgen.sources.rows.row_file import MAX_LINE_BYTES


def read(folder, data, name="rows.csv"):
    (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    return list(FileSources(folder).open(name).rows())


def values(rows):
    return [{k: v for k, v in row.fields.items() if k != "row"} for row in rows]


def test_cells_are_text_and_empty_ones_null(tmp_path):
    text = "a,b,long name\n007,,no\n2024-01-02,16:9, x \n"
    first, second = read(tmp_path, text)
    assert first.fields == {"a": "007", "b": None, "long name": "no", "row": 1}
    assert second.fields == {"a": "2024-01-02", "b": "16:9", "long name": " x ", "row": 2}
    assert (first.line, second.line, first.untyped) == (2, 3, True)
    assert first.spot.file == str(tmp_path / "rows.csv")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("r.csv", "a,b\r\n1,2\r\n", id="lines of Windows"),
        pytest.param("r.csv", "a,b\n1,2", id="no newline at the end"),
        pytest.param("r.csv", "\ufeffa,b\n1,2\n", id="byte order mark"),
        pytest.param("r.csv", '\ufeff"a","b"\r\n"1","2"\r\n', id="mark and quotes"),
        pytest.param("r.csv", "\n\na,b\n\n1,2\n\n", id="blank lines"),
        pytest.param("r.csv", "a;b\n1;2\n", id="semicolons"),
        pytest.param("r.csv", "a\tb\n1\t2\n", id="tabs"),
        pytest.param("R.CSV", "a,b\n1,2\n", id="capitals"),
        pytest.param("r.tsv", "a\tb\n1\t2\n", id="tsv"),
    ],
)
def test_what_programs_write_is_read(tmp_path, name, text):
    (row,) = read(tmp_path, text, name)
    assert row.fields == {"a": "1", "b": "2", "row": 1}


def test_quoted_cells_hold_anything_and_rows_are_called_by_their_first_line(tmp_path):
    text = 'a,b\n"x, ""y""\nz",1\n\n"\n\n",2\nlast,3\n'
    rows = read(tmp_path, text)
    assert [row.fields["a"] for row in rows] == ['x, "y"\nz', "\n\n", "last"]
    assert [row.line for row in rows] == [2, 5, 8]
    (row,) = read(tmp_path, "a;b\n1,5;2\n")
    assert row.fields["a"] == "1,5"
    (row,) = read(tmp_path, 'a\n"x;y"\n')
    assert row.fields["a"] == "x;y"


def test_what_stands_in_quotes_does_not_separate(tmp_path):
    (row,) = read(tmp_path, '"a";"b, c"\n1;"2;3"\n')
    assert row.fields == {"a": "1", "b, c": "2;3", "row": 1}


@pytest.mark.parametrize("text", ["", "a,b\n", "\n\n", "\ufeff"])
def test_a_header_alone_is_no_rows(tmp_path, text):
    assert read(tmp_path, text) == []


BAD = [
    ("1,2,3", "the row has 3 cells, and the header 2", "separators in it in quotes"),
    ("1", "the row has 1 cells, and the header 2", "separators in it in quotes"),
    ('1,"x"y', "a quote stands in the middle", 'write "" for each quote'),
    (b"1,\xe9", "not UTF-8: byte 3 is 0xe9", "CSV UTF-8"),
    (b"1," + b"x" * MAX_LINE_BYTES, "longer than 8 MiB", "the URL where it lies"),
    ("1\r2,3", "a carriage return stands", "line ends"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "what", "remedy"), BAD, ids=lambda value: str(value[:20]))
def test_a_faulty_row_is_told_and_the_next_one_is_read(tmp_path, line, what, remedy):
    line = line if isinstance(line, bytes) else line.encode()
    first, fault, last = read(tmp_path, b"a,b\n1,2\n\n" + line + b"\n3,4\n")
    assert isinstance(fault, RowFault)
    assert (fault.spot.file, fault.spot.line) == (str(tmp_path / "rows.csv"), 4)
    assert what in fault.what
    assert remedy in fault.remedy
    assert (first.fields["row"], last.fields["row"], last.line) == (1, 3, 5)


@pytest.mark.parametrize("rest", ["x\n" * 5, "x" * 100 + ("y" * 999 + "\n") * 9_000])
def test_a_quote_that_is_never_closed_is_one_fault_at_the_line_where_it_opens(tmp_path, rest):
    first, fault = read(tmp_path, 'a,b\n1,2\n3,"' + rest)
    assert isinstance(first, Row)
    assert "never closed" in fault.what
    assert fault.spot.line == 3


@pytest.mark.parametrize(
    ("header", "what"),
    [
        ("a,,b", "column 2 has no name"),
        ("a,b,", "column 3 has no name"),
        ("a, b", 'blanks around the name of the column " b"'),
        ("a,b,a", 'two columns are called "a"'),
        ('a,"b', "never closed"),
        (b"a,\xff", "not UTF-8: byte 3 is 0xff"),
        ("a,b".encode("utf-16"), "not UTF-8: byte 1"),
    ],
)
def test_a_header_that_cannot_be_is_one_fault(tmp_path, header, what):
    header = header if isinstance(header, bytes) else header.encode()
    (fault,) = read(tmp_path, header + b"\n1,2,3\n1,2,3\n")
    assert what in fault.what
    assert fault.spot.line == 1
    assert fault.remedy


CELLS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@given(
    st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=5),
    st.sampled_from(["rows.csv", "rows.tsv"]),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
)
def test_what_was_written_comes_back(tmp_path_factory, records, name, quoting):
    written = io.StringIO()
    mark = "," if name == "rows.csv" else "\t"
    writer = csv.writer(written, delimiter=mark, quoting=quoting)
    writer.writerows([["a", "b"], *records])
    rows = read(tmp_path_factory.getbasetemp(), written.getvalue(), name)
    assert values(rows) == [{"a": a or None, "b": b or None} for a, b in records]


@given(st.binary(max_size=60))
def test_any_bytes_are_rows_or_faults(tmp_path_factory, data):
    for item in read(tmp_path_factory.getbasetemp(), b"a,b\n" + data):
        assert isinstance(item, RowFault) or item.fields.keys() == {"a", "b", "row"}
