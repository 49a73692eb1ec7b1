"""What is shown where: a bar on a terminal, lines elsewhere, nothing on a closed pipe."""

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios

import pytest

from tests.cli.processes import COMMAND, until


def test_without_a_terminal_stderr_is_quiet_and_plain(place, service):
    there = place.at(service)
    ended = there.call("run", there.manifest(3, name="quiet"))
    assert ended.err == ""
    assert "\r" not in ended.text
    assert "\x1b" not in ended.text


class Terminal:
    """A pseudo-terminal; what a command writes to it is read by `rest`."""

    def __init__(self, columns=100):
        self.ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.streams = dict.fromkeys(("stdin", "stdout", "stderr"), self.theirs)

    def rest(self):
        """Everything up to the moment when the last writer has gone."""
        shown = b""
        with contextlib.suppress(OSError):
            while chunk := os.read(self.ours, 65536):
                shown += chunk
        return shown.decode()


@pytest.fixture
def terminal():
    opened = []

    def start(there, *arguments, columns=100):
        terminal = Terminal(columns)
        opened.append(terminal.ours)
        running = there.start(*arguments, **terminal.streams)
        os.close(terminal.theirs)
        return terminal, running

    yield start
    for descriptor in opened:
        with contextlib.suppress(OSError):
            os.close(descriptor)


def test_on_a_terminal_there_is_a_bar(place, service, terminal):
    there = place.at(service)
    screen, running = terminal(there, "run", there.manifest(3, name="bar"))
    with running:
        shown = screen.rest()
        assert running.process.wait(30) == 0
    assert re.search(r"0/3 \|", shown)
    assert re.search(r"3/3 \|.*\| 100 %", shown)
    assert "3 done, 0 running" in shown
    assert shown.count("\r") > 3
    assert "3 done; $0.12 spent" in shown
    assert "Traceback" not in shown


def test_on_a_terminal_jobs_on_hold_are_told_as_well(place, simulate, terminal):
    there = place.at(simulate())
    manifest = there.manifest(3, defaults={"model": "flux-kontex-devv"})
    screen, running = terminal(there, "run", manifest, "--patience", "1")
    with running:
        shown = screen.rest()
        assert running.process.wait(30) == 1
    text = re.sub(r"\s+", " ", shown)
    assert "0 done, 0 running, 3 held" in text
    assert "Its 3 jobs are on hold; did you mean flux-kontext-dev?" in text
    assert "then go on: batchgen run" in text


def test_a_terminal_without_a_width_gets_lines(place, simulate, terminal):
    service = simulate(keys=["SG_aaaaaaaaaaaaaaaa"])
    there = place.at(service)
    screen, running = terminal(there, "run", there.manifest(1), columns=0)
    with running:
        shown = screen.rest()
        assert running.process.wait(30) == 3
    assert shown.startswith("the API key is refused")


def test_a_terminal_that_is_closed(place, simulate, terminal):
    """The window is shut, and no signal tells: the run goes on."""
    service = simulate(latency_s=1)
    there = place.at(service)
    screen, running = terminal(there, "run", there.manifest(3))
    with running:
        until(lambda: len(service.bills()) == 3)
        os.close(screen.ours)
        running.process.wait(30)
    assert there.inside("status", "runs/batch", "--json").json["counts"]["done"] == 3
    assert there.inside("run", "batch.yaml").code == 0
    assert len(service.bills()) == 3


@pytest.mark.parametrize("arguments", [["schema"], ["plan", "batch.yaml", "--json"]])
def test_a_reader_that_goes_away(place, arguments):
    """`| head -1`"""
    place.manifest(500)
    line = " ".join([*COMMAND, *arguments])
    ended = subprocess.run(
        ["sh", "-c", f"{line} | head -1"], check=False,
        cwd=place.path, env=place.env, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert len(ended.stdout.splitlines()) == 1
    assert ended.stderr == ""


def closed_pipe():
    """The writing end of a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    return writing


def test_a_run_whose_stdout_is_closed_still_ends_as_it_ended(place, service):
    there = place.at(service)
    manifest = there.manifest(2, name="unread")
    writing = closed_pipe()
    with there.start("run", manifest, stdout=writing) as running:
        os.close(writing)
        ended = running.end()
    assert ended.code == 0, ended.text
    assert len(service.bills("unread")) == 2


def test_a_run_whose_stderr_is_closed_works_on(place, service):
    """The terminal is gone, and the outage line has nowhere to go."""
    there = place.at(service)
    manifest = there.manifest(2, name="unheard", defaults={"model": "flux-pro", "api": "v1"})
    writing = closed_pipe()
    with there.start("run", manifest, stderr=writing) as running:
        os.close(writing)
        ended = running.end()
    assert ended.code == 0, ended.text
    assert len(service.bills("unheard")) == 2


LOCALES = {
    "C": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
}


@pytest.mark.parametrize(
    "locale", ["C", *(pytest.param(name, marks=pytest.mark.hunt) for name in ("ascii", "latin-1"))]
)
def test_a_locale_without_unicode(place, service, locale):
    there = place.at(service, **LOCALES[locale])
    jobs = {"café-münchen": {"prompt": f"{locale}: Café ☃ 🎨"}}
    manifest = there.manifest(jobs, name="locale")
    assert there.call("run", manifest).code == 0
    outputs = there.path / "runs/locale/outputs"
    assert (outputs / "café-münchen.png").is_file()
    for arguments in (["plan", manifest], ["status", "runs/locale", "--json"]):
        assert there.call(*arguments).code == 0
    there.env["SEGMIND_API_KEY"] = ""
    assert there.call("run", manifest).code == 2


def test_control_characters_of_the_service_do_not_reach_the_terminal(place, simulate):
    service = simulate(
        failure_probability=1.0, failure_messages=["\x1b[31mred\x1b]0;title\x07 and \r gone"]
    )
    there = place.at(service)
    assert there.inside("run", there.manifest(1)).code == 1
    shown = there.inside("status", "runs/batch", "--failed")
    assert "red" in shown.out
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", shown.text)
