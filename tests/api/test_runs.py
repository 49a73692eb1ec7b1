"""Runs from Python: results as they land, stops, resumes, mistakes; against a real simulator."""

import asyncio
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import batchgen
from tests.api.conftest import FREE, V1
from tests.cli.processes import Place, environment, until
from tests.helpers.finished import png


def batch_of(count, name="cups", **parts):
    batch = batchgen.Batch(name, defaults=V1, budget=FREE, **parts)
    rows = ({"prompt": f"{name} number {n}", "label": n} for n in range(count))
    batch.add(rows=rows, id="row-{row}", params={"prompt": "{prompt}"})
    return batch


async def test_results_land_with_all_that_is_known(talk, simulate):
    simulator = talk(simulate(blocked_words=["forbidden"]))
    batch = batch_of(3, "landing")
    batch.add(id="cup-{style}", matrix={"style": ["ink", "oil"]}, params={"prompt": "{style}"})
    batch.add(id="bad", params={"prompt": "forbidden"})
    async with batchgen.open(batch) as run:
        found = {result.id: result async for result in run}
        assert [result async for result in run] == []
    assert set(found) == {"row-1", "row-2", "row-3", "cup-ink", "cup-oil", "bad"}
    bad = found.pop("bad")
    assert (bad.state, bad.ok, bad.files) == ("failed", False, ())
    assert "moderation" in bad.reason
    ink = found["cup-ink"]
    assert (ink.state, ink.fields, ink.params["prompt"]) == ("done", {"style": "ink"}, "ink")
    assert all(result.cost == pytest.approx(0.04) for result in found.values())
    assert all(file.stat().st_size for result in found.values() for file in result.files)
    assert found["row-2"].fields == {"prompt": "landing number 1", "label": 1, "row": 2}
    assert ink.addresses == tuple(map(str, ink.files))

    summary = run.summary
    assert (summary.ok, summary.exit_code, summary.verdict) == (False, 1, "complete")
    assert summary.counts == {"done": 5, "failed": 1}
    assert summary.spent_usd == pytest.approx(0.2)
    assert [result.id for result in summary.failures] == ["bad"]
    assert {*summary.files} == {file for result in found.values() for file in result.files}
    assert (len(summary.files), len(summary.results)) == (5, 6)
    assert len(batchgen.results("runs/landing")) == len(batchgen.results(batch)) == 6
    assert (summary.run / "outputs/metadata.jsonl").read_text().count("\n") == 5
    assert len(simulator.bills()) == 6


async def test_jobs_on_hold_are_told_with_what_to_do(talk, simulate):
    talk(simulate())
    batch = batch_of(2, "slip")
    batch.add(id="typo", model="flux-kontex-dev", params={"prompt": "a cup"})
    async with batchgen.open(batch, patience=1.0) as run:
        assert {result.id async for result in run} == {"row-1", "row-2"}
    assert (run.summary.counts, run.summary.exit_code) == ({"held": 1, "done": 2}, 1)
    (held,) = run.summary.held
    assert (held.model, held.jobs) == ("flux-kontex-dev", 1)
    assert held.reason == "no such model (HTTP 404: Model information not found)"
    assert held.remedy.startswith("did you mean flux-kontext-dev? Fix `model:` in batch slip and")


async def test_the_same_batch_resumes_and_earlier_results_are_replayed(talk, service):
    talk(service)
    first = batchgen.run(batch_of(5, "resumed"), limit=2)  # although a loop runs here
    assert (first.counts, first.ok) == ({"done": 2, "pending": 3}, False)
    taste = {result.id for result in first.results}
    async with batchgen.open(batch_of(5, "resumed"), limit=1) as run:
        assert len([result async for result in run]) == 1
    async with batchgen.open(batch_of(5, "resumed"), replay=True) as run:
        await run.wait()  # what has landed by now is no earlier result
        told = [result.id async for result in run]
    assert sorted(told) == [f"row-{n}" for n in range(1, 6)]
    assert taste < set(told[:3])
    assert len(service.bills("resumed number")) == 5


