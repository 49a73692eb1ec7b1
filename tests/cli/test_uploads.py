"""Local pictures as inputs, from the command line to the service: each uploaded once."""

import json
import os
import re
import signal

import pytest

from tests.cli.processes import until
from tests.cli.verdicts import judge
from tests.helpers.finished import png

PICTURES = 24
MANIFEST = """version: 1
name: inputs
budget: {requests_per_minute: null, concurrency: 32LIMIT}
reconcile: {settle: 2}
defaults: {model: flux-kontext-max, api: v1}
jobs:
  - from: photos/*.png
    id: "{stem}-{style}"
    matrix: {style: [ink, oil]}
    params: {prompt: "as {style}", input_image: "{path}"}
  - id: plain
    params: {prompt: a cup, input_image: "https://example.com/in.png"}
"""


def photo(number):
    return png(number, 3_000)


@pytest.fixture
def photos(place):
    folder = place.path / "photos"
    folder.mkdir()
    for number in range(PICTURES):
        (folder / f"p{number:02d}.png").write_bytes(photo(number))
    return folder


def told(there, name="inputs"):
    """The lines of the log about uploads."""
    log = there.path / "runs" / name / "run.log"
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return [line for line in lines if line["event"] == "uploaded"]


@pytest.mark.processes
def test_a_run_killed_among_its_uploads_uploads_each_picture_once(place, photos, simulate):
    service = simulate(latency_s=0.1)
    there = place.at(service)
    # Next to nothing is submitted before the kill: no doubt has to be cleared up after it.
    few = ", models: {flux-kontext-max: {requests_per_minute: 1}}"
    manifest = there.write("inputs.yaml", MANIFEST.replace("LIMIT", few))
    planned = there.inside("plan", manifest, "--json").json
    assert planned["uploads"]["files"] == PICTURES
    # Each answer to an upload takes its time, so that the kill finds some under way.
    service.fail({"where": "upload", "kind": "slow", "delay_s": 0.15})
    with there.start("run", manifest) as running:
        until(lambda: len(told(there)) >= 6)
        running.send(signal.SIGKILL)
        running.process.wait()
    under_way = sum(service.ledger()["uploads"].values()) - len(told(there))
    service.fail()
    there.write("inputs.yaml", MANIFEST.replace("LIMIT", ""))

    ended = there.inside("run", manifest)

    assert ended.code == 0, ended.text
    ledger = service.ledger()
    assert len(ledger["uploads"]) == PICTURES
    assert sum(ledger["uploads"].values()) <= PICTURES + max(0, under_way)
    verdict = judge(there.path / "runs/inputs", ledger["bills"])
    assert verdict.violations == []
    assert verdict.done == 2 * PICTURES + 1
    bodies = [json.loads(bill["body"]) for bill in ledger["bills"]]
    named = {body["input_image"].partition("/assets/")[2] for body in bodies}
    assert named == {path.removeprefix("/assets/") for path in ledger["uploads"]} | {""}
    assert not any("batchgen-upload:" in bill["body"] for bill in ledger["bills"])
    rows = (there.path / "runs/inputs/outputs/metadata.jsonl").read_text()
    assert "/assets/" in rows
    assert "batchgen-upload:" not in rows

    again = there.inside("run", manifest)
    assert again.code == 0, again.text
    assert service.ledger()["uploads"] == ledger["uploads"]


SMALL = """version: 1
name: inputs
budget: {requests_per_minute: null}
defaults: {model: flux-kontext-max, api: v1}
jobs:
  - {id: a, params: {prompt: small a, input_image: photos/p00.png}}
  - {id: b, params: {prompt: small b, input_image: "file:photos/p01.png"}}
"""


def test_a_picture_that_changes_on_the_way_is_told_and_taken_as_it_is_by_the_next_run(
    place, photos, simulate
):
    service = simulate()
    there = place.at(service)
    manifest = there.write("inputs.yaml", SMALL)
    poor = there.inside("run", manifest, "--limit", "1", "--json")
    assert poor.json["counts"] == {"pending": 1, "done": 1}
    before = service.ledger()["uploads"]

    (photos / "p01.png").write_bytes(photo(77))
    ended = there.inside("run", manifest, "--json")

    assert ended.code == 0, ended.text
    assert ended.json["counts"] == {"done": 2}
    assert len(service.ledger()["uploads"]) == len(before) + 1
    size = sum(map(len, (photo(0), photo(77))))
    assert ended.json["uploads"] == {"files": 2, "bytes": size}
    assert there.inside("status", "runs/inputs", "--json").json["uploads"] == ended.json["uploads"]
    assert re.search(r"uploaded +2 input file", there.inside("status", "runs/inputs").out)

    (photos / "p00.png").write_bytes(photo(78))
    refused = there.inside("run", manifest)
    assert refused.code == 2
    assert "1 job(s) were changed" in refused.err


def test_a_mistake_about_a_file_names_its_place_and_the_remedy(place, simulate):
    there = place.at(simulate())
    ended = there.inside("run", there.write("inputs.yaml", SMALL))

    assert ended.code == 2
    assert 'jobs[0].params.input_image: there is no file "photos/p00.png"' in ended.err
    assert "relative to the folder of the manifest" in ended.err
    assert not (there.path / "runs").exists()


SLIPS = """version: 1
name: slips
defaults: {model: kling-9, price: 0.05}
jobs:
  - params: {image: photos/p00.png}
  - params:
      images:
        - https://example.com/in.png
        - photos/p01.png
  - from: rows.csv
    params: {prompt: "{text}", image: "{picture}", style: photos/p02.png}
"""


