"""From a run to data sets and back: equal by hash, through kills, damage and wrong usage."""

import csv
import hashlib
import json
import os
import subprocess
import sys
from contextlib import closing

import pytest

from batchgen.core.dataset.export import Filter
from batchgen.datasets.exports.folder import ExportFolder, ExportRequest
from batchgen.datasets.metadata import write_metadata
from batchgen.store.sqlite.ledger import Ledger
from batchgen.store.sqlite.records import ExportQueries
from batchgen.store.sqlite.schema import connect
from tests.cli.disks import small_disk
from tests.cli.processes import Place, environment, until
from tests.helpers.finished import finished_run, png

COUNT = 1_000
READ_BACK = [sys.executable, str(__file__).replace("test_export.py", "read_back.py")]


def write_card(run):
    with closing(ExportQueries(run / "state.db")) as reader:
        return write_metadata(run / "outputs", reader.files(), run.name)


def picture(i, **parts):
    return {"files": {f"job-{i}.png": png(i, 1_000)}, "params": {"seed": i}, **parts}


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    """A place with `many`: a thousand pictures in folders that loaders would take for splits."""
    path = tmp_path_factory.mktemp("exports")
    folders = ("flux-kontext-dev", "a test.v1", "train [x]", "val/ü")
    jobs = {
        f"cup-{i}": {
            "files": {f"{folders[i % 4]}/cup {i}.v{i % 3}.png": png(i, 2_000)},
            "model": folders[i % 4].split("/")[0].replace(" ", "-"),
            "params": {"prompt": f"a cup, {i}", "seed": i, "size": i if i % 2 else f"{i} px"},
            "fields": {"row": i + 1, "style": ["ink", "oil"][i % 2], "urls": [i]},
            "seed": i + 1,
        }
        for i in range(COUNT)
    }
    finished_run(path / "many", jobs)
    return Place(path)


@pytest.fixture(scope="module")
def many(there):
    """The hashes of those files by name."""
    with closing(ExportQueries(there.path / "many/state.db")) as reader:
        return {record.own["file_name"]: record.own["sha256"] for record in reader.files()}


@pytest.fixture(scope="module")
def mixed(there):
    """Runs that loaders have trouble with, each with its card."""
    runs = {
        "text-beside": {
            "a": picture(1),
            "b": {"files": {"job-1.txt": b"a text"}},
            "c": {"files": {"dev/b.txt": b"a text"}},
        },
        "several": {"a": {"files": {f"test/a~{n}.png": png(n) for n in (1, 2)}}},
        "late": {
            f"job-{i}": picture(i, fields={"late": 7.5 if i == 150 else None, "pad": "." * 80_000})
            for i in range(160)
        },
        "empty": {"a": {"files": {}}},
    }
    for name, jobs in runs.items():
        finished_run(there.path / name, jobs)
        write_card(there.path / name)
    return list(runs)


@pytest.fixture(scope="module")
def exported(there, many, mixed):
    """Each kind, made once."""
    for kind, *options in (
        ("webdataset", "--shard-size", "1MB", "--shard-files", "300"),
        ("parquet", "--shard-files", "300"),
        ("imagefolder",),
    ):
        ended = there.inside("export", "many", kind, f"whole/{kind}", *options, "--json")
        assert (ended.code, ended.err) == (0, "")
        assert (ended.json["files"], ended.json["damaged_count"]) == (COUNT, 0)
    ended = there.inside("export", "text-beside", "webdataset", "whole/mixed")
    assert (ended.code, "note: the files are of several kinds" in ended.err) == (0, True)
    assert there.inside("export", "late", "webdataset", "whole/late").code == 0
    return there.path / "whole"


