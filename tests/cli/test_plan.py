"""`batchgen plan` beside runs: before one, after a taste, after an edit, and beside one at work."""

import json
from contextlib import closing

import pytest

from batchgen.store.sqlite.schema import connect
from tests.cli.processes import until


def planned(there, *arguments):
    ended = there.inside("plan", *arguments, "--json")
    assert ended.code == 0, ended.text
    return ended.json


def standings(told):
    return {name: count for name, count in told["standings"].items() if count}


OLD = {f"job-{n}": {"prompt": f"plan number {n}"} for n in range(6)}


def test_from_the_first_look_to_the_last_file(place, simulate):
    """A taste teaches price, latency and size; an edit shows; what is done costs nothing."""
    service = simulate(models={"flux-kontext-dev": {"price_usd": 0.03}})
    there = place.at(service)
    manifest = there.manifest(OLD)

    first = planned(there, manifest)
    assert standings(first) == {"new": 6}
    assert (first["lowest_usd"], first["highest_usd"], first["unpriced"]) == (0.24, 0.24, 0)
    assert first["models"]["flux-kontext-dev"]["price_from"] == ["catalogue"]
    assert first["models"]["flux-kontext-dev"]["latency_is_guess"]
    assert first["disk"]["is_guess"]
    assert first["disk"]["free_bytes"] > 0
    assert not (there.path / "runs").exists()

    taste = there.inside("run", manifest, "--limit", "2")
    assert "--limit 2 is reached; 4 jobs wait" in taste.err
    assert f"what they will come to: batchgen plan {manifest}" in taste.err
    assert f"go on: batchgen run {manifest}" in taste.err

    second = planned(there, manifest)
    assert standings(second) == {"waiting": 4, "done": 2}
    model = second["models"]["flux-kontext-dev"]
    assert (model["low_usd"], model["high_usd"]) == (0.03, 0.04)
    assert (second["lowest_usd"], second["highest_usd"]) == (0.12, 0.16)
    assert second["committed_usd"] == pytest.approx(service.charged_usd()) == 0.06
    files = list((there.path / "runs/batch/outputs").glob("*.png"))
    size = sum(path.stat().st_size for path in files) / len(files)
    assert second["disk"]["outputs_bytes"] == round(4 * size)
    assert not second["disk"]["is_guess"]
    assert second["disk"]["state_bytes"] == 0

    edited = dict(OLD)
    del edited["job-5"]
    edited |= {"job-0": {"prompt": "plan, better"}, "job-4": {"prompt": "plan, new"}}
    manifest = there.manifest(edited | {"job-9": {"prompt": "plan number 9"}})
    third = planned(there, manifest)
    assert standings(third) == {"new": 1, "waiting": 2, "changed": 1, "done": 1, "contested": 1}
    assert third["gone"] == 1
    assert third["rerun_usd"] == 0.04
    assert any("--on-change" in warning for warning in third["warnings"])
    people = there.inside("plan", manifest)
    assert "next: batchgen run batch.yaml --on-change keep" in people.out.replace(
        str(there.path) + "/", ""
    )
    assert there.inside("run", manifest).code == 2  # as it was told

    assert there.inside("run", manifest, "--on-change", "keep").code == 0
    last = planned(there, manifest)
    assert standings(last) == {"done": 6}
    assert (last["submits"], last["highest_usd"], last["time_s"], last["bound_by"]) == (
        0,
        0,
        0,
        None,
    )
    assert last["committed_usd"] == pytest.approx(service.charged_usd())
    assert "next:" not in there.inside("plan", manifest).out


def test_failed_jobs_are_free_and_are_not_run_again(place, simulate):
    there = place.at(simulate(blocked_words=["naughty"]))
    manifest = there.manifest({"a": {"prompt": "naughty"}, "b": {"prompt": "nice"}})
    assert there.inside("run", manifest).code == 1

    told = planned(there, manifest)
    assert standings(told) == {"done": 1, "failed": 1}
    assert (told["submits"], told["highest_usd"]) == (0, 0)
    people = there.inside("plan", manifest).out
    assert "batchgen retry runs/batch --failed" in people

    mended = there.manifest({"a": {"prompt": "nicer"}, "b": {"prompt": "nice"}})
    assert standings(planned(there, mended)) == {"changed": 1, "done": 1}


