"""`batchgen models`, and what the sources of the catalogue mean to `plan` and `run`."""

import json
import os
import pty
import re
import select
import signal
from contextlib import contextmanager

import pytest

from tests.cli.processes import KEY, until

CUP = {"prompt": "a cup"}


def models_of(place):
    folder = place.path / "listed"
    place.env["BATCHGEN_MODELS"] = str(folder)
    return folder


def update(place, simulator):
    """The update as a process of its own, without a key."""
    folder = models_of(place)
    place.env.update(SEGMIND_BASE_URL=simulator.url)
    place.env.pop("SEGMIND_API_KEY", None)
    return place.call("models", "--update"), folder


@pytest.fixture
def listed(place, simulate):
    """A place that knows the models of a service which has more than the catalogue."""
    simulator = simulate(
        extra_models=["kling-2.6", "seedance-2.0"],
        deprecated_models=["sd-old"],
        models={"seedance-2.0": {"price_usd": 0.7, "latency_s": 134}},
    )
    ended, folder = update(place, simulator)
    assert ended.code == 0, ended.err
    return place, folder


def test_update_reads_the_list_and_the_prices_without_a_key(place, simulate):
    simulator = simulate(
        extra_models=["kling-2.6"],
        deprecated_models=["sd-old"],
        models={"seedance-2.0": {"price_usd": 0.7, "latency_s": 134}},
    )
    ended, folder = update(place, simulator)
    assert ended.code == 0
    assert ended.err == ""
    assert ended.out == f"8 models: 6 with a price, 1 deprecated\nfiles: {folder}\n"
    assert len(list(folder.iterdir())) == 8

    shown = place.inside("models", "seedance-2.0")
    assert "~134 s" in shown.out
    assert re.search(r"\$0\.70 \(estimate of \d{4}-\d\d-\d\d\)", shown.out)
    assert "deprecated" in place.inside("models", "sd-old").out
    page = place.inside("models", "flux-kontext-pro", "--json").json
    assert page["parameters"]["safety_tolerance"]["maximum_with_image"] == 2, "the page's own"
    assert page["source"] == "page"


@pytest.mark.parametrize("form", ["html", "no_list"])
def test_what_cannot_be_read_leaves_everything_as_it_was(listed, simulate, form):
    place, folder = listed
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    ended, _ = update(place, simulate(catalog_form=form))
    assert (ended.code, ended.out) == (3, "")
    assert ended.err.count("warning: http://127.0.0.1:") == 2
    assert "Traceback" not in ended.err
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_rows_that_nobody_can_read_are_counted(place, simulate):
    ended, folder = update(place, simulate(catalog_form="broken_rows"))
    assert ended.code == 0
    assert "5 models: 5 with a price, 0 deprecated; 6 rows could not be read" in ended.out
    assert all(path.name.endswith(".yaml") for path in folder.iterdir())


@pytest.mark.parametrize(
    "fault",
    [
        {"where": "catalog", "kind": "404"},
        {"where": "catalog", "kind": "garbled"},
        {"where": "catalog", "kind": "cut"},
        {"where": "llms", "kind": "drop_before"},
        {"where": "llms", "kind": "answer", "status": 200, "body": "gone", "content_type": "x/y"},
    ],
    ids=str,
)
def test_one_source_is_enough(place, simulate, fault):
    ended, _ = update(place, simulate(faults=[fault]))
    assert ended.code == 0
    assert ended.err.count("warning: ") == 1
    assert ended.out.startswith("5 models: ")


def test_nobody_there(place):
    models_of(place)
    place.env["SEGMIND_BASE_URL"] = "http://127.0.0.1:9"
    ended = place.inside("models", "--update")
    assert ended.code == 3
    assert "nothing was learned" in ended.err


def test_search_and_json(listed):
    place, _ = listed
    found = place.inside("models", "--search", "KONTEXT image max").out
    assert "multi-image-kontext-max" in found
    assert "flux-pro" not in found
    assert "estimates of" in found
    none = place.inside("models", "--search", "nothing of the kind")
    assert (none.code, none.out) == (0, "")
    assert "--update" in none.err
    told = place.inside("models", "--search", "seedance", "--json").json
    assert [model["slug"] for model in told] == ["seedance-2.0"]
    assert told[0]["price_is_estimate"] is True
    overview = place.inside("models").out
    assert "and 3 more of the service's own list" in overview
    assert "Any other slug of the service is legal too" in overview
    assert place.inside("models", "flux-pro", "--update").code == 2


