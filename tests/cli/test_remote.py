"""Outputs that are not in the run directory: in a bucket, or in another folder."""

import hashlib
import itertools
import json
import os
import signal

import pytest

from batchgen.outputs.remote.marker import MARKER_NAME
from tests.cli.processes import Place
from tests.helpers.s3 import S3, SECRET, cut, done_and_cut, refuse

OURS = {"README.md", "metadata.jsonl", MARKER_NAME}
PASSING = ("request_id", "cost", "submitted_at", "finished_at", "inference_s", "queue_s", "total_s")
"""What differs from run to run, although the same was asked for."""


@pytest.fixture(scope="module")
def s3():
    server = S3()
    yield server
    server.stop()


@pytest.fixture
def bucket(s3):
    return s3.new_bucket()


def is_media(method, path):
    return method == "PUT" and path.endswith((".png", ".webp", ".jpg"))


def below(objects, prefix):
    return {key.removeprefix(f"{prefix}/"): data for key, data in objects.items()}


def in_folder(folder):
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def rows(files):
    """The rows of a metadata.jsonl by name, each held against its file."""
    found = {}
    for line in files["metadata.jsonl"].decode().splitlines():
        row = json.loads(line)
        data = files[row["file_name"]]
        assert row["sha256"] == hashlib.sha256(data).hexdigest()
        assert row["bytes"] == len(data)
        found[row["file_name"]] = {k: v for k, v in row.items() if k not in PASSING}
    return found


def seeded(place, output, file):
    """Jobs of both kinds whose pictures are the same in every run."""
    entries = [
        {
            "id": f"{api}-{{seed}}",
            "api": api,
            "matrix": {"seed": list(range(4))},
            "params": {
                "prompt": f"{api} ü",
                "seed": "{seed}",
                "input_image": "https://x.org/a.png",
            },
        }
        for api in ("v1", "v2")
    ]
    document = {
        "version": 1,
        "name": file.removesuffix(".yaml"),
        "output": output,
        "defaults": {"model": "flux-kontext-dev", "params": {"output_format": "png"}},
        "budget": {"requests_per_minute": None},
        "reconcile": {"settle": 0.3},
        "jobs": entries,
    }
    return place.write(file, json.dumps(document))


@pytest.mark.long
@pytest.mark.processes
def test_kills_and_faults_in_the_middle_of_uploads_leave_what_a_local_run_leaves(place, s3, bucket):
    there = Place(place.path, place.env | s3.env)
    filename = "{model}/dev/{id}"
    local = there.inside("run", seeded(there, {"filename": filename}, "local.yaml"), *FREE)
    assert local.code == 0, local.text
    expected = in_folder(there.path / "runs/local/outputs")

    output = {"filename": filename, "dir": f"s3://{bucket}/sets/é v1"}
    manifest = seeded(there, output, "far.yaml")
    for death in (1, 4):
        with there.start("run", manifest, *FREE) as running:
            with s3.ruled(_killing(running.process, death)):
                running.process.wait(60)
            assert running.process.returncode == -signal.SIGKILL
    with s3.ruled(_failing_once()):
        ended = there.inside("run", manifest, *FREE)
    assert ended.code == 0, ended.text
    assert f"files: s3://{bucket}/sets/é v1" in ended.out

    found = below(s3.objects(bucket), "sets/é v1")
    assert found.keys() - {MARKER_NAME} == expected.keys()
    assert all(found[name] == data for name, data in expected.items() if name not in OURS)
    assert rows(found) == rows(expected)
    assert len(rows(found)) == 8
    # Nothing was paid for twice, by the service's own journal.
    journal = (there.path / "runs/far/simulator.jsonl").read_text().splitlines()
    assert len({json.loads(line)["body"] for line in journal}) == len(journal) == 8
    assert not (there.path / "runs/far/outputs").exists()
    assert not (there.path / "runs/far/.outbox").exists()


def _failing_once():
    """The first upload of every file breaks, before or after it is done."""
    seen = set()

    def rule(method, path):
        if not is_media(method, path) or path in seen:
            return None
        seen.add(path)
        return (cut, done_and_cut)[len(seen) % 2]

    return rule


FREE = ("--simulate", "--speed", "300")


