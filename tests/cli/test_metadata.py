"""The dataset files at the end of a run: made when something is new, and else left alone."""

import json

import pytest

from tests.cli.processes import Place
from tests.helpers.s3 import S3

FREE = ("--simulate", "--speed", "300")


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    """A finished run of two rows, whose manifest and rows may be edited."""
    place = Place(tmp_path_factory.mktemp("metadata"))
    rows(place, "cat", "dog")
    (place.path / "m.yaml").write_text(
        "version: 1\nname: set\njobs:\n- from: rows.csv\n  model: flux-pro\n  price: 0.05\n"
        '  id: "row-{row}"\n  params: {prompt: "{caption}"}\n'
    )
    assert place.inside("run", "m.yaml", *FREE).code == 0
    return place


def rows(place, *labels):
    lines = [f"a cup {number},{label}" for number, label in enumerate(labels)]
    (place.path / "rows.csv").write_text("\n".join(["caption,label", *lines]) + "\n")


def written(place):
    """The identities of both files: a file that is written anew is another one."""
    outputs = place.path / "runs/set/outputs"
    return [(outputs / name).stat().st_ino for name in ("metadata.jsonl", "README.md")]


def test_a_run_with_nothing_new_leaves_them_alone(there):
    before = written(there)
    assert there.inside("run", "m.yaml", *FREE).code == 0
    assert written(there) == before
    (there.path / "rows.csv").touch()
    assert there.inside("run", "m.yaml", *FREE).code == 0
    assert written(there) == before


def gone(there, file):
    file.unlink()


def cut(there, file):
    file.write_bytes(file.read_bytes()[:-1])


def labelled(there, file):
    rows(there, "cat", "owl")


def added(there, file):
    rows(there, "cat", "owl", "cow")


def renamed(there, file):
    manifest = there.path / "m.yaml"
    manifest.write_text(manifest.read_text().replace("name: set", "name: renamed"))


@pytest.mark.parametrize("name", ["metadata.jsonl", "README.md"])
@pytest.mark.parametrize("change", [gone, cut])
def test_a_file_that_is_missing_or_damaged_is_written_anew(there, name, change):
    outputs = there.path / "runs/set/outputs"
    before = {path.name: path.read_bytes() for path in outputs.iterdir()}
    change(there, outputs / name)
    assert there.inside("run", "m.yaml", *FREE).code == 0
    assert {path.name: path.read_bytes() for path in outputs.iterdir()} == before


def test_they_follow_the_rows_the_jobs_and_the_name(there):
    file = there.path / "runs/set/outputs/metadata.jsonl"

    def labels():
        return [json.loads(line)["label"] for line in file.read_text().splitlines()]

    assert labels() == ["cat", "dog"]
    for change, after in ((labelled, ["cat", "owl"]), (added, ["cat", "owl", "cow"])):
        change(there, file)
        assert there.inside("run", "m.yaml", *FREE).code == 0
        assert labels() == after
    renamed(there, file)
    assert there.inside("run", "m.yaml", *FREE, "--run-dir", "runs/set").code == 0
    assert "# renamed" in file.with_name("README.md").read_text()


def test_in_a_bucket_as_well(place, service):
    server = S3()
    try:
        bucket = server.new_bucket()
        there = place.at(service, **server.env)
        manifest = there.manifest(1, name="kept", output={"dir": f"s3://{bucket}/x"})
        puts = []
        with server.ruled(lambda method, path: puts.append((method, path)) or None):
            for expected in (2, 0):
                puts.clear()
                assert there.inside("run", manifest).code == 0
                ours = [p for m, p in puts if m == "PUT" and p.endswith((".jsonl", ".md"))]
                assert len(ours) == expected, ours
            server.store(bucket).delete("x/README.md")
            assert there.inside("run", manifest).code == 0
        assert "x/README.md" in server.objects(bucket)
    finally:
        server.stop()