def test_a_broken_file_is_named_once_and_left_out(listed):
    place, folder = listed
    (folder / "seedance-2.0.yaml").write_text("slug: [\n")
    (folder / "kling-2.6.yaml").write_text("slug: other\n")
    jobs = {"a": CUP, "b": CUP}
    path = place.manifest(jobs, defaults={"model": "seedance-2.0"})
    ended = place.inside("plan", path)
    assert ended.code == 0
    assert ended.err.count("seedance-2.0.yaml cannot be read") == 1
    assert "`batchgen models --update` makes it anew" in ended.err
    assert "kling" not in ended.err, "nobody asked for it"
    assert place.inside("models", "--search", "kling").err.count("kling-2.6.yaml cannot") == 1


def test_the_list_refuses_nothing(listed):
    """A text that is no file, a cell that is no number, a value out of range: the list says so."""
    place, folder = listed
    parameters = {
        "image": {"type": "uri", "required": True},
        "steps": {"type": "number", "range": [1, 5]},
        "duration": {"type": "integer", "default": 10, "affects_price": True},
    }
    data = {"slug": "kling-2.6", "output": "video", "parameters": parameters}
    (folder / "kling-2.6.yaml").write_text(json.dumps(data))
    place.write("rows.csv", "image,steps\nno-such-file.png,many\n")
    place.write(
        "m.yaml",
        "version: 1\nname: m\njobs:\n- from: rows.csv\n  model: kling-2.6\n"
        '  params: {image: "{image}", steps: "{steps}", more: 1}\n',
    )
    ended = place.inside("plan", "m.yaml")
    assert ended.code == 0
    assert ended.err.count("as the service's list of models has it") == 3
    assert "duration (default 10) changes the price and is left to the service's" in ended.err
    assert "140.0 s guess" in ended.out, "of films"
    told = place.inside("plan", "m.yaml", "--json").json["warnings"]
    assert any("duration (default 10)" in warning for warning in told)


def test_a_plan_says_that_prices_are_averages_and_of_when(place):
    path = place.manifest({"a": CUP})
    assert "estimated by average prices of 2026-08-19" in place.inside("plan", path).out
    assert place.inside("plan", path, "--json").json["prices_estimated"] == ["2026-08-19"]
    path = place.manifest({"a": CUP}, defaults={"model": "flux-kontext-dev", "price": 0.5})
    assert "estimated by" not in place.inside("plan", path).out


def test_a_deprecated_model_is_told_before_the_run(listed, simulate):
    place, _ = listed
    simulator = simulate(unknown_models="accept")
    path = place.manifest({"a": CUP, "b": CUP}, defaults={"model": "sd-old", "api": "v1"})
    assert place.inside("plan", path).err.count("deprecated: it may") == 1
    assert place.at(simulator).inside("run", path).err.count("deprecated: it may") == 1


def test_files_beside_the_manifest_lie_over_all(listed):
    place, _ = listed
    (place.path / "models").mkdir()
    place.write("models/mine.yaml", "slug: seedance-2.0\nprice_usd: 1.5\n")
    place.write(
        "models/other.yml", "slug: sdxl\nparameters: {steps: {type: integer, range: [1, 9]}}"
    )
    path = place.write(
        "m.yaml",
        "version: 1\nname: m\njobs:\n- {id: a, model: seedance-2.0, params: {prompt: a}}\n"
        "- {id: b, model: sdxl, params: {steps: 5}}\n",
    )
    ended = place.inside("plan", path)
    assert ended.code == 0, ended.err
    assert "$1.50 own file" in ended.out
    assert "estimated by" not in ended.out, "it is not: its user says so"
    assert "134.0 s guess" in ended.out, "of the list below it"

    place.write(
        "models/other.yml", "slug: sdxl\nparameters: {steps: {type: integer, range: [1, 4]}}"
    )
    ended = place.inside("plan", path)
    assert ended.code == 2
    assert "steps is 5, out of range" in ended.err