async def test_results_wait_for_a_reader_that_comes_late(talk, service):
    talk(service)
    async with batchgen.open(batch_of(30, "late")) as run:
        summary = await run.wait()
        assert summary.counts == {"done": 30}
        read = [result.id async for result in run]
    assert len(set(read)) == len(read) == 30
    readers = [asyncio.create_task(anext(aiter(run), None)) for _ in range(3)]
    assert await asyncio.gather(*readers) == [None] * 3


@pytest.mark.parametrize("way", ["break", "raise", "cancel", "stop"])
async def test_leaving_early_keeps_what_was_paid_for(talk, service, way):
    talk(service)
    name = f"leaving-{way}"
    run = batchgen.open(batch_of(40, name), concurrency=2)

    async def leave():
        async with run:
            async for _ in run:
                if way == "break":
                    break
                if way == "raise":
                    raise ZeroDivisionError
                if way == "stop":
                    run.stop("enough")
                else:
                    asyncio.current_task().cancel()

    task = asyncio.create_task(leave())
    await asyncio.wait([task])
    assert task.cancelled() == (way == "cancel")
    if way == "raise":
        assert isinstance(task.exception(), ZeroDivisionError)
    summary = run.summary
    assert (summary.verdict, summary.exit_code) == ("stop", 130)
    assert ("enough" if way == "stop" else "left early") in summary.reason
    assert set(summary.counts) <= {"done", "pending", "fetching"}
    assert summary.counts["pending"] > 20
    whole = await asyncio.to_thread(batchgen.run, batch_of(40, name))
    assert whole.counts == {"done": 40}
    assert len(service.bills(f"{name} number")) == 40


async def test_a_run_directory_has_one_run_at_a_time(talk, service):
    talk(service)
    async with batchgen.open(batch_of(1, "locked")) as run:
        with pytest.raises(batchgen.RunLockedError, match="in use by process"):
            await batchgen.open(batch_of(1, "locked")).__aenter__()
        with pytest.raises(RuntimeError, match="opened once"):
            await run.__aenter__()


async def test_what_is_asked_too_early_is_told(here):
    run = batchgen.open("nowhere.yaml")
    with pytest.raises(RuntimeError, match="async with"):
        await anext(run)
    with pytest.raises(batchgen.ManifestError, match=r"nowhere\.yaml"):
        await run.__aenter__()
    with pytest.raises(batchgen.UserError, match="holds no run"):
        batchgen.results("runs/nowhere")


def test_without_a_key_nothing_is_made(here):
    with pytest.raises(batchgen.UserError, match=r"environ.*simulate=True") as raised:
        batchgen.run(batch_of(1))
    assert "--" not in str(raised.value)
    assert not (here / "runs").exists()


def test_a_changed_batch_is_told_in_the_words_of_python(talk, service):
    talk(service)
    assert batchgen.run(batch_of(1, "changed")).ok
    changed = batchgen.Batch("changed", defaults=V1, budget=FREE)
    changed.add(id="row-1", params={"prompt": "another"})
    with pytest.raises(batchgen.UserError, match='on_change="keep"'):
        batchgen.run(changed)
    assert batchgen.run(changed, on_change="keep").counts == {"done": 1}


async def test_a_later_row_that_cannot_be_is_told_before_anything_is_submitted(talk, simulate):
    simulator = talk(simulate())
    batch = batchgen.Batch("later", defaults=V1, budget={**FREE, "concurrency": 2})
    rows = ({"n": n} if n != 2_100 else {"m": n} for n in range(2_200))
    batch.add(rows=rows, id="later-{row}", params={"prompt": "later {n}"})
    with pytest.raises(batchgen.ManifestError) as raised:
        async with batchgen.open(batch, limit=60):
            raise AssertionError("it is not opened")
    assert simulator.bills() == []
    assert (raised.value.problems[0].file, raised.value.problems[0].line) == ("jobs[0].rows", 2101)


