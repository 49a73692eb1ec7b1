"""Signals in ones, twos and threes, a machine that sleeps, and crowds at the door."""

import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from tests.cli.processes import environment, until
from tests.torture.ground import QUICK, Outcome, ground

ROUNDS = 8 if QUICK else 45
CROWDS = 2 if QUICK else 8
POLITE = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ENDS = {0, 1, 130, 143, -signal.SIGINT, -signal.SIGTERM, -signal.SIGHUP}
"""The last three: the signal came before the run had begun to listen, or after its end."""
EARLIEST_S = 0.3
"""Before that it is Python that is starting, and a Ctrl-C is answered by Python."""


def in_threes():
    """One to three polite signals at many offsets."""
    with ground("signals") as here:
        manifest = here.manifest(200)
        for _ in range(ROUNDS):
            with here.place.start("run", manifest) as running:
                time.sleep(here.chance.uniform(EARLIEST_S, 2.5))
                numbers = here.chance.choices(POLITE, k=here.chance.randint(1, 3))
                for number in numbers:
                    running.send(number)
                    time.sleep(here.chance.choice([0, 0.02, 0.3]))
                here.outcome.count += len(numbers)
                _expect(here, running, ENDS, "+".join(number.name for number in numbers))
        here.finish(manifest)
        return here.outcome


def ignored():
    """Signals that whoever started it has it ignore, at many offsets: none of them is heeded."""
    with ground("ignored", latency_s=1) as here:
        manifest = here.manifest(200)
        for number in range(2 if QUICK else 8):
            chosen = here.chance.choice(POLITE)
            ignore = partial(signal.signal, chosen, signal.SIG_IGN)  # from its first instant on
            limit = ("--limit", str(20 * (number + 1)))
            with here.place.start("run", manifest, *limit, preexec_fn=ignore) as running:
                while running.process.poll() is None:
                    running.send(chosen)
                    here.outcome.count += 1
                    time.sleep(here.chance.uniform(0.01, 0.3))
                _expect(here, running, {0, 1}, f"ignoring {chosen.name}")
        here.finish(manifest)
        return here.outcome


STREAMS = ("<&-", ">&-", "2>&-", ">/dev/full", "2>/dev/full", "")


def streams():
    """Closed and full streams, and kills: the record is never what a message is written into."""
    with ground("streams") as here:
        manifest = here.manifest(150)
        for _ in range(4 if QUICK else 20):
            chosen = " ".join(here.chance.sample(STREAMS, 3))
            prefix = ("sh", "-c", f'exec "$@" {chosen}', "sh")
            with here.place.start("run", manifest, prefix=prefix) as running:
                if here.chance.random() < 0.5:
                    here.outcome.count += running.killed_after(here.chance.uniform(EARLIEST_S, 3))
                    continue
                time.sleep(here.chance.uniform(EARLIEST_S, 3))
                running.send(signal.SIGTERM)
                here.outcome.count += 1
                _expect(here, running, ENDS, f"streams {chosen}")
        here.finish(manifest)
        return here.outcome


def _expect(here, running, codes, what):
    try:
        ended = running.end(60)
    except AssertionError as error:
        here.violate(f"{what}: a traceback: {str(error)[-400:]}")
    except subprocess.TimeoutExpired:
        here.violate(f"{what}: it does not end")
    else:
        if ended.code not in codes:
            here.violate(f"{what}: exit {ended.code}: {ended.text[-300:]}")


def asleep():
    """SIGSTOP and SIGCONT: the process stands still and everything else goes on."""
    with ground("asleep", latency_s=1) as here:
        manifest = here.manifest(60)
        with here.place.start("run", manifest) as running:
            for _ in range(2 if QUICK else 5):
                time.sleep(here.chance.uniform(0.6, 1.5))
                running.send(signal.SIGSTOP)
                time.sleep(here.chance.uniform(1, 4))
                running.send(signal.SIGCONT)
                here.outcome.count += 1
            _expect(here, running, {0}, "SIGCONT")
        here.finish(manifest)
        return here.outcome


def crowds():
    """Several starts on one run directory at the same instant: one works, the others leave."""
    with ground("crowds", latency_s=2) as here:
        for number in range(CROWDS):
            name = f"crowd-{number}"
            manifest = here.manifest(8, name)
            crowd = [here.place.start("run", manifest) for _ in range(4)]
            ended = [running.end(90) for running in crowd]
            pids = {running.pid for running in crowd}
            workers = [e for e in ended if e.code == 0]
            refused = [e for e in ended if e.code == 2 and any(str(p) in e.err for p in pids)]
            if len(refused) < 1 or len(workers) + len(refused) < len(crowd):
                here.violate(f"{name}: {[(e.code, e.err[-150:]) for e in ended]}")
            here.outcome.count += len(crowd)
            here.finish(manifest, name)
        return here.outcome


_PARENT = """
import subprocess, sys, time
from pathlib import Path
from batchgen.store.sqlite.lock import RunLock
with RunLock(Path(sys.argv[1])):
    child = subprocess.Popen(["sleep", "60"], close_fds=False)
    print(child.pid, flush=True)
    time.sleep(60)
"""


def orphans():
    """A child outlives the holder of the lock: it must not hold the lock on."""
    with ground("orphans") as here:
        manifest = here.manifest(3)
        run = here.place.path / "runs/batch"
        run.mkdir(parents=True)
        parent = subprocess.Popen(
            [sys.executable, "-c", _PARENT, str(run / "run.lock")],
            stdout=subprocess.PIPE, env=environment(), cwd=Path(__file__).parents[2],
            start_new_session=True,
        )  # fmt: skip
        child = int(parent.stdout.readline())
        refused = here.place.call("run", manifest)
        if refused.code != 2 or str(parent.pid) not in refused.err:
            here.violate(f"not refused: {refused}")
        parent.kill()
        parent.wait()
        parent.stdout.close()
        try:
            if not Path(f"/proc/{child}").exists():
                here.violate("the child did not outlive its parent")
            here.outcome.count += 1
            here.finish(manifest)
        finally:
            subprocess.run(["kill", str(child)], check=True)
        return here.outcome


_FAKETIME = (
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib64/faketime/libfaketime.so.1",
)


def wrong_clocks():
    """The wall clock a day early, a day late, between lives of one run."""
    library = next((path for path in _FAKETIME if Path(path).exists()), "")
    if not library:
        return Outcome(skipped="libfaketime is not installed")
    with ground("clocks") as here:
        manifest = here.manifest(40)
        true = here.place.env
        for shift in ("-1d", "+1d", "-3h", "+3h"):
            fake = {"LD_PRELOAD": library, "FAKETIME": shift, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
            here.place.env.update(fake)
            before = len(here.service.bills())
            with here.place.start("run", manifest, "--limit", "10") as running:
                until(lambda start=before: len(here.service.bills()) > start)
                here.outcome.count += running.killed_after(here.chance.uniform(0.1, 1))
            for name in fake:
                true.pop(name)
        here.finish(manifest)
        return here.outcome
