"""Stopped early and resumable: by the service, by money, by the disk, by a signal."""

import contextlib
import json
import re
import shutil
import signal
import socket

import pytest

from tests.cli.disks import small_disk, take_inodes
from tests.cli.processes import KEY, Place, Simulator, until


def assert_resumes(there, service, manifest, count):
    """The same command goes on, and nothing was paid for twice."""
    ended = there.inside("run", manifest)
    assert ended.code == 0, ended.text
    assert len(service.bills()) == count
    assert there.inside("status", "runs/batch", "--json").json["counts"]["done"] == count


def test_a_key_that_is_refused(place, simulate):
    service = simulate(keys=[KEY])
    manifest = place.manifest(2)
    wrong = place.at(service, SEGMIND_API_KEY="SG_1111111111111111").inside("run", manifest)
    assert wrong.code == 3
    assert "the API key is refused" in wrong.err
    assert "check SEGMIND_API_KEY" in wrong.err
    assert "the key is wrong or has expired" in wrong.err
    assert f"resume: batchgen run {manifest}\n" in wrong.err
    assert service.bills() == []
    assert_resumes(place.at(service), service, manifest, 2)


LOST = {"error": "Missing Authorization or x-api-key in header", "status_code": 401}


@pytest.mark.parametrize("place_", ["any", "sync"])
def test_a_key_that_gets_lost_on_its_way(place, simulate, place_):
    service = simulate(
        faults=[{"where": place_, "kind": "answer", "status": 401, "body": LOST}],
    )
    ended = place.at(service).inside("run", place.manifest(2), "--patience", "1")
    assert ended.code == 3
    assert "the key got lost on its way: look for a proxy" in ended.err
    assert "has expired" not in ended.err


@pytest.mark.processes
@pytest.mark.parametrize("api", ["v1", "v2"])
def test_a_wrong_base_url(place, simulate, api):
    """The edge knows no such path: that is no fault of a job, and no submit is in doubt."""
    service = simulate(unrouted_paths=[f"/{api}/"])
    there = place.at(service)
    manifest = there.manifest(8, defaults={"model": "flux-kontext-dev", "api": api})
    ended = there.call("run", manifest, "--json", "--concurrency", "2")
    assert ended.code == 3
    assert ended.json["counts"] == {"pending": 8}
    assert "nothing of the service is at this address" in ended.json["reason"]
    assert "unset SEGMIND_BASE_URL, or set it to the origin https://api.segmind.com" in ended.err
    assert service.ledger()["requests"]["sync" if api == "v1" else "submit"] == {"400": 2}


def test_a_key_that_is_refused_in_the_middle(place, simulate):
    service = simulate()
    # The first of the four asks what the account holds.
    service.fail({"where": "any", "kind": "401", "after": 4})
    there = place.at(service)
    manifest = there.manifest(8)
    ended = there.inside("run", manifest, "--concurrency", "1", "--patience", "2")
    assert ended.code == 3
    assert len(service.bills()) == 3
    service.fail()
    assert_resumes(there, service, manifest, 8)


def test_credits_that_are_gone(place, simulate):
    service = simulate(credits_usd=0.10)
    there = place.at(service)
    manifest = there.manifest(4)
    ended = there.inside("run", manifest, "--json")
    assert ended.code == 3
    assert ended.json["verdict"] == "stop"
    assert "credits" in ended.json["reason"].lower()
    assert "refused again while nothing else ran" in ended.json["reason"]
    assert "no credits" in ended.err
    assert len(service.bills()) == 2
    service.add_credits(1)
    assert_resumes(there, service, manifest, 4)


@pytest.mark.parametrize("by", ["manifest", "option"])
def test_max_spend(place, simulate, by):
    service = simulate()
    there = place.at(service)
    budget = {"requests_per_minute": None} | ({"max_spend": 0.10} if by == "manifest" else {})
    manifest = there.manifest(4, budget=budget)
    options = ["--max-spend", "0.10"] if by == "option" else []
    ended = there.inside("run", manifest, *options)
    assert ended.code == 3
    assert "max_spend" in ended.err
    assert service.charged_usd() == pytest.approx(0.08)
    assert there.inside("run", manifest, "--max-spend", "0").code == 3
    assert len(service.bills()) == 2
    ended = there.inside("run", manifest, "--max-spend", "0.16")
    assert ended.code == 0
    assert service.charged_usd() == pytest.approx(0.16)


