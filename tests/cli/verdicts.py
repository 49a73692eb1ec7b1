"""What must hold after any night, judged by the service's ledger and the files on the disk."""

import hashlib
import json
import sqlite3
from collections import Counter, defaultdict
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from batchgen.store.sqlite.inputs import placed_body

AT_REST = {"done", "failed", "unknown", "lost", "pending"}


@dataclass
class Verdict:
    done: int = 0
    unknown: int = 0
    paid_twice: int = 0
    """Jobs with two bills, every one of them told to the user as a doubtful attempt."""
    violations: list = field(default_factory=list)


def judge(run: Path, bills, *, finished=True):
    """Hold a run directory against the bills of the service. Bodies must be unique per job."""
    verdict = Verdict()
    with closing(sqlite3.connect(f"file:{run / 'state.db'}?mode=ro", uri=True)) as state:
        jobs = [
            (key, id_, model, placed_body(state, body), kind)
            for key, id_, model, body, kind in state.execute(
                "SELECT key, id, model, body, state FROM jobs"
            ).fetchall()
        ]
        attempts = defaultdict(list)
        for key, kind, request_id in state.execute(
            "SELECT job_key, state, request_id FROM attempts"
        ):
            attempts[key].append((kind, request_id))
        files = state.execute(
            "SELECT job_key, name, size, sha256 FROM outputs WHERE name IS NOT NULL"
        ).fetchall()
    _judge_bills(verdict, jobs, attempts, bills)
    # A kill may fall between a rename and its record: the next run finds the file, and records it.
    in_flight = set() if finished else {id_ for _, id_, _, _, state in jobs if state not in AT_REST}
    _judge_files(verdict, run / "outputs", jobs, files, in_flight)
    if finished:
        verdict.violations += [
            f"{id_} is {state}" for _, id_, _, _, state in jobs if state not in AT_REST
        ]
    states = Counter(job[4] for job in jobs)
    verdict.done, verdict.unknown = states["done"], states["unknown"]
    return verdict


def _judge_bills(verdict, jobs, attempts, bills):
    """Every bill belongs to an attempt; a second one only where the record says it cannot know."""
    billed = defaultdict(list)
    for bill in bills:
        if bill["state"] != "FAILED":
            billed[bill["model"], bill["body"]].append(bill["request_id"])
    for key, id_, model, body, state in jobs:
        ids = billed.pop(
            (
                model,
                json.dumps(
                    json.loads(body), sort_keys=True, separators=(",", ":"), ensure_ascii=False
                ),
            ),
            [],
        )
        known = {request_id for _, request_id in attempts[key] if request_id}
        doubtful = sum(kind in {"intent", "ambiguous", "abandoned"} for kind, _ in attempts[key])
        unclaimed = set(ids) - known
        if len(unclaimed) > doubtful:
            verdict.violations.append(
                f"{id_} ({state}) was billed {len(ids)} times, {sorted(unclaimed)} unknown to us"
            )
        if len(ids) > 1:
            verdict.paid_twice += 1
            if not doubtful:
                verdict.violations.append(f"{id_} was accepted {len(ids)} times")
        if state == "done" and not ids:
            verdict.violations.append(f"{id_} is done and was never billed")
    verdict.violations += [f"{ids} are nobody's" for ids in billed.values()]


def _judge_files(verdict, outputs, jobs, files, in_flight):
    done = {key: id_ for key, id_, *_, state in jobs if state == "done"}
    expected = {"metadata.jsonl", "README.md"}
    for _, name, size, sha256 in files:
        expected.add(name)
        path = outputs / name
        data = path.read_bytes() if path.exists() else b""
        if len(data) != size or hashlib.sha256(data).hexdigest() != sha256:
            verdict.violations.append(f"{name} is not as recorded")
    with_files = {key for key, *_ in files}
    verdict.violations += [
        f"{id_} is done without a file" for key, id_ in done.items() if key not in with_files
    ]
    found = {str(path.relative_to(outputs)) for path in outputs.rglob("*") if path.is_file()}
    verdict.violations += [
        f"{name} belongs to no finished job"
        for name in found - expected
        if not name.startswith(".") and Path(name).stem not in in_flight
    ]