def test_a_path_that_would_be_sent_as_text_is_told_at_its_place(place, photos, simulate):
    service = simulate(unknown_models="accept")
    there = place.at(service)
    there.write(
        "rows.csv", "text,picture\na,https://example.com/a.png\nb,photos/p03.png\nc,no.png\n"
    )
    manifest = there.write("slips.yaml", SLIPS)

    ended = there.inside("run", manifest)

    assert ended.code == 2
    said = "is a file beside the manifest, and would be sent as that text"
    for place_of_it, key, path, remedy in (
        ("slips.yaml:5:21", "jobs[0].params.image", "photos/p00.png", "file:photos/p00.png"),
        ("slips.yaml:9:11", "jobs[1].params.images[1]", "photos/p01.png", "file:photos/p01.png"),
        ("slips.yaml:11:59", "jobs[2].params.style", "photos/p02.png", "file:photos/p02.png"),
        ("rows.csv:3", "jobs[2].params.image", "photos/p03.png", "file:{picture}"),
    ):
        assert f'{place_of_it}: {key}: "{path}" {said}' in ended.err
        assert f"write `{remedy}`" in ended.err
    assert there.inside("plan", manifest).code == 2
    assert service.bills() == []

    there.write("slips.yaml", re.sub(r"(photos/p\d\d.png)", r'"file:\1"', SLIPS))
    there.write("rows.csv", "text,picture\nb,file:photos/p03.png\n")
    ended = there.inside("run", manifest, "--json")
    assert ended.code == 0, ended.text
    uploaded = sorted(line["path"] for line in told(there, "slips"))
    assert uploaded == [f"photos/p0{n}.png" for n in range(4)]


def test_a_file_that_the_service_refuses_fails_its_job_alone(place, photos, simulate):
    service = simulate(
        faults=[{"where": "upload", "kind": "400", "count": 1}],
    )
    there = place.at(service)
    manifest = there.write("inputs.yaml", SMALL)

    ended = there.inside("run", manifest, "--json")

    assert ended.json["counts"] == {"done": 1, "failed": 1}
    reasons = there.inside("status", manifest, "--failed").out
    assert "is not uploaded: HTTP 400" in reasons
    assert there.inside("retry", manifest, "--failed", data=b"y\n").code == 0
    assert there.inside("run", manifest, "--json").json["counts"] == {"done": 2}


BESIDE = (
    SMALL
    + """  - {id: c, params: {prompt: small c, input_image: photos/p02.png}}
  - {id: plain, params: {prompt: small, input_image: "https://example.com/in.png"}}
"""
)


@pytest.mark.processes
def test_a_full_storage_holds_the_jobs_that_need_uploads_and_ends_the_run(place, photos, simulate):
    full = simulate(storage_bytes=len(photo(0)))
    there = place.at(full)
    manifest = there.write("inputs.yaml", BESIDE)

    ended = there.call("run", manifest, "--patience", "1")

    assert ended.code == 3
    assert re.match(r"2 pending, 2 done", ended.out)
    assert ended.err.count("takes no more input files") == 1
    assert "stopped: HTTP 507: Storage quota exceeded" in ended.err
    assert "free space in the Segmind console" in ended.err
    assert f"resume: batchgen run {manifest}" in ended.err
    assert full.ledger()["requests"]["upload"].get("507", 0) <= 3
    status = there.inside("status", "runs/inputs", "--json").json
    assert status["uploads"] == {"files": 1, "bytes": len(photo(0))}
    assert status["failures"] == []

    roomy = place.at(simulate(seed=5)).inside("run", manifest, "--json")
    assert roomy.json["counts"] == {"done": 4}


@pytest.mark.processes
def test_an_input_that_ends_early_is_refused_before_anything_is_made(place, photos, simulate):
    there = place.at(simulate())
    (photos / "p01.png").write_bytes(photo(1)[:-20])
    manifest = there.write("inputs.yaml", SMALL)

    for command in ("plan", "run"):
        ended = there.call(command, manifest)
        assert ended.code == 2
        assert 'jobs[1].params.input_image: "photos/p01.png" is cut' in ended.err
        assert "copy it again" in ended.err
    assert not (there.path / "runs").exists()

    (photos / "p01.png").write_bytes(photo(1))
    assert there.inside("run", manifest, "--json").json["counts"] == {"done": 2}


def sparse_png(path, size):
    """A whole PNG of so many bytes, most of which stand nowhere."""
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + (size - 32).to_bytes(4, "big") + b"IDAT")
        os.truncate(path, size - 12)
        file.seek(size - 12)
        file.write(bytes(4) + b"IEND\xaeB`\x82")


def test_more_than_the_smallest_plan_stores_is_told_before_and_when_a_run_begins(place, simulate):
    there = place.at(simulate())
    folder = there.path / "photos"
    folder.mkdir()
    for number in range(33):
        sparse_png(folder / f"{number}.png", 32 * 2**20 - number)
    text = SMALL.partition("jobs:")[0] + "jobs:\n  - from: photos/*.png\n    params: "
    manifest = there.write("inputs.yaml", text + '{prompt: big, input_image: "{path}"}\n')

    told = "\n".join(there.inside("plan", manifest, "--json").json["warnings"])
    ran = there.inside("run", manifest, "--max-spend", "0")

    assert "storage quota: Flexible 1 GB" in told
    assert "warning: 33 input files of 1.1 GB are to be uploaded" in ran.err
    assert ran.code == 3