@pytest.fixture(scope="module")
def read(there, mixed, exported, tmp_path_factory):
    """Everything read back, by one process: rows by what was read."""
    write_card(there.path / "many")
    wanted = {
        "outputs": ("datasets", "many/outputs"),
        "webdataset": ("webdataset", "whole/webdataset/*.tar"),
        "webdataset by datasets": ("datasets", "whole/webdataset"),
        "parquet": ("pyarrow", "whole/parquet/data"),
        "parquet by datasets": ("datasets", "whole/parquet"),
        "parquet by its name": ("packaged", "whole/parquet"),
        "imagefolder": ("datasets", "whole/imagefolder"),
        "mixed shards": ("datasets", "whole/mixed"),
        "late shards": ("datasets", "whole/late"),
        **{name: ("datasets", f"{name}/outputs") for name in mixed},
    }
    cache = tmp_path_factory.mktemp("cache")
    env = environment(
        HF_HUB_OFFLINE="1",
        HF_DATASETS_CACHE=str(cache),
        HF_HOME=str(cache),
        PYTHONWARNINGS="ignore",
    )
    done = subprocess.run(
        [*READ_BACK, json.dumps([*wanted.values()])],
        cwd=there.path,
        env=env,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(wanted, json.loads(done.stdout), strict=True))


@pytest.mark.parametrize(
    "what",
    [
        "outputs", "webdataset", "webdataset by datasets", "parquet", "parquet by datasets",
        "parquet by its name", "imagefolder",
    ],
)  # fmt: skip
def test_a_thousand_files_come_back_equal_by_hash(read, many, what):
    rows = read[what]
    assert isinstance(rows, list), rows
    assert len(rows) == COUNT
    assert {row["sha256"] for row in rows} == set(many.values())
    assert all(row["found"] == row["sha256"] for row in rows)
    by_id = {row["id"]: row for row in rows}
    assert by_id["cup-7"]["prompt"] == "a cup, 7"
    assert (by_id["cup-7"]["seed"], by_id["cup-7"]["param_seed"]) == (8, 7)
    assert (by_id["cup-7"]["size"], by_id["cup-6"]["size"]) == ("7", '"6 px"')
    assert (by_id["cup-7"]["style"], by_id["cup-7"]["urls"]) == ("oil", "[7]")
    assert (by_id["cup-7"]["cost"], by_id["cup-7"]["total_s"]) == (0.04, 3.0)
    assert rows[0].get("decoded", [2, 2]) == [2, 2]
    assert ("decoded" in rows[0]) is (what not in {"webdataset", "parquet"})


def test_keys_of_tar_shards_have_no_dots_and_stay_apart(read):
    keys = {row["key"] for row in read["webdataset"]}
    assert len(keys) == COUNT
    assert not any("." in key for key in keys)


def test_rows_beside_pictures_load_whatever_the_files_are(read):
    text = {row["file_name"]: row for row in read["text-beside"]}
    assert set(text) == {"job-1.png", "job-1.txt", "dev/b.txt"}
    assert [(row["txt"], row["id"]) for row in read["mixed shards"]] == [
        (None, "a"), ("a text", "b"), ("a text", "c"),
    ]  # fmt: skip
    assert [row["id"] for row in read["several"]] == ["a", "a"]
    assert {row["found"] for row in read["several"]} == {row["sha256"] for row in read["several"]}


def test_a_column_that_is_null_for_ten_megabytes_loads_with_its_type(read):
    assert isinstance(read["late"], list), read["late"]
    assert isinstance(read["late shards"], list), read["late shards"]
    assert [row["late"] for row in read["late shards"]] == [row["late"] for row in read["late"]]
    values = [row["late"] for row in read["late"]]
    assert (len(values), values.count(7.5), values.count(None)) == (160, 1, 159)


def test_a_run_without_files_says_so_to_its_loader(read, there):
    assert "corresponds to no data" in read["empty"]
    assert "No file is finished yet" in (there.path / "empty/outputs/README.md").read_text()
    ended = there.inside("export", "empty", "parquet", "nothing")
    assert (ended.code, "nothing is finished in this run yet" in ended.err) == (2, True)


def digests(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
        and ".export" not in path.parts
        and path.name not in {"README.md", "state.db-shm", "state.db-wal"}
    }