def test_a_path_is_a_local_file_and_uploaded_once(talk, simulate):
    simulator = talk(simulate())
    Path("in").mkdir()
    Path("in/cat.png").write_bytes(png(1))
    batch = batchgen.Batch("local", folder="in", defaults=V1, budget=FREE)
    params = {"prompt": "local {n}", "input_image": Path("cat.png")}
    batch.add(id="cat-{n}", matrix={"n": [1, 2]}, params=params)
    summary = batchgen.run(batch)
    assert summary.counts == {"done": 2}
    addresses = {result.params["input_image"] for result in summary.results}
    assert len(addresses) == 1
    assert addresses.pop().startswith("http")
    assert simulator.ledger()["requests"]["upload"]


def test_a_manifest_runs_in_a_rehearsal_without_a_key(here):
    Place(here).manifest(2, "rehearsed")
    summary = batchgen.run("batch.yaml", simulate=True, speed=100, run_dir="elsewhere")
    assert (summary.counts, summary.run.name) == ({"done": 2}, "elsewhere")
    assert batchgen.results("batch.yaml", run_dir="elsewhere").of([1])[0].id == "job-0"


SCRIPT = """
import asyncio, sys, batchgen
batch = batchgen.Batch("interrupted", defaults={defaults!r}, budget={budget!r})
batch.add(rows=({{"n": n}} for n in range(6)), id="i-{{row}}",
          params={{"prompt": "interrupted {{n}}"}})
async def cell():
    return batchgen.run(batch, concurrency=3)
try:
    if sys.argv[1] == "script":
        batchgen.run(batch, concurrency=3)
    else:
        asyncio.new_event_loop().run_until_complete(cell())
except KeyboardInterrupt:
    sys.exit(77)
"""


@pytest.mark.parametrize("way", ["script", "notebook"])
def test_ctrl_c_stops_and_the_same_code_resumes(here, simulate, monkeypatch, way):
    simulator = simulate(latency_s=0.6)
    script = here / "script.py"
    script.write_text(SCRIPT.format(defaults=V1, budget=FREE))
    command = [sys.executable, str(script), way]
    env = environment(**simulator.env) | {"PYTHONWARNINGS": "error,ignore::ResourceWarning"}
    with subprocess.Popen(command, cwd=here, env=env, stderr=subprocess.PIPE) as running:
        until(lambda: len(simulator.bills()) == 3)
        running.send_signal(signal.SIGINT)
        errors = running.communicate(timeout=60)[1]
    assert (running.returncode, errors) == (77, b"")
    assert len(simulator.bills()) == 3
    results = batchgen.results("runs/interrupted")
    assert {result.state for result in results} <= {"done"}
    for name, value in simulator.env.items():
        monkeypatch.setenv(name, value)
    batch = batchgen.Batch("interrupted", defaults=V1, budget=FREE)
    params = {"prompt": "interrupted {n}"}
    batch.add(rows=({"n": n} for n in range(6)), id="i-{row}", params=params)
    assert batchgen.run(batch).counts == {"done": 6}
    assert len(simulator.bills()) == 6


async def test_who_is_cancelled_twice_does_not_wait_for_answers(talk, simulate):
    simulator = talk(simulate(latency_s=600))
    run = batchgen.open(batch_of(3, "impatient"), concurrency=2)

    async def leave():
        async with run:
            await run.wait()

    task = asyncio.create_task(leave())
    await asyncio.to_thread(until, lambda: len(simulator.bills()) == 2)
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=0.2)
    assert not done  # it waits for two answers
    task.cancel()
    await asyncio.wait([task], timeout=30)
    assert task.cancelled()
    assert run.summary.counts == {"ambiguous": 2, "pending": 1}  # the next run finds out


def test_threads_and_signals_of_the_host_are_left_alone(talk, service):
    talk(service)
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert batchgen.run(batch_of(1, "host")).ok
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    until(lambda: not [t for t in threading.enumerate() if t.name.startswith("batchgen")])