def _killing(process, number):
    """Kill the process while the store does its upload of that number."""
    count = itertools.count(1)

    def rule(method, path):
        if is_media(method, path) and next(count) == number:
            return kill
        return None

    def kill(environ, start_response, app):
        if number % 2:
            os.kill(process.pid, signal.SIGKILL)
            process.wait(30)
            return cut(environ, start_response, app)
        answer = done_and_cut(environ, start_response, app)
        os.kill(process.pid, signal.SIGKILL)
        return answer

    return rule


def test_a_bucket_that_goes_away_stops_the_run_and_fails_no_job(place, service, s3, bucket):
    there = place.at(service, **s3.env)
    output = {"dir": f"s3://{bucket}/x"}
    manifest = there.manifest(6, name="away", output=output)
    withdrawn = refuse("403 Forbidden", "AccessDenied", "no more")
    with s3.ruled(lambda *what: withdrawn if is_media(*what) else None):
        stopped = there.inside("run", manifest, "--patience", "0.5")
    assert stopped.code == 3, stopped.text
    assert f"stopped: s3://{bucket}/x: HTTP 403 AccessDenied no more" in stopped.err
    told = there.inside("status", manifest, "--json").json
    assert told["counts"]["failed"] + told["counts"]["lost"] + told["counts"]["unknown"] == 0
    assert told["outputs"] == f"s3://{bucket}/x"
    bills = len(service.bills("away number"))
    assert bills > 0

    ended = there.inside("run", manifest)
    assert ended.code == 0, ended.text
    assert len(service.bills("away number")) == 6
    assert below(s3.objects(bucket), "x").keys() == OURS | {f"job-{i}.png" for i in range(6)}
    assert f"files are in  s3://{bucket}/x" in there.inside("status", "runs/away").out
    # An export reads them there. The client asks again by itself; a store that is gone is told.
    faults = itertools.chain([cut], itertools.repeat(None))
    with s3.ruled(lambda method, path: next(faults) if ".png" in path else None):
        ended = there.inside("export", "runs/away", "imagefolder", "exported")
    assert (ended.code, len(in_folder(there.path / "exported"))) == (0, 9), ended.text
    s3.store(bucket).delete("x/job-3.png")
    ended = there.inside("export", "runs/away", "webdataset", "shards")
    assert (ended.code, "job-3.png: there is no such object" in ended.err) == (1, True), ended.text
    with s3.ruled(lambda *what: withdrawn):
        ended = there.inside("export", "runs/away", "webdataset", "none")
    assert (ended.code, "the same command goes on" in ended.err) == (3, True), ended.text

    kept = b"".join(in_folder(there.path / "runs/away").values())
    assert SECRET not in ended.text + stopped.text
    assert SECRET.encode() not in kept

    # Another record has no business there, nor has this one elsewhere.
    other = there.inside("run", there.manifest(1, name="other", output=output))
    assert (other.code, "outputs of another run" in other.err) == (2, True)
    moved = there.inside("run", there.manifest(6, name="away", output={"dir": "here"}))
    assert (moved.code, f"are in s3://{bucket}/x, not in" in moved.err) == (2, True)
    assert len(service.bills("away number")) == 6


def test_a_job_generated_anew_moves_its_object_aside(place, service, s3, bucket):
    there = place.at(service, **s3.env)
    output = {"dir": f"s3://{bucket}"}
    there.inside("run", there.manifest({"a": {"prompt": "anew 1"}}, output=output))
    before = s3.objects(bucket)["a.png"]
    manifest = there.manifest({"a": {"prompt": "anew 2"}}, output=output)
    assert there.inside("run", manifest, "--on-change", "rerun").code == 0
    after = s3.objects(bucket)
    assert after[".replaced/a.png"] == before
    assert after["a.png"] != before
    assert list(rows(after)) == ["a.png"]


NO_IDENTITY = {
    "AWS_ACCESS_KEY_ID": None,
    "AWS_SECRET_ACCESS_KEY": None,
    "AWS_METADATA_ENDPOINT": "http://127.0.0.1:9",
}


