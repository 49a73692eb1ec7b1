"""Which files a `from:` means, packed or not, and how they are known again."""

from __future__ import annotations

import gzip
import os

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.manifest.rows.row import Row, RowFault, SourceError
from batchgen.sources.rows import FileSources
from batchgen.sources.rows.row_file import MAX_LINE_BYTES

ROWS = b"".join(b'{"n": %d}\n' % n for n in range(1000))


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def fields(folder, name, key="path"):
    return [row.fields[key] for row in FileSources(folder).open(name).rows()]


# ------------------------------------------------------------------ packed


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("r.jsonl.gz", gzip.compress),
        ("r.jsonl.zst", zstandard.ZstdCompressor().compress),
        ("R.JSONL.GZ", lambda data: gzip.compress(data[:500]) + gzip.compress(data[500:])),
        (
            "r.ndjson.zst",
            lambda data: b"".join(
                zstandard.ZstdCompressor().compress(part) for part in (data[:70], data[70:])
            ),
        ),
    ],
)
def test_packed_files_are_read_to_their_end(tmp_path, name, pack):
    (tmp_path / name).write_bytes(pack(ROWS))
    assert fields(tmp_path, name, "n") == list(range(1000))


@pytest.mark.parametrize(
    ("name", "pack"),
    [("r.csv.gz", gzip.compress), ("r.csv.zst", zstandard.ZstdCompressor().compress)],
)
def test_a_packed_file_that_was_cut_or_is_none_is_a_fault(tmp_path, name, pack):
    whole = pack(b"n\n" + b"".join(b"%d\n" % n for n in range(9000)))
    for data, what in (
        (whole[:-1], "was cut"),
        (whole[: len(whole) // 2], "was cut"),
        (b"n\n1\n", "cannot be read"),
        (whole + b"rubbish", "cannot be read"),
    ):
        (tmp_path / name).write_bytes(data)
        *_, fault = FileSources(tmp_path).open(name).rows()
        assert isinstance(fault, RowFault)
        assert what in fault.what
        assert (fault.spot.file, fault.spot.line) == (str(tmp_path / name), 0)


@pytest.mark.parametrize(
    ("name", "pack"),
    [("r.jsonl.gz", gzip.compress), ("r.jsonl.zst", zstandard.ZstdCompressor().compress)],
)
def test_a_line_that_unpacks_to_many_megabytes_is_one_fault(tmp_path, name, pack):
    (tmp_path / name).write_bytes(pack(b"x" * 4 * MAX_LINE_BYTES + b'\n{"n": 1}\n'))
    fault, row = FileSources(tmp_path).open(name).rows()
    assert "longer than 8 MiB" in fault.what
    assert row.fields["n"] == 1


# ------------------------------------------------------------------ patterns and folders


def test_rows_of_several_files_are_numbered_through_in_sorted_order(tmp_path):
    (tmp_path / "b.csv").write_text("n\n3\n4\n")
    (tmp_path / "a.jsonl").write_text('{"n": "1"}\n\nnonsense\n')
    (tmp_path / "c.tsv.gz").write_bytes(gzip.compress(b"n\n5\n"))
    items = list(FileSources(tmp_path).open("[abc].*").rows())
    rows = [item for item in items if not isinstance(item, RowFault)]
    assert [(row.fields["row"], row.fields["n"], row.line) for row in rows] == [
        (1, "1", 1), (3, "3", 2), (4, "4", 3), (5, "5", 2),
    ]  # fmt: skip
    assert [row.spot.file for row in rows][1] == str(tmp_path / "b.csv")
    assert len(items) == 5


def test_a_name_with_brackets_is_a_file_where_there_is_one(tmp_path):
    (tmp_path / "a[1].csv").write_text("n\n1\n")
    (tmp_path / "a1.csv").write_text("n\n2\n")
    assert fields(tmp_path, "a[1].csv", "n") == ["1"]
    (tmp_path / "a[1].csv").unlink()
    assert fields(tmp_path, "a[1].csv", "n") == ["2"]


def test_folders_that_are_called_like_patterns_are_meant_as_they_stand(tmp_path):
    touch(tmp_path, "a [2024]/b [x]/c.png", "a 2/b x/d.png", "a [2024]/e.png")
    assert fields(tmp_path, "a [2024]/*.png") == ["a [2024]/e.png"]
    assert fields(tmp_path, "a [2024]/b [x]/*.png") == ["a [2024]/b [x]/c.png"]
    assert fields(tmp_path, "a [2]/b [x]/*.png") == ["a 2/b x/d.png"]


def test_what_the_run_writes_is_no_row_of_it(tmp_path):
    touch(tmp_path, "a.png", "runs/x/outputs/1.png", "runs/x/b.png", "runs/y/c.png", "out/2.png")
    (tmp_path / "link").symlink_to(tmp_path / "out")
    files = FileSources(tmp_path, (tmp_path / "runs/x", tmp_path / "link"))
    (entry, other) = files.open("**/*.png").rows()
    assert (entry.fields["path"], other.fields["path"]) == ("a.png", "runs/y/c.png")
    assert files.stamp("**/*.png").file_count == 2
    for name in ("runs/x/outputs", "out/", "link/*.png", "runs/x/**/*.png"):
        with pytest.raises(SourceError, match="where the run puts its results"):
            files.open(name)


def test_media_are_rows(tmp_path):
    touch(tmp_path, "photos/10.png", "photos/2.JPG", "photos/cat/a.b.webp", "photos/.hidden.png")
    touch(tmp_path, "photos/notes.txt", "photos/Thumbs.db")
    (row, _) = FileSources(tmp_path).open("photos/").rows()
    assert row.fields == {
        "path": "photos/10.png", "name": "10.png", "stem": "10", "folder": "photos", "row": 1,
    }  # fmt: skip
    assert (row.spot.file, row.spot.line) == (str(tmp_path / "photos/10.png"), 0)
    for name in ("photos", "photos/", "./photos", str(tmp_path / "photos")):
        assert fields(tmp_path, name, "name") == ["10.png", "2.JPG"]
    assert fields(tmp_path / "photos", ".") == ["10.png", "2.JPG"]
    assert fields(tmp_path / "photos", ".", "folder") == ["photos", "photos"]
    assert fields(tmp_path, "photos/*.png") == ["photos/10.png"]
    assert fields(tmp_path, "photos/**/*.[pw]*") == ["photos/10.png", "photos/cat/a.b.webp"]
    assert fields(tmp_path, "photos/*/*", "stem") == ["a.b"]
    assert fields(tmp_path, "photos/*/*", "folder") == ["cat"]
    assert fields(tmp_path, "photos/2.JPG") == ["photos/2.JPG"]
    for row in FileSources(tmp_path).open("photos/**/*.[pw]*").rows():
        assert (tmp_path / row.fields["path"]).is_file()


def test_a_file_whose_name_is_no_text_is_a_fault(tmp_path):
    name = os.fsdecode(b"caf\xe9.png")
    try:
        touch(tmp_path, "a.png", name)
    except OSError:
        pytest.skip("this file system takes no such names")
    _, fault = FileSources(tmp_path).open(".").rows()
    assert "is not UTF-8" in fault.what
    assert fault.spot.file.isprintable()


@pytest.mark.parametrize(
    ("name", "what", "remedy"),
    [
        ("*.tsv", "no file matches", "relative to the folder"),
        ("empty/", "no pictures, video or sound", "empty/*.csv"),
        ("mixed/*", 'and "mixed/rows.csv" as well', "narrower"),
        ("odd/*", '".txt" does not say', ".parquet, or pictures"),
        ("nowhere/", "there is no file or folder", "relative to the folder"),
        ("nowhere/x.png", "there is no file", "relative to the folder"),
        ("rows.json", '".json" does not say', "no list around"),
        ("sheet.xlsx", '".xlsx" does not say', "CSV UTF-8"),
        ("odd/x.parquet.gz", "cannot be read packed", "unpack it"),
        ("odd/x.txt.gz", '".gz" does not say', ".csv, .tsv or .jsonl"),
        ("odd/x.txt/y.csv", "cannot be read: Not a directory", "mend"),
    ],
)
def test_what_means_no_rows_is_refused_with_a_remedy(tmp_path, name, what, remedy):
    touch(tmp_path, "mixed/a.png", "mixed/rows.csv", "odd/x.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError) as caught:
        FileSources(tmp_path).open(name)
    assert what in caught.value.what
    assert remedy in caught.value.remedy


NAMES = st.lists(st.sampled_from("abc*?[]./x-"), min_size=1, max_size=8).map("".join)


@given(NAMES)
def test_any_name_is_a_source_or_refused(tmp_path_factory, name):
    folder = tmp_path_factory.getbasetemp() / "any" / "below"
    touch(folder, "a.csv", "b.png")
    try:
        items = list(FileSources(folder).open(name).rows())
    except SourceError as error:
        items = [error]
    assert all(isinstance(item, Row) or item.remedy for item in items)


# ------------------------------------------------------------------ known again


@pytest.mark.parametrize("name", ["d/", "d/*.png"])
def test_a_set_of_media_is_known_by_names_sizes_and_times(tmp_path, name):
    touch(tmp_path, "d/a.png", "d/b.png")
    files = FileSources(tmp_path)
    before, digest = files.stamp(name), files.digest(name)
    assert (before.file_count, before.size) == (2, 2)

    touch(tmp_path, "d/notes.txt")
    (tmp_path / "link").hardlink_to(tmp_path / "d/a.png")
    assert not before.is_rewritten(files.stamp(name))
    assert files.digest(name) == digest

    for change in (
        lambda: touch(tmp_path, "d/c.png"),
        lambda: (tmp_path / "d/c.png").rename(tmp_path / "d/0.png"),
        lambda: os.utime(tmp_path / "d/a.png", ns=(5, 5)),
        (tmp_path / "d/0.png").unlink,
    ):
        change()
        now = files.stamp(name)
        assert before.is_rewritten(now)
        assert files.digest(name) != digest
        before, digest = now, files.digest(name)


def test_files_of_rows_are_known_by_their_names_and_contents(tmp_path):
    touch(tmp_path, "a.csv", "b.csv")
    files = FileSources(tmp_path)
    before, digest = files.stamp("*.csv"), files.digest("*.csv")

    os.utime(tmp_path / "a.csv", ns=(5, 5))
    assert files.stamp("*.csv") != before
    assert files.digest("*.csv") == digest

    (tmp_path / "a.csv").write_bytes(b"y")
    assert files.digest("*.csv") != digest
    (tmp_path / "a.csv").write_bytes(b"x")
    (tmp_path / "b.csv").rename(tmp_path / "c.csv")
    assert files.digest("*.csv") != digest
