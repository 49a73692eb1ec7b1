"""Files of rows: every line is a row, a blank, or a fault with its number."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.manifest.rows.row import Row, RowFault, SourceError
from batchgen.sources.rows import FileSources
from batchgen.sources.rows.row_file import MAX_LINE_BYTES


def read(folder, data, name="rows.jsonl"):
    (folder / name).write_bytes(data)
    return list(FileSources(folder).open(name).rows())


def test_one_row_a_line(tmp_path):
    first, second = read(tmp_path, b'{"a": 1}\n{"a": "\xc3\xa9"}\n')

    assert (first.line, first.number, first.fields) == (1, 1, {"a": 1, "row": 1})
    assert (second.line, second.number, second.fields) == (2, 2, {"a": "é", "row": 2})
    assert second.spot.file == str(tmp_path / "rows.jsonl")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b'{"a": 1}\n{"a": 2}', id="no newline at the end"),
        pytest.param(b'{"a": 1}\r\n{"a": 2}\r\n', id="lines of Windows"),
        pytest.param(b'\xef\xbb\xbf{"a": 1}\n{"a": 2}\n', id="byte order mark"),
        pytest.param(b'\n  \n{"a": 1}\n\t\n\n{"a": 2}\n\n', id="blank lines"),
        pytest.param(b'\xef\xbb\xbf\n {"a": 1} \n{"a": 2}', id="mark alone, blanks around"),
        pytest.param('{"a": 1}\n\u2028{"a": 2}'.encode(), id="other blanks"),
    ],
)
def test_what_editors_leave_around_rows_does_not_matter(tmp_path, data):
    assert [(row.number, row.fields["a"]) for row in read(tmp_path, data)] == [(1, 1), (2, 2)]


def test_the_number_of_a_row_hides_a_field_of_that_name(tmp_path):
    (row,) = read(tmp_path, b'{"row": "mine"}')
    assert row.fields == {"row": 1}


LONG = b'{"a": "' + b"x" * MAX_LINE_BYTES + b'"}\n'


@pytest.mark.parametrize(
    ("line", "what", "remedy"),
    [
        (b'{"a": 1', "not JSON", "one JSON object a line"),
        (b"[1, 2]", "this is a list", "one object a line"),
        (b'{"a": "\xff"}', "not UTF-8: byte 8 is 0xff", "save the file as UTF-8"),
        (b'{"a": 1, "a": 2}', "stands in it twice", "remove one"),
        (b'{"a": NaN}', "NaN is not JSON", "finite"),
        (LONG.rstrip(), "longer than 8 MiB", "the URL where it lies"),
    ],
    ids=lambda value: str(value[:20]),
)
def test_a_faulty_line_is_told_and_the_next_one_is_read(tmp_path, line, what, remedy):
    first, fault, last = read(tmp_path, b'{"a": 1}\n\n' + line + b'\n{"a": 3}\n')

    assert isinstance(fault, RowFault)
    assert (fault.spot.line, fault.spot.file) == (3, str(tmp_path / "rows.jsonl"))
    assert what in fault.what
    assert remedy in fault.remedy
    assert (first.fields["a"], last.fields["a"], last.line) == (1, 3, 4)


def test_a_line_of_many_megabytes_without_an_end_is_one_fault(tmp_path):
    (fault,) = read(tmp_path, LONG.rstrip() * 3)
    assert "longer than 8 MiB" in fault.what


def test_a_file_of_another_encoding_says_so(tmp_path):
    fault, *_ = read(tmp_path, '{"a": 1}\n'.encode("utf-16"))
    assert "not UTF-8" in fault.what


def test_a_file_that_went_away_is_a_fault(tmp_path):
    (tmp_path / "rows.jsonl").write_text("{}")
    source = FileSources(tmp_path).open("rows.jsonl")
    (tmp_path / "rows.jsonl").unlink()

    (fault,) = source.rows()
    assert "No such file" in fault.what


@given(st.lists(st.sampled_from([b"{}", b'{"a": 1}', b"", b"x", b"\xff", b"\r", b"[]"])))
def test_every_line_that_is_not_blank_is_a_row_or_a_fault(tmp_path_factory, lines):
    items = read(tmp_path_factory.getbasetemp(), b"\n".join(lines))
    assert len(items) == sum(bool(line.strip()) for line in lines)
    rows = sum(isinstance(item, Row) for item in items)
    assert rows == sum(line in {b"{}", b'{"a": 1}'} for line in lines)


# ------------------------------------------------------------------ which file


@pytest.mark.parametrize(
    ("name", "what", "remedy"),
    [
        ("none.jsonl", "there is no file", "relative to the folder"),
        ("rows.txt", "does not say how to read", ".csv, .tsv or .jsonl"),
        ("rows", "there is no file or folder", "relative to the folder"),
        ("folder.jsonl", "no pictures, video or sound in the folder", "folder.jsonl/*.csv"),
        ("pipe.jsonl", "not a regular file", "not a pipe"),
        ("a\0b.jsonl", "cannot be read", "mend"),
        ("x" * 5000 + ".jsonl", "cannot be read: File name too long", "mend"),
    ],
    ids=lambda value: value[:20],
)
def test_what_cannot_be_a_source_is_refused_with_a_remedy(tmp_path, name, what, remedy):
    (tmp_path / "folder.jsonl").mkdir()
    os.mkfifo(tmp_path / "pipe.jsonl")

    with pytest.raises(SourceError) as caught:
        FileSources(tmp_path).open(name)

    assert what in caught.value.what
    assert remedy in caught.value.remedy


def test_a_file_is_known_by_size_and_time_and_by_content(tmp_path):
    files, path = FileSources(tmp_path), tmp_path / "rows.jsonl"
    path.write_text("{}")
    os.utime(path, ns=(5, 7))

    stamp = files.stamp("rows.jsonl")
    assert (stamp.size, stamp.mtime_ns) == (2, 7)
    assert files.digest("rows.jsonl").startswith("44136fa355b3678a")
    assert not stamp.is_rewritten(files.stamp("rows.jsonl"))


@pytest.mark.parametrize(
    ("change", "is_rewritten"),
    [
        (lambda path: path.write_text("[]"), True),
        (lambda path: path.write_text("{} "), True),
        (
            lambda path: (
                path.with_name("new").write_text("{}"),
                path.with_name("new").rename(path),
            ),
            True,
        ),
        (lambda path: path.chmod(0o600), False),
        (lambda path: path.with_name("link").hardlink_to(path), False),
        (lambda path: path.read_text(), False),
    ],
    ids=["written", "longer", "replaced", "chmod", "linked", "read"],
)
def test_who_writes_a_file_is_told_from_who_only_looks_after_it(tmp_path, change, is_rewritten):
    files, path = FileSources(tmp_path), tmp_path / "rows.jsonl"
    path.write_text("{}")
    os.utime(path, ns=(5, 7))
    before = files.stamp("rows.jsonl")

    change(path)

    assert before.is_rewritten(files.stamp("rows.jsonl")) is is_rewritten


def test_paths_are_relative_to_the_manifest_or_absolute(tmp_path):
    (tmp_path / "rows.jsonl").write_text("{}")
    (tmp_path / "sub").mkdir()

    for name in ("../rows.jsonl", str(tmp_path / "rows.jsonl")):
        assert len(list(FileSources(tmp_path / "sub").open(name).rows())) == 1
