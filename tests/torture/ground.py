"""What every scene stands on: a fresh directory, a service of its own, and the verdict."""

import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.cli.processes import COMMAND, IMAGE, Place, Simulator
from tests.cli.verdicts import judge

QUICK = bool(os.environ.get("QUICK"))
SEED = int(os.environ.get("SEED", "1"))


@dataclass
class Outcome:
    """What a scene came to. `skipped` says why it was not played."""

    count: int = 0
    violations: list[str] = field(default_factory=list)
    done: int = 0
    unknown: int = 0
    doubled: int = 0
    note: str = ""
    skipped: str = ""


@dataclass
class Ground:
    """A directory to run in and the service that judges."""

    place: Place
    service: Simulator
    chance: random.Random
    outcome: Outcome = field(default_factory=Outcome)

    def manifest(self, count, name="batch", **parts):
        """So many jobs, every fourth of them v1: blocking, so that kills leave doubts."""
        entries = [
            {
                "id": f"{name}-{i}",
                "model": "flux-kontext-dev",
                "api": "v2" if i % 4 else "v1",
                "params": {"prompt": f"{name} number {i}.", **IMAGE},
            }
            for i in range(count)
        ]
        document = {
            "version": 1,
            "name": name,
            "budget": {"requests_per_minute": None, "concurrency": 60},
            "reconcile": {"settle": 2},
            "retry": {"max_attempts": 20},
            **parts,
            "jobs": entries,
        }
        return self.place.write(f"{name}.yaml", json.dumps(document))

    def violate(self, text):
        self.outcome.violations.append(text)

    def finish(self, manifest, name="batch", *options):
        """Run to the end, undisturbed, and hold everything against the service's bills."""
        run = self.place.path / "runs" / name
        for _ in range(3):
            ended = self.place.call("run", manifest, *options, timeout=240)
            if ended.code in {0, 1}:
                break
        if ended.code not in {0, 1}:
            self.violate(f"{name} does not finish: {ended.code} {ended.text[-300:]}")
            return
        bills = [b for b in self.service.ledger()["bills"] if f'"{name} number ' in b["body"]]
        verdict = judge(run, bills)
        self.outcome.violations += [f"{name}: {text}" for text in verdict.violations]
        if ended.code == 1 and not verdict.unknown:
            self.violate(f"{name} ends with 1: {ended.text[-300:]}")
        self.outcome.done += verdict.done
        self.outcome.unknown += verdict.unknown
        self.outcome.doubled += verdict.paid_twice


@contextmanager
def ground(name, *, folder=None, **config):
    """A ground that is cleared away afterwards; its simulator is stopped by its id."""
    home = Path(tempfile.mkdtemp(prefix=f"torture-{name}-"))
    service = Simulator(home, **{"latency_s": 0.3, "workers": 1000} | config)
    path = folder or home / "here"
    path.mkdir(exist_ok=True)
    try:
        yield Ground(Place(path).at(service), service, random.Random(f"{SEED}/{name}"))
    finally:
        service.stop()
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def traced(there, filters, *arguments):
    """A command below strace, in a process group of its own that ends with the block.

    Killing strace would let its child live on, so the group is killed: nobody else is in it.
    """
    command = ["strace", "-f", "-qq", *filters, *COMMAND, *map(str, arguments)]
    process = subprocess.Popen(
        command, cwd=there.path, env=there.env, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield process
    finally:
        kill_group(process)


def kill_group(process):
    """SIGKILL for a process that began a group, and for everything in it."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def lived_for(process, seconds):
    """Whether a process still works after so many seconds."""
    try:
        process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        return True
    return False


def missing(tool):
    """Why a scene that needs a tool cannot be played; empty if it can."""
    return "" if shutil.which(tool) else f"{tool} is not installed"


def elapsed(since):
    return time.monotonic() - since