@pytest.mark.parametrize(
    ("changes", "fault", "code", "said"),
    [
        ({}, None, 2, "there is no bucket 'nobody'"),
        ({}, refuse("403 Forbidden", "AccessDenied", "no"), 2, "export AWS_ACCESS_KEY_ID"),
        (NO_IDENTITY, None, 2, "there are no credentials"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, None, 3, "nothing was submitted"),
        ({"AWS_ENDPOINT_URL": "http://example.invalid"}, None, 2, "AWS_ALLOW_HTTP=true"),
    ],
    ids=["missing", "forbidden", "anonymous", "silent", "plain http elsewhere"],
)
def test_a_bucket_is_asked_before_anything_is_paid(place, service, s3, changes, fault, code, said):
    there = place.at(service, **{**s3.env, **changes})
    there = type(there)(there.path, {k: v for k, v in there.env.items() if v is not None})
    manifest = there.manifest(1, name="asked", output={"dir": "s3://nobody/x"})
    with s3.ruled(lambda *_: fault):
        ended = there.inside("run", manifest)
    assert ended.code == code, ended.text
    assert said in ended.err
    assert "output.dir: " in ended.err
    assert SECRET not in ended.text
    assert service.bills("asked number") == []


def test_a_store_that_writes_over_objects_is_refused(place, service, s3, bucket):
    def heedless(environ, start_response, app):
        environ.pop("HTTP_IF_NONE_MATCH", None)
        return app(environ, start_response)

    there = place.at(service, **s3.env)
    manifest = there.manifest(1, name="heedless", output={"dir": f"s3://{bucket}"})
    with s3.ruled(lambda *_: heedless):
        ended = there.inside("run", manifest)
    assert (ended.code, "If-None-Match" in ended.err) == (2, True)
    assert service.bills("heedless number") == []


def test_another_folder(place, service):
    there = place.at(service)
    big = there.path / "big disk"
    output = {"dir": "../big disk/set"}
    first = there.manifest(3, name="folder", file="sub/m.yaml", output=output)
    ended = there.inside("run", first)
    assert ended.code == 0, ended.text
    assert f"files: {big}/set" in ended.out
    found = in_folder(big / "set")
    assert found.keys() == OURS | {f"job-{i}.png" for i in range(3)}
    assert len(rows(found)) == 3
    assert not (there.path / "runs/folder/outputs").exists()
    assert there.inside("status", "runs/folder", "--json").json["outputs"] == f"{big}/set"

    def again(dir_, *options):
        changed = {"output": {"dir": dir_} if dir_ else {}}
        manifest = there.manifest(3, name="folder", file="sub/m.yaml", **changed)
        return there.inside("run", manifest, *options)

    second = there.manifest(1, name="second", file="sub/2.yaml", output={"dir": "../second"})
    assert there.inside("run", second).code == 0
    taken = again("../second")
    assert (taken.code, "outputs of another run" in taken.err) == (2, True)
    for elsewhere in ("../other", None):
        refused = again(elsewhere)
        assert (refused.code, f"are in {big}/set, not in" in refused.err) == (2, True)
    # As if the disk were not mounted: an empty folder stands there.
    (big / "set").rename(there.path / "other")
    (big / "set").mkdir()
    unmounted = again(output["dir"])
    assert (unmounted.code, "is the disk mounted" in unmounted.err) == (2, True)
    assert list((big / "set").iterdir()) == []
    # Moved with its marker, it is known again.
    assert again("../other").code == 0
    assert again(None).code == 2
    home = there.path / "runs/folder/outputs"
    home.rmdir()
    (there.path / "other").rename(home)
    assert again(None).code == 0
    assert len(service.bills("folder number")) == 3


@pytest.mark.parametrize(
    ("dir_", "said"),
    [
        ("../batch", "holds the run directory"),
        (".", "holds the run directory"),
        ("notes", "not of this run"),
        ("notes/README.md", "cannot be made"),
        ("s3:/x", "batch.yaml:"),
        ("s3://key:secret@bucket", "never from the manifest"),
    ],
)
def test_a_folder_that_will_not_do(place, service, dir_, said):
    there = place.at(service)
    there = type(there)(there.path / "batch", there.env)
    (there.path / "notes").mkdir(parents=True)
    (there.path / "notes/README.md").write_text("mine")
    ended = there.inside("run", there.manifest(1, name="unfit", output={"dir": dir_}))
    assert (ended.code, said in ended.err) == (2, True), ended.text
    assert service.bills("unfit number") == []
    assert in_folder(there.path / "notes") == {"README.md": b"mine"}
