"""What a person sees before anything is done."""

import subprocess
import sys

import pytest

from batchgen.cli.main import _COMMANDS
from tests.cli.processes import environment

HEAVY = {"aiohttp", "pydantic", "yaml", "PIL", "tqdm", "anyio", "aiofiles", "sqlite3", "asyncio"}


@pytest.mark.parametrize("command", [None, *_COMMANDS])
def test_help_tells_what_it_does_and_shows_an_example(place, command):
    arguments = [command] if command else []
    ended = place.call(*arguments, "--help")
    assert ended.code == 0
    assert ended.err == ""
    assert ended.out.startswith("Usage: batchgen")
    assert "Example:" in ended.out
    assert f"batchgen {command or 'run'}" in ended.out.split("Example:")[1]
    assert place.inside(*arguments, "-h") == ended


def test_help_lists_every_command(place):
    out = place.inside("--help").out
    assert all(f"  {name} " in out and text[:20] in out for name, text in _COMMANDS.items())


def test_help_imports_nothing_heavy():
    program = (
        "import sys\n"
        "from batchgen.cli.main import run_cli\n"
        "code = run_cli(['--help'])\n"
        "print('\\n'.join(sys.modules), file=sys.stderr)\n"
        "sys.exit(code)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        check=False,
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert ended.returncode == 0
    assert set(ended.stderr.split()) & HEAVY == set()


def test_version(place):
    ended = place.call("--version")
    assert (ended.code, ended.out) == (0, "batchgen 0.1.0\n")