@pytest.mark.parametrize(
    ("kind", "options", "done"),
    [
        ("webdataset", ("--shard-size", "1MB", "--shard-files", "300"), 2),
        ("parquet", ("--shard-files", "300"), 2),
        ("imagefolder", ("--id", "cup-[67]??"), 64),
    ],
)
def test_a_killed_export_goes_on_and_comes_out_equal(there, many, exported, kind, options, done):
    """A pipe in the place of a file holds the export up, in its middle, until it is killed."""
    with closing(ExportQueries(there.path / "many/state.db")) as reader:
        name = next(r.own["file_name"] for r in reader.files() if r.own["id"] == "cup-700")
    target = there.path / "many/outputs" / name
    whole = target.with_name("aside")
    folder = there.path / "killed" / kind
    target.rename(whole)
    os.mkfifo(target)
    try:
        with there.start("export", "many", kind, folder, *options) as running:
            until(
                lambda: len(digests(folder)) == done and any((folder / ".export/parts").iterdir())
            )
            assert running.killed_after(0)
    finally:
        whole.replace(target)
    assert "metadata.jsonl" not in digests(folder)

    ended = there.inside("export", "many", kind, folder, *options, "--json")

    assert (ended.code, ended.err) == (0, "")
    things = "files" if kind == "imagefolder" else "shards"
    assert ended.json[f"{things}_kept"] == done
    found = digests(folder)
    if kind == "imagefolder":
        assert len(found.pop("metadata.jsonl")) == 64
        assert found.items() <= many.items()
        assert len(found) == 200
    else:
        assert found == digests(exported / kind)
    assert [path.name for path in (folder / ".export").iterdir()] == ["export.json"]


def test_the_same_command_again_finds_all_there(there, exported):
    before = digests(exported / "parquet")
    ended = there.inside(
        "export", "many", "parquet", exported / "parquet", "--shard-files", "300", "--json"
    )
    assert (ended.code, ended.json["shards_made"], ended.json["shards_kept"]) == (0, 0, 4)
    (exported / "parquet/data/many-000002.parquet").unlink()
    ended = there.inside("export", "many", "parquet", exported / "parquet", "--shard-files", "300")
    assert (ended.code, ended.out.splitlines()[0]) == (
        0, f"1000 file(s), 2.1 MB, in 4 shard(s), 3 of them there already: {exported}/parquet",
    )  # fmt: skip
    assert digests(exported / "parquet") == before


@pytest.fixture
def few(place):
    finished_run(place.path / "few", {f"job-{i}": picture(i) for i in range(9)})
    return place.path / "few"


def test_row_groups_are_of_a_size_for_reading(exported):
    import pyarrow.parquet

    found = pyarrow.parquet.ParquetFile(exported / "parquet/data/many-000000.parquet").metadata
    assert [found.row_group(i).num_rows for i in range(found.num_row_groups)] == [100, 100, 100]
    assert b'"image": {"_type": "Image"}' in found.metadata[b"huggingface"]


@pytest.mark.parametrize(
    ("kind", "harm"),
    [("webdataset", "changed"), ("parquet", "shorter"), ("imagefolder", "missing")],
)
def test_a_damaged_file_is_named_and_nothing_false_gets_a_name(place, few, kind, harm):
    file = few / "outputs/job-4.png"
    data = file.read_bytes()
    harmed = {"changed": data[:-1] + b"x", "shorter": data[:-1]}.get(harm)
    file.unlink() if harmed is None else file.write_bytes(harmed)
    options = () if kind == "imagefolder" else ("--shard-files", "3")

    ended = place.inside("export", "few", kind, "out", *options)

    assert ended.code == 1
    assert "damaged: job-4.png: " in ended.err
    assert "--skip-damaged" in ended.err
    assert len(digests(place.path / "out")) == (9 if kind == "imagefolder" else 2)
    ended = place.inside("export", "few", kind, "out", *options, "--skip-damaged", "--json")
    assert (ended.code, ended.json["damaged_count"]) == (1, 1)
    assert "undone" not in ended.err
    assert [path.name for path in (place.path / "out/.export").iterdir()] == ["export.json"]
    file.write_bytes(data)
    ended = place.inside("export", "few", kind, "out2", *options, "--json")
    assert (ended.code, ended.json["files"]) == (0, 9)


def test_an_undone_shard_is_made_once_the_file_is_back(place, few):
    file = few / "outputs/job-4.png"
    data = file.read_bytes()
    file.unlink()
    assert place.inside("export", "few", "webdataset", "out", "--shard-files", "3").code == 1
    file.write_bytes(data)
    ended = place.inside("export", "few", "webdataset", "out", "--shard-files", "3", "--json")
    assert (ended.code, ended.json["shards_made"], ended.json["shards_kept"]) == (0, 1, 2)