def test_a_service_that_is_down_from_the_start(place):
    with socket.socket() as plug:
        plug.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{plug.getsockname()[1]}"
        place.env.update(SEGMIND_API_KEY=KEY, SEGMIND_BASE_URL=nobody)
        ended = place.inside("run", place.manifest(2), "--patience", "2")
    assert ended.code == 3
    assert "the service does not answer" in ended.err
    assert "2 pending" in ended.out


def test_a_service_that_comes_up_late_is_waited_for(place, tmp_path):
    with socket.socket() as plug:
        plug.bind(("127.0.0.1", 0))
        port = plug.getsockname()[1]
    place.env.update(SEGMIND_API_KEY=KEY, SEGMIND_BASE_URL=f"http://127.0.0.1:{port}")
    with place.start("run", place.manifest(2)) as running:
        log = place.path / "runs/batch/run.log"
        until(lambda: log.exists() and "gate_closed" in log.read_text())
        service = Simulator(tmp_path, port=port)
        ended = running.end()
    assert ended.code == 0, ended.text
    assert "the service does not answer" in ended.err
    assert "going on: the service answers again" in ended.err
    assert len(service.bills()) == 2
    assert service.stop() == 0


def test_a_model_the_service_does_not_have(place, simulate):
    """The others go on; exit 1, and the reason is told."""
    service = simulate(retired_models=["flux-kontext-dev"])
    there = place.at(service)
    manifest = there.manifest(2)
    ended = there.inside("run", manifest, "--patience", "1")
    assert ended.code == 1
    assert "2 held" in ended.out
    assert "pending" not in ended.out
    assert "flux-kontext-dev refused a job" in ended.err
    what = "flux-kontext-dev: this model is retired (HTTP 410: This model is retired)"
    assert f"{what}. Its jobs are on hold\n" in ended.err
    assert f"{what}. Its 2 jobs are on hold; choose another model" in ended.out
    assert f"go on: batchgen run {manifest}\n" in ended.err
    assert service.bills() == []


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, 130),
        (signal.SIGTERM, 143),
        pytest.param(signal.SIGHUP, 143, marks=pytest.mark.hunt),
    ],
    ids=str,
)
def test_one_signal_brings_home_what_is_under_way(place, simulate, number, code):
    service = simulate(latency_s=1.5)
    there = place.at(service)
    manifest = there.manifest(6)
    with there.start("run", manifest, "--concurrency", "3") as running:
        until(lambda: len(service.bills()) == 3)
        running.send(number)
        ended = running.end()
    assert ended.code == code
    assert f"{number.name} received" in ended.err
    assert "resume: batchgen run" in ended.err
    counts = there.inside("status", "runs/batch", "--json").json["counts"]
    assert counts["ambiguous"] == counts["submitting"] == 0
    assert len(service.bills()) == 3
    assert_resumes(there, service, manifest, 6)


def test_a_second_signal_leaves_at_once(place, simulate):
    service = simulate(latency_s=30)
    there = place.at(service)
    manifest = there.manifest(3, reconcile={"settle": 1})
    log = there.path / "runs/batch/run.log"
    with there.start("run", manifest) as running:
        until(lambda: len(service.bills()) == 3)
        running.send(signal.SIGINT)
        until(lambda: "gate_closed" in log.read_text())
        running.send(signal.SIGINT)
        ended = running.end()
    assert ended.code == 130
    counts = there.inside("status", "runs/batch", "--json").json["counts"]
    assert counts["submitting"] + counts["ambiguous"] == 3
    assert counts["pending"] == 0


def test_a_rehearsal_is_interrupted_and_resumes(place):
    manifest = place.manifest(4, defaults={"model": "flux-kontext-dev"})
    journal = place.path / "runs/batch/simulator.jsonl"
    with place.start("run", manifest, "--simulate", "--speed", "5") as running:
        until(lambda: journal.exists() and len(journal.read_text().splitlines()) == 4)
        running.send(signal.SIGINT)
        ended = running.end()
    assert ended.code == 130
    assert "4 paid job(s) still at the service" in ended.err
    assert f"resume: batchgen run {manifest} --simulate\n" in ended.err
    ended = place.inside("run", manifest, "--simulate", "--speed", "5")
    assert ended.code == 0
    assert ended.out.startswith("4 done;")
    assert len(journal.read_text().splitlines()) == 4


