"""Wrong usage and wrong manifests: exit 2, a place, a remedy, and not one request."""

import json
import re
from pathlib import Path

import pytest

from batchgen.cli.main import _report, run_cli
from batchgen.core.common.exit_codes import ExitCode
from batchgen.errors import InternalError, UserError
from tests.cli.processes import IMAGE

WRONG = sorted((Path(__file__).parents[1] / "manifests" / "wrong").glob("*.yaml"))


def test_there_are_wrong_manifests_enough():
    assert len(WRONG) >= 30


@pytest.fixture
def at_service(service, monkeypatch, tmp_path):
    """This very process as the command, for tables that would take a minute in processes."""
    monkeypatch.chdir(tmp_path)
    for name, value in service.env.items():
        monkeypatch.setenv(name, value)
    before = service.request_count()
    yield tmp_path
    assert service.request_count() == before


@pytest.mark.parametrize("manifest", WRONG, ids=lambda path: path.stem)
@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_wrong_manifest_is_refused_with_place_and_remedy(at_service, capfd, command, manifest):
    assert run_cli([command, str(manifest)]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert "Traceback" not in err
    assert re.search(rf"{re.escape(manifest.name)}:\d+:\d+: ", err), err
    assert re.search(r"^    \S", err, re.MULTILINE), err
    assert list(at_service.iterdir()) == []


def test_a_wrong_manifest_as_a_process(place, service):
    before = service.request_count()
    wrong = next(path for path in WRONG if path.stem == "many-mistakes")
    ended = place.at(service).call("run", wrong)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.count(f"{wrong}:") > 5  # all of them at once
    assert service.request_count() == before
    assert list(place.path.iterdir()) == []


USAGE = {
    "no such command": (["rum"], "Did you mean 'run'?"),
    "no such option": (["run", "x.yaml", "--concurency", "3"], "--concurrency"),
    "no manifest": (["run"], "MANIFEST"),
    "concurrency of nothing": (["run", "x.yaml", "--concurrency", "0"], "--concurrency"),
    "requests of nothing": (["run", "x.yaml", "--rpm", "0"], "--rpm"),
    "negative spend": (["run", "x.yaml", "--max-spend", "-1"], "--max-spend"),
    "limit of nothing": (["run", "x.yaml", "--limit", "0"], "--limit"),
    "impatient below nothing": (["run", "x.yaml", "--patience", "-1"], "--patience"),
    "policy nobody knows": (["run", "x.yaml", "--on-change", "ask"], "--on-change"),
    "manifest is missing": (["plan", "missing.yaml"], "missing.yaml"),
    "manifest is a directory": (["run", "."], "directory"),
    "no run at a directory": (["status", "."], "batchgen run"),
    "no run at a name": (["status", "runs/never"], "batchgen run"),
    "retry without a choice": (["retry", "runs/never"], "--failed"),
    "retry of nothing": (["retry", "runs/never", "--failed"], "batchgen run"),
    "no such model": (["models", "flux-kontext-por"], "flux-kontext-pro"),
    "simulator on no port": (["simulator", "--port", "70000"], "--port"),
    "simulator with no such file": (["simulator", "--config", "gone.yaml"], "gone.yaml"),
}


@pytest.mark.parametrize(("arguments", "hint"), USAGE.values(), ids=USAGE.keys())
def test_wrong_usage_is_told(at_service, capfd, arguments, hint):
    assert run_cli(arguments) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert hint in err
    assert "Traceback" not in err


@pytest.mark.parametrize("key", [None, "", "  "])
def test_without_a_key_nothing_is_made(place, key):
    manifest = place.manifest(1)
    ended = place.inside("run", manifest) if key is None else _with_key(place, key, manifest)
    assert ended.code == 2
    assert "SEGMIND_API_KEY is not set" in ended.err
    assert "export SEGMIND_API_KEY=" in ended.err
    assert "--simulate" in ended.err
    assert [path.name for path in place.path.iterdir()] == ["batch.yaml"]


def _with_key(place, key, manifest):
    place.env["SEGMIND_API_KEY"] = key
    return place.inside("run", manifest)


def test_a_cap_needs_prices_also_from_the_command_line(place, service):
    """`--max-spend` can only be kept over jobs whose price is known, like the manifest's."""
    manifest = place.manifest(
        {"a": {"prompt": "priceless"}}, defaults={"model": "sdxl"}, name="priceless"
    )
    ended = place.at(service).inside("run", manifest, "--max-spend", "5")
    assert ended.code == 2
    assert "sdxl" in ended.err
    assert "`price:`" in ended.err
    assert service.bills("priceless") == []


def test_a_simulator_configuration_is_checked(place):
    place.write("wrong.yaml", "speed: fast\nfaults: [{where: moon, kind: '500'}]\n")
    ended = place.inside("simulator", "--config", "wrong.yaml")
    assert ended.code == 2
    assert "wrong.yaml" in ended.err
    assert "speed" in ended.err
    assert "faults.0.where" in ended.err


def test_two_simulators_on_one_port(place, service):
    port = service.url.rsplit(":", 1)[1]
    ended = place.inside("simulator", "--port", port)
    assert ended.code == 2
    assert port in ended.err


def test_a_local_file_in_the_way_of_the_run_directory(place, service):
    place.write("runs/batch", "a file where the folder should be")
    ended = place.at(service).inside("run", place.manifest(1))
    assert ended.code == 2
    assert "--run-dir" in ended.err


def test_a_tree_that_cannot_be_written(place, service):
    ended = place.at(service).inside("run", place.manifest(1), "--run-dir", "/proc/nowhere")
    assert ended.code == 2
    assert "/proc/nowhere" in ended.err
    assert "--run-dir" in ended.err


def test_an_entry_that_is_no_manifest_at_all(place):
    path = place.path / "binary.yaml"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    ended = place.inside("plan", path)
    assert ended.code == 2
    assert "binary.yaml" in ended.err


def test_json_manifest_is_yaml_too(place):
    path = place.write(
        "batch.json",
        json.dumps({"version": 1, "name": "j", "jobs": [{"model": "flux-kontext-dev", "params": {
            "prompt": "x", **IMAGE}}]}),
    )  # fmt: skip
    assert place.inside("plan", path).code == 0


def test_of_several_errors_at_once_the_first_is_told(capfd):
    nested = ExceptionGroup("", [ExceptionGroup("", [UserError("no way"), UserError("none")])])
    assert _report(nested) == ExitCode.USAGE
    assert capfd.readouterr().err == "error: no way\n"
    assert _report(ExceptionGroup("", [InternalError("ours"), OSError(5, "I/O")])) == 70
    with pytest.raises(ExceptionGroup):
        _report(ExceptionGroup("", [UserError("no way"), KeyError("ours")]))


def test_what_the_system_refuses_is_to_be_mended_first(capfd):
    """The same command alone would meet it again."""
    assert _report(PermissionError(13, "Permission denied", "runs/a/state.db")) == ExitCode.STOPPED
    assert capfd.readouterr().err == (
        "stopped: runs/a/state.db: Permission denied\n"
        "    mend that, and give the same command again\n"
    )