@pytest.mark.parametrize("command", ["plan", "run"])
def test_mistakes_of_these_files_are_the_manifests(place, service, command):
    (place.path / "models").mkdir()
    place.write("models/a.yaml", "slug: sdxl\nprice_usd: cheap\nlatncy_s: 3\n")
    place.write("models/b.yaml", "[\n{slug: x}]\n")
    place.write("models/c.yaml", "slug: x\nparameters: {a: {type: text, range: [5, 1]}}\n")
    path = place.manifest({"a": CUP})
    ended = place.at(service).inside(command, path)
    assert ended.code == 2
    for told in ("models/a.yaml:2:12: price_usd", "did you mean latency_s", "models/b.yaml:1:1"):
        assert told in ended.err
    assert "models/c.yaml:2:" in ended.err
    assert not (place.path / "runs").exists()


def test_files_that_tell_of_no_model_of_the_service_are_somebody_elses(place):
    """A folder of this name may hold weights and their settings."""
    (place.path / "models").mkdir()
    place.write("models/lora.yaml", "base: !checkpoint sdxl\nsteps: [1, 2\n")
    ended = place.inside("plan", place.manifest({"a": CUP}))
    assert ended.code == 0, ended.text
    assert "lora.yaml has no `slug:`, so it tells of no model of the service" in ended.err


def test_a_changed_file_is_another_catalogue(place, simulate):
    """A price that was edited reaches the jobs of the record."""
    (place.path / "models").mkdir()
    place = place.at(simulate(unknown_models="accept"))
    defaults = {"model": "sdxl", "api": "v1"}
    path = place.manifest({"a": CUP}, defaults=defaults, budget={"max_spend": 1})
    for price, code in ((5, 3), (0.05, 0)):
        place.write("models/sdxl.yaml", f"slug: sdxl\nprice_usd: {price}\n")
        ended = place.inside("run", path, "--run-dir", "r")
        assert ended.code == code, ended.err


@contextmanager
def terminal(place, *arguments):
    """A command at a terminal of its own."""
    main, other = pty.openpty()
    running = place.start(*arguments, stdin=other, stderr=other)
    os.close(other)
    try:
        with running:
            yield running, main
    finally:
        os.close(main)


def read_until(main, text):
    seen = b""
    while text not in seen:
        assert select.select([main], [], [], 30)[0], seen
        seen += os.read(main, 4096)
    return seen.decode()


@pytest.mark.parametrize(("answer", "code"), [(b"n\n", 2), (b"\n", 2), (b"y\n", None)], ids=str)
def test_a_slip_is_asked_about_at_a_terminal(place, simulate, answer, code):
    simulator = simulate(unknown_models="accept", latency_s=0.05)
    jobs = {"a": CUP, "b": CUP}
    path = place.manifest(jobs, defaults={"model": "flux-kontex-max", "api": "v1"})
    with terminal(place.at(simulator), "run", path) as (running, main):
        read_until(main, b"flux-kontext-max is. Submit its 2 jobs as they are? [y/N]")
        os.write(main, answer)
        ended = read_until(main, b"write flux-kontext-max" if code else b"\n")
        until(lambda: running.process.poll() is not None)
        assert running.process.returncode == (code or 0)
    assert len(simulator.bills()) == (0 if code else 2)
    assert "batch.yaml:" in ended or not code


def test_ctrl_c_is_no_answer(place, simulate):
    simulator = simulate(unknown_models="accept")
    path = place.manifest({"a": CUP}, defaults={"model": "flux-kontex-max", "api": "v1"})
    with terminal(place.at(simulator), "run", path) as (running, main):
        read_until(main, b"Submit its job as it is? [y/N]")
        running.send(signal.SIGINT)
        read_until(main, b"stopped by SIGINT")
        until(lambda: running.process.poll() is not None)
        assert running.process.returncode == 130
    assert simulator.bills() == []


def test_without_a_terminal_a_slip_is_a_question_and_no_stop(place, simulate):
    simulator = simulate(unknown_models="accept", latency_s=0.05)
    path = place.manifest({"a": CUP}, defaults={"model": "flux-kontex-max", "api": "v1"})
    planned = place.inside("plan", path)
    assert re.search(r":\d+:\d+: .*is the model flux-kontex-max meant to be flux", planned.err)
    ended = place.at(simulator).inside("run", path)
    assert ended.code == 0
    assert "note: " in ended.err
    assert "is the model flux-kontex-max meant to be flux-kontext-max?" in ended.err
    assert KEY not in ended.text