def test_files_that_cannot_be_fetched(place, simulate):
    """Nobody is hurried: files stand for days. The same command fetches them."""
    service = simulate()
    service.fail({"where": "cdn", "kind": "403"})
    there = place.at(service)
    manifest = there.manifest(4, defaults={"model": "flux-kontext-dev"})
    ended = there.inside("run", manifest, "--patience", "1")
    assert ended.code == 3
    assert ended.out.startswith("4 fetching; ")
    said = r"^files of \S+ cannot be fetched: .* HTTP 403; trying again; "
    assert re.search(said, ended.err, re.MULTILINE)
    assert "4 job(s) are finished and paid for: the next run fetches their files\n" in ended.err
    assert "fetch them before" not in ended.err
    service.fail()
    assert_resumes(there, service, manifest, 4)


def test_a_full_disk(place, simulate, tmp_path):
    service = simulate()
    manifest = place.manifest(4)
    with small_disk(tmp_path / "disk", "80m") as disk:
        there = Place(disk, place.env).at(service)
        (disk / "filler").write_bytes(bytes(30 * 2**20))
        ended = there.inside("run", manifest, "--patience", "1")
        assert ended.code == 3
        assert "the disk is full" in ended.err
        assert service.bills() == []
        (disk / "filler").unlink()
        assert_resumes(there, service, manifest, 4)


@pytest.mark.processes
def test_a_disk_without_inodes(place, simulate, tmp_path):
    """Free bytes look fine: the gate stays closed all the same, and downloads are few."""
    count = 24
    service = simulate(latency_s=0.5)
    manifest = place.manifest(count, defaults={"model": "flux-kontext-dev", "api": "v2"})
    with small_disk(tmp_path / "disk", "1g", inodes=60) as disk:
        there = Place(disk, place.env).at(service)
        with there.start("run", manifest, "--patience", "2") as running:
            until(lambda: len(service.bills()) >= count // 2)
            take_inodes(disk / "fillers")
            ended = running.end(60)
        assert ended.code == 3, ended.text
        assert "disk full" in ended.text or "the disk is full" in ended.text, ended.text
        assert service.download_count() <= 2 * count
        shutil.rmtree(disk / "fillers")
        assert_resumes(there, service, manifest, count)
        assert service.download_count() <= 3 * count


def test_a_disk_too_full_for_the_state(place, simulate, tmp_path):
    service = simulate()
    manifest = place.manifest(4)
    with small_disk(tmp_path / "disk", "1m") as disk:
        there = Place(disk, place.env).at(service)
        filler = disk / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
        ended = there.inside("run", manifest, "--patience", "1")
        assert ended.code in {2, 3}, ended.text
        assert "space" in ended.err or "full" in ended.err
        assert service.bills() == []


def test_a_file_in_the_way_of_a_folder(place, simulate):
    """The owner has to move it: to give the same command again would change nothing."""
    service = simulate()
    there = place.at(service)
    manifest = there.manifest(2, output={"filename": "{id}/cup"})
    assert there.inside("run", manifest, "--limit", "1").code == 1
    barrier = there.path / "runs/batch/outputs/job-1"
    barrier.touch()
    ended = there.inside("run", manifest)
    assert ended.code == 3, ended.text
    assert ended.err.splitlines()[-4:] == [
        "stopped: job-1/cup: Not a directory",
        "1 job(s) are finished and paid for: the next run fetches their files",
        "mend that first: permissions, a file in the way, or the disk",
        f"resume: batchgen run {manifest}",
    ]
    barrier.unlink()
    assert_resumes(there, service, manifest, 2)


def test_the_log_can_be_lost(place, service):
    """A log that cannot be written stops nothing."""
    (place.path / "runs/logless/run.log").mkdir(parents=True)
    there = place.at(service)
    assert there.inside("run", there.manifest(1, name="logless")).code == 0


def test_metadata_that_cannot_be_written(place, service):
    """All is paid for and there; the dataset's list comes with the next run."""
    there = place.at(service)
    manifest = there.manifest(1, name="listless")
    outputs = there.path / "runs/listless/outputs"
    assert there.inside("run", manifest).code == 0
    (outputs / "metadata.jsonl").unlink()
    (outputs / "metadata.jsonl/x").mkdir(parents=True)
    ended = there.inside("run", manifest)
    assert ended.code == 3
    assert "metadata.jsonl" in ended.err
    (outputs / "metadata.jsonl/x").rmdir()
    (outputs / "metadata.jsonl").rmdir()
    assert there.inside("run", manifest).code == 0
    assert json.loads((outputs / "metadata.jsonl").read_text())["id"] == "job-0"
    assert {path.name for path in outputs.iterdir()} == {"README.md", "job-0.png", "metadata.jsonl"}
    assert len(service.bills("listless")) == 1