def test_rejected_jobs_are_paid_for_and_are_not_run_again(place, simulate):
    there = place.at(simulate(filtered_words=["naughty"]))
    manifest = there.manifest({"a": {"prompt": "naughty"}, "b": {"prompt": "nice"}})
    assert there.inside("run", manifest).code == 1
    people = there.inside("plan", manifest).out
    assert "paid for, no files came; batchgen retry runs/batch --rejected" in people
    assert "next:" not in people


@pytest.mark.processes
def test_beside_a_run_and_after_its_death(place, simulate):
    """Jobs under way are paid for, also those that a killed process left."""
    service = simulate(latency_s=30)
    there = place.at(service)
    manifest = there.manifest(4, name="killed", budget={"concurrency": 2})
    with there.start("run", manifest) as running:
        until(lambda: len(service.bills()) == 2)
        beside = planned(there, manifest)
        assert standings(beside) == {"waiting": 2, "under_way": 2}
        assert beside["submits"] == 2
        assert running.process.poll() is None
    after = planned(there, manifest)
    assert standings(after) == {"waiting": 2, "under_way": 2}
    assert after["lowest_usd"] == after["committed_usd"] == 0.08


def test_a_rehearsal_is_told_apart(place):
    manifest = place.manifest(5, name="dry")
    assert place.inside("run", manifest, "--simulate", "--speed", "10000", "--limit", "1").code == 1
    ended = place.inside("plan", manifest)
    assert "runs/dry is a rehearsal" in ended.err
    assert ended.out.endswith("--simulate\n")


# What if


@pytest.fixture
def many(place):
    """A hundred jobs at ten cents, none run."""
    path = place.write(
        "many.yaml",
        "version: 1\nname: many\njobs:\n"
        '  - id: "cup-{n}"\n    model: flux-kontext-max\n'
        f"    matrix: {{n: {list(range(100))}}}\n"
        '    params: {prompt: "a cup", seed: "{n}"}\n',
    )
    return place, path


def test_overrides_are_those_of_run(many):
    place, path = many
    usual = planned(place, path)
    assert (usual["bound_by"], usual["submits"], usual["limit"]) == ("concurrency", 100, None)

    assert planned(place, path, "--concurrency", "100")["bound_by"] == "requests a minute"
    assert planned(place, path, "--rpm", "5")["time_s"] > 5 * usual["time_s"]
    limited = planned(place, path, "--limit", "3")
    assert (limited["submits"], limited["jobs"]) == (3, 100)
    assert limited["highest_usd"] == pytest.approx(0.3)
    assert limited["bound_by"] == "latency"

    capped = planned(place, path, "--max-spend", "2.55")
    assert capped["max_spend_usd"] == 2.55
    assert any("enough for about 25 of 100 jobs" in warning for warning in capped["warnings"])
    assert usual["warnings"] == []


def test_a_duration_and_a_price_that_do_not_suffice(many):
    place, path = many
    text = path.read_text()
    budget = (
        "budget: {max_duration: 5m, max_spend: 100, models: {flux-kontext-max: {concurrency: 4}}}"
    )
    place.write("short.yaml", text.replace("jobs:", f"{budget}\njobs:"))
    told = planned(place, "short.yaml")
    assert 20 < told["jobs_within_max_duration"] < 60
    assert any("fit into max_duration 5 min 00 s" in warning for warning in told["warnings"])
    assert {bound["model"] for bound in told["bounds"]} == {None, "flux-kontext-max"}

    unpriced = text.replace("flux-kontext-max", "sdxl").replace(
        "jobs:", "budget: {max_spend: 1}\njobs:"
    )
    place.write("unpriced.yaml", unpriced)
    ended = place.inside("plan", "unpriced.yaml")
    assert "unknown: no price of any of these jobs is known" in ended.out
    assert "none is known of sdxl" in ended.err