def test_links_are_the_very_files_and_copies_are_not(place, few):
    assert place.inside("export", "few", "imagefolder", "linked", "--link").code == 0
    assert place.inside("export", "few", "imagefolder", "copied").code == 0
    original = few / "outputs/job-4.png"
    assert (place.path / "linked/job-4.png").samefile(original)
    assert not (place.path / "copied/job-4.png").samefile(original)
    assert digests(place.path / "linked") == digests(place.path / "copied")


def test_filters(place, few):
    def files(*options):
        folder = f"out-{len(list(place.path.iterdir()))}"
        ended = place.inside("export", "few", "imagefolder", folder, *options)
        assert ended.code == 0, ended.err
        rows = (place.path / folder / "metadata.jsonl").read_text().splitlines()
        return [json.loads(row)["id"] for row in rows]

    assert files("--id", "job-[12]") == ["job-1", "job-2"]
    assert files("--where", "seed=3", "--where", "media_type=image/*") == ["job-3"]
    assert len(files("--model", "flux-*")) == 9


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("imagefolder", "few"), "holds files that are no export"),
        (("imagefolder", "few/outputs/sub"), "is inside the outputs of the run"),
        (("imagefolder", "file"), "Not a directory"),
        (("parquet", "out", "--where", "sead=3"), "nothing has a field 'sead'"),
        (("parquet", "out", "--where", "seed"), "'seed' is no field=value"),
        (("parquet", "out", "--id", "none*"), "no finished file matches"),
        (("parquet", "out", "--link"), "--link is for imagefolder, and this is parquet"),
        (("csv", "out", "--shard-files", "3"), "is for webdataset and parquet, and this is csv"),
        (("parquet", "out", "--state", "done"), "--state is for csv and jsonl"),
        (("webdataset", "out", "--shard-size", "1XB"), "'1XB' is no size"),
    ],
)
def test_wrong_usage_is_told_and_makes_nothing(place, few, arguments, told):
    place.write("file", "")
    before = digests(place.path)
    ended = place.inside("export", "few", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert told in ended.err
    assert digests(place.path) == before
    assert not (place.path / "out").exists()


def test_a_folder_of_another_export_is_refused(place, few):
    assert place.inside("export", "few", "webdataset", "out").code == 0
    ended = place.inside("export", "few", "webdataset", "out", "--id", "job-1")
    assert ended.code == 2
    assert 'holds another export (--id: "*" there, "job-1" now)' in ended.err
    assert place.inside("export", "few", "csv", "out").code == 2
    (place.path / "out/.export/export.json").write_text("nonsense")
    ended = place.inside("export", "few", "webdataset", "out")
    assert (ended.code, "export.json cannot be read" in ended.err) == (2, True)


def test_a_run_that_has_changed_is_told(place, few):
    file = few / "outputs/job-4.png"
    data = file.read_bytes()
    file.unlink()
    assert place.inside("export", "few", "webdataset", "begun").code == 1
    file.write_bytes(data)
    assert place.inside("export", "few", "webdataset", "complete").code == 0
    with closing(connect(few / "state.db", create=False)) as connection:
        connection.execute("UPDATE jobs SET state = 'pending' WHERE id = 'job-8'")

    begun = place.inside("export", "few", "webdataset", "begun", "--json")
    complete = place.inside("export", "few", "webdataset", "complete")

    assert (begun.code, begun.json["files"]) == (0, 9)
    assert "note: the run has changed since this export began" in begun.err
    assert complete.code == 1
    assert "when 9 file(s) were finished; the run has changed since, and now has 8" in complete.err


def test_while_the_run_writes_its_state(place, few):
    with closing(connect(few / "state.db", create=False)) as connection:
        ledger = Ledger(connection)
        with ledger.transaction() as writing:
            writing.execute("UPDATE jobs SET reason = 'half a transaction'")
            assert place.inside("export", "few", "csv", "out").code == 0
            ended = place.inside("export", "few", "webdataset", "shards", "--json")
    assert (ended.code, ended.json["files"]) == (0, 9)
    assert "half a transaction" not in (place.path / "out/jobs.csv").read_text()


def test_two_exports_into_one_folder(place, few):
    original = few / "outputs/job-4.png"
    original.unlink()
    os.mkfifo(original)
    with place.start("export", "few", "imagefolder", "out") as running:
        until((place.path / "out/.export/plan.jsonl").exists)
        ended = place.inside("export", "few", "imagefolder", "out")
        assert running.killed_after(0)
    assert (ended.code, "another export is at work in out" in ended.err) == (2, True)


def test_a_full_disk_stops_it_and_it_goes_on_with_space(place, tmp_path):
    jobs = {f"job-{i}": {"files": {f"job-{i}.png": png(i, 100_000)}} for i in range(9)}
    finished_run(place.path / "few", jobs)
    with small_disk(tmp_path / "small", 700_000) as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(200_000))
        options = ("webdataset", disk / "out", "--shard-files", "2", "--id", "job-[0-4]")
        ended = place.inside("export", "few", *options)
        assert ended.code == 3
        assert "No space left on device" in ended.err
        assert "give the same command again" in ended.err
        ballast.unlink()
        ended = place.inside("export", "few", *options, "--json")
        assert (ended.code, ended.json["files"]) == (0, 5)
        assert ended.json["shards_kept"] >= 1


