"""What a shell offers, in a real bash."""

import shlex
import shutil
import subprocess
import sys

import pytest

from batchgen.cli.main import run_cli
from tests.cli.processes import COMMAND

SCRIPT = r"""
eval "$(batchgen completion bash)"
for typed in "$@"; do
  COMP_WORDS=($typed); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=()
  _batchgen_completion batchgen
  echo "${COMPREPLY[*]}"
done
"""


def offered(place, *typed):
    """What a new bash offers behind each line; its last word is the one being typed."""
    program = place.write("bin/batchgen", f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
    program.chmod(0o755)
    env = place.env | {"PATH": f"{program.parent}:{place.env['PATH']}"}
    ended = subprocess.run(
        ["bash", "-c", SCRIPT, "bash", *typed],
        cwd=place.path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return [line.split() for line in ended.stdout.splitlines()]


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash on this machine")
def test_bash_offers_commands_runs_and_models(place):
    for name in ("cups", "cats"):
        place.write(f"runs/{name}/state.db", "")
    lines = ("batchgen st", "batchgen status runs/c", "batchgen models flux-kontext-m")
    assert offered(place, *lines) == [["status"], ["runs/cats", "runs/cups"], ["flux-kontext-max"]]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("status ", {"runs/cats", "runs/cups"}),
        ("doctor ru", {"runs/cats", "runs/cups"}),
        ("retry runs/cu", {"runs/cups"}),
        ("export runs/cups imagef", {"imagefolder"}),
        ("init flux-p", {"flux-pro"}),
        ("run --on-change k", {"keep"}),
        ("completion z", {"zsh"}),
    ],
)
def test_what_is_offered_without_a_shell(place, capsys, monkeypatch, words, found):
    for name in ("cups", "cats"):
        place.write(f"runs/{name}/state.db", "")
    monkeypatch.chdir(place.path)
    typed = f"batchgen {words}".split(" ")
    monkeypatch.setenv("_BATCHGEN_COMPLETE", "zsh_complete")
    monkeypatch.setenv("COMP_WORDS", " ".join(typed))
    monkeypatch.setenv("COMP_CWORD", str(len(typed) - 1))
    with pytest.raises(SystemExit) as ended:
        run_cli([])
    assert ended.value.code == 0
    values = [line for line in capsys.readouterr().out.splitlines() if line not in ("plain", "_")]
    assert set(values) == found


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_script_says_where_it_goes(place, shell):
    ended = place.inside("completion", shell)
    assert ended.code == 0
    first, *script = ended.out.splitlines()
    assert first.startswith("# ")
    assert f"batchgen completion {shell}" in first
    assert any("_BATCHGEN_COMPLETE" in line for line in script)


def test_it_runs_as_a_module(place):
    assert COMMAND[:2] == (sys.executable, "-m")
    ended = place.call("schema")
    assert ended.json["title"] == "Manifest"