def test_outputs_in_a_bucket_need_no_disk(many):
    place, path = many
    place.write("far.yaml", path.read_text().replace("jobs:", "output: {dir: s3://b/p}\njobs:"))
    assert "of files into s3://b/p" in place.inside("plan", "far.yaml").out


def test_local_files_are_uploads(place):
    picture = bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
        "1f15c4890000000a49444154789c6360000000020001e221bc330000000049454e44ae426082"
    )
    for name in ("a.png", "same.png"):
        (place.path / name).write_bytes(picture)
    (place.path / "b.png").write_bytes(picture + b"\0")
    jobs = {name: {"prompt": f"edit {name}", "input_image": name} for name in ("a.png", "b.png")}
    jobs |= {"again": {"prompt": "once more", "input_image": "same.png"}}
    jobs |= {f"more-{n}": {"prompt": f"{n}", "input_image": "same.png"} for n in range(3)}
    told = planned(place, place.manifest(jobs))
    # Files are not read for a plan: two names of one content count as two.
    assert told["uploads"] == {"files": 3, "bytes": 3 * len(picture) + 1}
    assert "up to 3 files" in place.inside("plan", "batch.yaml").out


def test_a_page_has_eighty_columns(place):
    slugs = [
        "flux-kontext-max",
        "multi-image-kontext-max",
        "a-model-with-a-name-of-quite-some-length",
    ]
    jobs = [
        {"id": f"{slug}-{n}", "model": slug, "price": 12.345, "params": IMAGES | {"prompt": f"{n}"}}
        for slug in slugs
        for n in range(12)
    ]
    budget = {"max_spend": 99.5, "models": {slug: {"concurrency": 2} for slug in slugs}}
    document = {"version": 1, "name": "wide", "budget": budget, "jobs": jobs}
    path = place.write("wide.yaml", json.dumps(document))
    ended = place.inside("plan", path.name)
    assert ended.code == 0
    wide = [line for line in ended.out.splitlines() if len(line) > 80 and "next:" not in line]
    assert wide == []
    assert "a-model-with-a-name-of…" in ended.out


IMAGES = {
    "input_image_1": "https://example.com/1.png",
    "input_image_2": "https://example.com/2.png",
}


def test_a_state_that_is_none_is_told(place):
    manifest = place.manifest(1, name="broken")
    place.write(
        "runs/broken/state.db", "no database at all, and rather long for a header of one" * 2
    )
    ended = place.inside("plan", manifest)
    assert ended.code == 2
    assert "is not a SQLite file" in ended.err


def test_outputs_without_their_state_are_told(place):
    manifest = place.manifest(1, name="lost")
    place.write("runs/lost/outputs/job-0.png", "x")
    ended = place.inside("plan", manifest)
    assert ended.code == 2  # as a run
    assert "state.db is gone" in ended.err


def test_an_empty_state_is_a_run_without_jobs(place):
    manifest = place.manifest(2, name="empty")
    (place.path / "runs/empty").mkdir(parents=True)
    connect(place.path / "runs/empty/state.db", create=True).close()
    assert standings(planned(place, manifest)) == {"new": 2}


def test_v1_for_a_model_that_takes_long_is_warned_of(place, simulate):
    there = place.at(simulate())
    manifest = there.manifest(3)
    there.inside("run", manifest, "--limit", "1")
    assert planned(there, manifest)["warnings"] == []
    state = there.path / "runs/batch/state.db"
    slow = json.dumps({"flux-kontext-dev": [134.0] * 40})
    with closing(connect(state, create=False)) as connection:
        connection.execute("UPDATE notes SET value = ? WHERE name = 'latencies'", (slow,))

    (told,) = planned(there, manifest)["warnings"]
    assert "flux-kontext-dev takes about 2 min 14 s, and a v1 call breaks off" in told
    assert "`api: v2`" in told
    queued = there.manifest(3, defaults={"model": "flux-kontext-dev"})
    assert not any("v1" in warning for warning in planned(there, queued)["warnings"])