def test_without_pyarrow_it_says_what_to_install(place, few):
    place.write("path/pyarrow/__init__.py", "raise ImportError('not here')")
    bare = Place(place.path, place.env | {"PYTHONPATH": str(place.path / "path")})
    ended = bare.call("export", "few", "parquet", "out")
    assert ended.code == 2
    assert "python -m pip install pyarrow" in ended.err


def test_the_ledger_as_tables(place):
    run = place.path / "run"
    jobs = {"a": picture(1, fields={"note": "=1+1", "n": -5}), "b": picture(2)}
    finished_run(run, jobs)
    with closing(connect(run / "state.db", create=False)) as connection:
        connection.execute("UPDATE jobs SET state = 'lost', reason = 'it, expired' WHERE id = 'b'")

    ended = place.inside("export", "run", "csv", "out")
    assert (ended.code, ended.out) == (0, "2 rows: out/jobs.csv\n")
    assert "note: 1 cells that a spreadsheet would run" in ended.err
    assert place.inside("export", "run", "jsonl", "out", "--state", "lost").code == 0
    assert place.inside("export", "run", "jsonl", "out", "--attempts", "--json").json["rows"] == 2

    with (place.path / "out/jobs.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["note"], first["n"], first["files"]) == ("'=1+1", "-5", '["job-1.png"]')
    assert (second["state"], second["reason"], second["cost"]) == ("lost", "it, expired", "0.04")
    (lost,) = map(json.loads, (place.path / "out/jobs.jsonl").read_text().splitlines())
    assert (lost["id"], lost["attempts"], lost["files"], lost["param_seed"]) == ("b", 1, None, 2)
    attempts = [json.loads(x) for x in (place.path / "out/attempts.jsonl").read_text().splitlines()]
    assert [(x["id"], x["attempt"], x["attempt_state"], x["cost_usd"]) for x in attempts] == [
        ("a", 1, "acked", 0.04), ("b", 1, "acked", 0.04),
    ]  # fmt: skip
    assert set(attempts[0]) & {"seed", "note"} == set()


def test_what_is_written_while_it_plans_is_not_in_the_plan(few, tmp_path):
    """Between the survey and the lines a job changes: its column would not hold it any more."""

    class Meddling(Filter):
        def passed(self, records):
            yield from super().passed(records)
            with closing(connect(few / "state.db", create=False)) as connection:
                connection.execute("UPDATE jobs SET seed = 'abc' WHERE id = 'job-3'")

    folder = ExportFolder(tmp_path / "out")
    with closing(ExportQueries(few / "state.db")) as reader, folder.owned():
        folder.plan(reader, ExportRequest({"kind": "webdataset"}, Meddling(())))
        seeds = [file.row["seed"] for file in folder.files()]
        assert [record.own["seed"] for record in reader.files().only("job-3", "*")] == ["abc"]
    assert seeds == list(range(9))
