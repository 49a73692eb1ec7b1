"""Files that are not verified, in all that a run gives: every row loads, and says so."""

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from batchgen.api.result import Results
from batchgen.datasets.metadata import write_metadata
from batchgen.store.sqlite.records import ExportQueries
from batchgen.system.run_directory import RunDirectory
from tests.cli.processes import Place, environment
from tests.helpers.finished import finished_run, png

READ_BACK = Path(__file__).with_name("read_back.py")
HALF = png(9)[:60]
RUNS = {
    "none": {f"c-{n}": {"files": {f"c-{n}.png": png(n)}} for n in range(3)},
    "half": {
        "a": {"files": {"a.png": png(1)}, "params": {"verified": "by me"}},
        "b": {"files": {"b.png": HALF}, "unverified": True, "params": {"verified": "by you"}},
    },
    "unknown": {
        "a": {"files": {"test/a.splat": bytes(range(200))}, "unverified": True},
        "b": {"files": {"dev/b.png": png(2)}},
        "c": {"files": {"c.bin": b"\x01" * 9}, "unverified": True},
    },
    "all": {"a": {"files": {"a.bin": b"\x01\x02"}, "unverified": True}},
}
EXPECTED = {
    name: {file: not job.get("unverified", False) for job in jobs.values() for file in job["files"]}
    for name, jobs in RUNS.items()
}


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    place = Place(tmp_path_factory.mktemp("unverified"))
    for name, jobs in RUNS.items():
        finished_run(place.path / name, jobs)
        with closing(ExportQueries(place.path / f"{name}/state.db")) as reader:
            write_metadata(place.path / name / "outputs", reader.files(), name)
        for kind in ("webdataset", "parquet", "imagefolder"):
            done = place.inside("export", name, kind, f"made/{name}-{kind}")
            assert done.code == 0, done.text
            assert ("not verified" in done.text) is (name != "none")
    return place


def read(there, cache, *wanted):
    """The rows of each, by library and address."""
    env = environment(HF_HUB_OFFLINE="1", HF_HOME=str(cache), PYTHONWARNINGS="ignore")
    command = [sys.executable, str(READ_BACK), json.dumps(wanted)]
    done = subprocess.run(
        command, cwd=there.path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.mark.processes
def test_every_row_loads_with_every_reader(there, tmp_path):
    wanted = [
        pair
        for name in RUNS
        for pair in (
            ("datasets", f"{name}/outputs"),
            ("datasets", f"made/{name}-webdataset"),
            ("datasets", f"made/{name}-parquet"),
            ("datasets", f"made/{name}-imagefolder"),
            ("webdataset", f"made/{name}-webdataset/*.tar"),
            ("pyarrow", f"made/{name}-parquet/data"),
        )
    ]
    for (library, address), rows in zip(wanted, read(there, tmp_path, *wanted), strict=True):
        name = address.removeprefix("made/").partition("/")[0].partition("-")[0]
        assert isinstance(rows, list), (library, address, rows)
        own = [row.get("json") or row for row in rows]
        told = [row["verified"] for row in own]
        assert sorted(told) == sorted(EXPECTED[name].values()), (library, address)
        if name == "half":
            assert sorted(row["param_verified"] for row in own) == ["by me", "by you"]
        # Where all are verified, loaders open the files as ever.
        assert any("decoded" in row for row in rows) is (library == "datasets" and name == "none")


def test_what_is_left_out_can_be_had_again(there):
    args = ("export", "half", "imagefolder", "made/good", "--where", "verified=true")
    assert there.inside(*args).code == 0
    card = (there.path / "made/good/README.md").read_text()
    assert "**/*.png" in card
    assert "not verified" not in card
    lines = (there.path / "made/good/metadata.jsonl").read_text().splitlines()
    assert [json.loads(line)["file_name"] for line in lines] == ["a.png"]


def test_in_python_and_in_tables(there):
    done = there.inside("export", "unknown", "jsonl", "made/table")
    assert done.code == 0, done.text
    table = there.path / "made/table/jobs.jsonl"
    rows = [json.loads(line) for line in table.read_text().splitlines()]
    assert {row["id"]: row["verified"] for row in rows} == {"a": False, "b": True, "c": False}
    directory = RunDirectory(there.path / "unknown")
    results = Results(directory)
    assert {each.id: each.verified for each in results} == {"a": False, "b": True, "c": False}
