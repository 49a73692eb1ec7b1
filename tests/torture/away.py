"""Files that cannot be fetched for a while, and state files that are older than the world."""

import shutil
import time

from tests.cli.processes import until
from tests.torture.ground import QUICK, ground

JOBS = 60 if QUICK else 400
AWAY_S = 40 if QUICK else 180
ROUNDS = 2 if QUICK else 8
ANSWERS = (
    {"kind": "answer", "status": 403, "body": "<html>blocked</html>"},
    {"kind": "answer", "status": 503},
    {"kind": "drop_before"},
    {"kind": "answer", "status": 200, "body": "<html>please wait</html>"},
)


def whole():
    """The CDN is away for minutes, behind one answer after the other, while processes die."""
    return _away("cdn", {})


def one_host():
    """The same of one of two hosts: the files of the other one come meanwhile."""
    return _away("host", {"host": "cdn2"}, second_cdn_every=2)


def _away(name, condition, **config):
    with ground(f"away-{name}", **config) as here:
        budget = {"requests_per_minute": None, "concurrency": 12}
        manifest = here.manifest(JOBS, name, budget=budget)
        ends_at = time.monotonic() + AWAY_S
        for number in range(ROUNDS):
            answer = ANSWERS[number % len(ANSWERS)]
            here.service.fail({"where": "cdn", **answer, **condition})
            part = time.monotonic() + AWAY_S / ROUNDS
            while time.monotonic() < min(part, ends_at):
                with here.place.start("run", manifest) as running:
                    here.outcome.count += running.killed_after(here.chance.uniform(2, 12))
        bills, downloads = len(here.service.bills()), here.service.download_count()
        here.outcome.note = f"{bills} bills and {downloads} downloads while it was away"
        if not condition and bills > JOBS / 2:
            here.violate(f"{bills} of {JOBS} jobs were paid for while no file came")
        here.service.fail()
        here.finish(manifest, name)
        return here.outcome


def restored():
    """A backup of the state file is put back at a random moment, or after the end, and what was
    sent last is not in the history yet."""
    with ground("restored", history_lag_s=4) as here:
        for number in range(ROUNDS):
            name = f"restored-{number}"
            manifest = here.manifest(40, name, reconcile={"settle": 8})
            state = here.place.path / "runs" / name / "state.db"
            with here.place.start("run", manifest) as running:
                wanted = here.chance.randint(1, 20)
                until(lambda n=name, w=wanted: len(here.service.bills(f'"{n} number')) >= w)
                running.killed_after(0)
            backup = state.with_name("backup")
            shutil.copy(state, backup)
            with here.place.start("run", manifest) as running:
                if number % 2:
                    running.killed_after(here.chance.uniform(0.5, 2.0))
                else:
                    running.end(120)
            for log in ("state.db-wal", "state.db-shm"):
                state.with_name(log).unlink(missing_ok=True)
            state.with_name("run.lock").unlink(missing_ok=True)
            backup.replace(state)
            bills = len(here.service.bills(f'"{name} number'))
            refused = here.place.call("run", manifest, timeout=120)
            if refused.code == 2 and len(here.service.bills(f'"{name} number')) != bills:
                here.violate(f"{name}: something was paid for by a run that was refused")
            adopted = here.place.call("run", manifest, "--adopt", timeout=240)
            here.outcome.count += 1
            if adopted.code not in {0, 1}:
                here.violate(f"{name}: exit {adopted.code} with --adopt: {adopted.text[-300:]}")
            here.place.call("retry", manifest, "--unknown", "--yes", timeout=60)
            here.finish(manifest, name)
        return here.outcome
