"""Real processes of the command line and of the simulator, stopped by their ids."""

import io
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack, chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

from anyio.from_thread import start_blocking_portal

from batchgen.cli.main import run_cli
from batchgen.providers.segmind.simulator import SimulatorConfig
from batchgen.providers.segmind.simulator.http.server import serve

KEY = "SG_00c0ffee00c0ffee"
for _number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    # Of tests that a script began with `&`: what they start would inherit it, and never stop.
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.SIG_DFL)

COMMAND = (sys.executable, "-m", "batchgen")
HEALTHY = {"pictures": "tiny", "latency_s": 0.05, "latency_jitter": 0, "history_lag_s": 0.1}
"""A service that answers at once. v1 jobs end within milliseconds; v2 jobs are first asked for
after the latency that the catalogue tells, so tests use them only where they must."""


def environment(**changes):
    """What a command sees: nothing of ours but the path, and warnings as errors."""
    plain = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "LANG": "C.UTF-8",
        "PYTHONWARNINGS": "error",
    }
    merged = plain | changes
    return {name: value for name, value in merged.items() if value is not None}


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def text(self):
        return self.out + self.err

    @property
    def json(self):
        return json.loads(self.out)


class Running:
    """A command at work. Leaving the block kills it if it is still there."""

    def __init__(self, *arguments, cwd, env, prefix=(), **options):
        given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        self.process = subprocess.Popen(
            [*prefix, *COMMAND, *map(str, arguments)], cwd=cwd, env=env, **(given | options)
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    @property
    def pid(self):
        return self.process.pid

    def send(self, number):
        self.process.send_signal(number)

    def killed_after(self, pause_s):
        """Let it work so long, then SIGKILL; whether it was still there."""
        try:
            self.process.communicate(timeout=pause_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
        return self.process.returncode == -signal.SIGKILL

    def end(self, timeout=60.0, data=None):
        """Wait for it. It must not end in a traceback, whatever happened to it."""
        out, err = self.process.communicate(data, timeout=timeout)
        ended = Ended(
            self.process.returncode,
            (out or b"").decode("utf-8", "backslashreplace"),
            (err or b"").decode("utf-8", "backslashreplace"),
        )
        assert "Traceback" not in ended.text, ended.text
        assert "Exception ignored" not in ended.text, ended.text
        return ended


@dataclass(frozen=True)
class Place:
    """An empty directory to run commands in, with or without a service."""

    path: Path
    env: dict = field(default_factory=environment)

    def at(self, service, **changes):
        """The same place, its commands talking to a service."""
        return Place(self.path, self.env | service.env | changes)

    def start(self, *arguments, **options):
        return Running(*arguments, cwd=self.path, env=self.env, **options)

    def call(self, *arguments, data=None, timeout=60.0, **options):
        if data is not None:
            options["stdin"] = subprocess.PIPE
        with self.start(*arguments, **options) as running:
            return running.end(timeout, data)

    def inside(self, *arguments, data=None):
        """The same as `call`, in this very process: spared the imports, most of a call's time."""
        out, err = io.StringIO(), io.StringIO()
        before, stdin = dict(os.environ), sys.stdin
        try:
            os.environ.clear()
            os.environ.update(self.env)
            sys.stdin = io.StringIO((data or b"").decode())
            with chdir(self.path), redirect_stdout(out), redirect_stderr(err):
                code = run_cli([str(argument) for argument in arguments])
        finally:
            sys.stdin = stdin
            os.environ.clear()
            os.environ.update(before)
        return Ended(code, out.getvalue(), err.getvalue())

    def write(self, name, text):
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def manifest(self, jobs, name="batch", file="batch.yaml", **parts):
        """A manifest of v1 jobs: `jobs` maps an id to its parameters, or is their count."""
        if isinstance(jobs, int):
            jobs = {f"job-{i}": {"prompt": f"{name} number {i}"} for i in range(jobs)}
        parts.setdefault("budget", {"requests_per_minute": None, "concurrency": 32})
        parts.setdefault("defaults", {"model": "flux-kontext-dev", "api": "v1"})
        entries = [{"id": id_, "params": {**IMAGE, **params}} for id_, params in jobs.items()]
        document = {"version": 1, "name": name, **parts, "jobs": entries}
        return self.write(file, json.dumps(document, indent=1, ensure_ascii=False))


IMAGE = {"input_image": "https://example.com/in.png"}


class Service:
    """A simulated service that listens at `url`, and what it can be asked and told."""

    url: str

    @property
    def env(self):
        return {"SEGMIND_BASE_URL": self.url, "SEGMIND_API_KEY": KEY}

    def ledger(self):
        with urllib.request.urlopen(f"{self.url}/_simulator/ledger", timeout=30) as answer:
            return json.load(answer)

    def bills(self, text=""):
        """Accepted jobs, those whose parameters hold a text."""
        return [bill for bill in self.ledger()["bills"] if text in bill["body"]]

    def charged_usd(self, text=""):
        return sum(b["cost_usd"] for b in self.bills(text) if b["state"] != "FAILED")

    def download_count(self):
        return sum(self.ledger()["requests"].get("cdn", {}).values())

    def request_count(self):
        return sum(sum(places.values()) for places in self.ledger()["requests"].values())

    def fail(self, *rules):
        self._post("faults", list(rules))

    def add_credits(self, usd):
        self._post("credits", {"add_usd": usd})

    def _post(self, what, value):
        request = urllib.request.Request(
            f"{self.url}/_simulator/{what}", json.dumps(value).encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 200


class Simulator(Service):
    """`batchgen simulator` as a process of its own, on free ports."""

    def __init__(self, folder, journal=None, port=0, **config):
        path = folder / "simulator.json"
        path.write_text(json.dumps(HEALTHY | config))
        remember = ["--journal", journal] if journal else []
        self._errors = (folder / "simulator.err").open("wb")
        self.process = subprocess.Popen(
            [*COMMAND, "simulator", "--port", str(port), "--config", path, *remember],
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment(),
        )
        line = self.process.stdout.readline().decode()
        assert line.startswith("API "), (folder / "simulator.err").read_text()
        self.url = line.split()[1]

    def stop(self):
        """Ask it to end; returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            self.process.stdout.close()
            self._errors.close()


class SimulatorInside(Service):
    """The same server in a thread of this process: spared the imports of one more."""

    def __init__(self, **config):
        settings = SimulatorConfig.model_validate(HEALTHY | config)
        self._stack = ExitStack()
        portal = self._stack.enter_context(start_blocking_portal())
        server = serve(settings, host="127.0.0.1", api_port=0, cdn_port=0)
        self.url = self._stack.enter_context(portal.wrap_async_context_manager(server)).url

    def stop(self):
        """End it; returns what its process would exit with."""
        self._stack.close()
        return 0


def until(condition, within_s=60.0):
    """Wait for a condition, looking often; its value."""
    end = time.monotonic() + within_s
    while not (value := condition()):
        assert time.monotonic() < end, "it never came to pass"
        time.sleep(0.01)
    return value
