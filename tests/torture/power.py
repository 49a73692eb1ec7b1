"""Power cuts: a run is recorded call by call, and then cut off at many points.

At each point the file system is rebuilt as a cut would leave it: once without anything that was
not synced, and several times with a random part of it. The state file must open, must know every
request the run had acted upon by then, and every file it calls done must be whole.
"""

import hashlib
import os
import re
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from batchgen.errors import BatchgenError
from batchgen.store.sqlite.state import SqliteState
from tests.torture import trace
from tests.torture.disk_model import Disk
from tests.torture.ground import QUICK, Outcome, ground, lived_for, missing, traced

JOBS = 24 if QUICK else 60
CUTS = 60 if QUICK else 400
_POST = re.compile(rb"POST /v[12]/.*?number (\d+)\.", re.DOTALL)
_GET = re.compile(rb"GET /v2/requests/([0-9a-f-]{36})")


def cuts():
    """Record one run, cut it many times."""
    if why := missing("strace"):
        return Outcome(skipped=why)
    with ground("power") as here:
        manifest = here.manifest(JOBS)
        record = here.place.path / "trace"
        with traced(here.place, [*trace.FILTERS, "-o", record], "run", manifest) as process:
            if lived_for(process, 120) or process.returncode:
                here.violate("the recorded run does not end well")
                return here.outcome
        calls = trace.read_calls(record)
        replay = Replay(here.place.path)
        for number in _cut(replay, calls, here.chance.sample(range(len(calls)), CUTS)):
            for luck in (None, here.chance, here.chance):
                here.outcome.count += 1
                found = _examine(replay, luck)
                here.outcome.violations += [f"cut at {number}: {text}" for text in found]
        for deaf in ("state.db-wal", "/.staging/", "/here"):
            # The checker is checked: were these syncs forgotten, it would have to see it.
            mutant = Replay(here.place.path, deaf)
            points = range(0, len(calls), len(calls) // 40)
            if not any(_examine(mutant, None) for _ in _cut(mutant, calls, points)):
                here.violate(f"the checker does not see that {deaf} was never synced")
        here.finish(manifest)
        here.outcome.note = (
            f"{len(calls)} calls, {len(replay.posted)} POSTs, {len(replay.asked)} ids"
        )
        if len(replay.posted) != JOBS or not replay.disk.names:
            here.violate(f"the trace was not understood: {here.outcome.note}")
        return here.outcome


def _cut(replay, calls, points):
    """Play the calls, and stop after those with the given numbers."""
    wanted = set(points)
    for number, call in enumerate(calls):
        replay.apply(call)
        if number in wanted:
            yield number


class Replay:
    """The files below `root`, and what the service had been told, up to some call.

    Syncs of paths that end in or hold `deaf` are not heard.
    """

    def __init__(self, root, deaf=None):
        self.root = str(root)
        self._deaf = deaf
        self.disk = Disk()
        self.posted = set()
        """Numbers of the jobs whose POST had left."""
        self.asked = set()
        """request_ids that had been asked about: the run had acted upon them."""
        self._began = [0]
        self._offsets = {}

    def apply(self, call):
        handle = getattr(self, f"_{call.name}", None)
        if handle is not None:
            handle(call)
        self._began.append(self.disk.sequence)

    def _ours(self, path):
        return path.startswith(self.root + "/")

    def _at(self, folder, name):
        return os.path.normpath(os.path.join(folder, name))  # noqa: PTH118  may be absolute

    def _targets(self, call):
        """Paths given as (descriptor, name) pairs."""
        folders, names = trace.paths(call.text), [s.decode() for s in trace.strings(call.text)]
        return [self._at(f, n) for f, n in zip(folders, names, strict=False)]

    def _openat(self, call):
        folder, *_ = trace.paths(call.text) or ["/"]
        path = self._at(folder, trace.strings(call.text)[0].decode())
        if not self._ours(path):
            return
        if "O_CREAT" in call.text:
            self.disk.create(path)
        if "O_TRUNC" in call.text:
            self.disk.truncate(path, 0)
        if "O_APPEND" not in call.text and path in self.disk.inodes:
            self._offsets[path] = 0

    def _lseek(self, call):
        path = trace.paths(call.text)[0]
        if path in self._offsets:
            self._offsets[path] = call.result

    def _write(self, call):
        path, data = trace.paths(call.text)[0], trace.strings(call.text)[0][: call.result]
        if path not in self.disk.inodes:
            return
        at = self._offsets.get(path)
        if at is None:
            at = self.disk.size(path)
        else:
            self._offsets[path] = at + len(data)
        self.disk.write(path, at, data)

    def _pwrite64(self, call):
        path, data = trace.paths(call.text)[0], trace.strings(call.text)[0][: call.result]
        self.disk.write(path, int(call.text.rsplit(", ", 1)[1]), data)

    def _ftruncate(self, call):
        self.disk.truncate(trace.paths(call.text)[0], int(call.text.rsplit(", ", 1)[1]))

    def _fsync(self, call):
        path = trace.paths(call.text)[0]
        if self._deaf is None or not (path.endswith(self._deaf) or f"{self._deaf}" in path):
            self.disk.sync(path, self._began[call.began])

    _fdatasync = _fsync

    def _mkdir(self, call):
        self._make(self._at(self.root, trace.strings(call.text)[0].decode()))

    def _mkdirat(self, call):
        self._make(self._targets(call)[0])

    def _make(self, path):
        if self._ours(path):
            self.disk.make_folder(path)

    def _linkat(self, call):
        self.disk.link(*self._targets(call)[:2])

    def _renameat(self, call):
        self.disk.rename(*self._targets(call)[:2])

    _renameat2 = _renameat

    def _rename(self, call):
        self.disk.rename(*[s.decode() for s in trace.strings(call.text)])

    def _unlinkat(self, call):
        self.disk.unlink(self._targets(call)[0])

    def _unlink(self, call):
        self.disk.unlink(trace.strings(call.text)[0].decode())

    def _sendto(self, call):
        for data in trace.strings(call.text):
            self.posted |= {int(number) for number in _POST.findall(data)}
            self.asked |= {request_id.decode() for request_id in _GET.findall(data)}

    _sendmsg = _sendto


def _examine(replay, chance):
    """What is wrong with the world after a cut here."""
    with tempfile.TemporaryDirectory(prefix="torture-cut-") as folder:
        run = f"{replay.root}/runs/batch"
        for path, content in replay.disk.survivors(replay.root, chance).items():
            if not path.startswith(run) or path.endswith("-shm"):
                continue  # rebuilt by SQLite from the log
            target = Path(folder) / Path(path).relative_to(run)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        state = Path(folder) / "state.db"
        if not state.exists():
            return ["POSTs have left, and there is no state file"] if replay.posted else []
        try:
            with SqliteState(state):
                pass
        except BatchgenError as error:
            return [f"the state file does not open: {error}"]
        with closing(sqlite3.connect(state)) as connection:
            return [
                *_forgotten(replay, connection),
                *_spoiled(Path(folder) / "outputs", connection),
            ]


def _forgotten(replay, connection):
    rows = connection.execute(
        "SELECT j.id, a.state, a.request_id FROM jobs j JOIN attempts a ON a.job_key = j.key"
    ).fetchall()
    known = {request_id for _, _, request_id in rows if request_id}
    tried = {int(id_.rsplit("-", 1)[1]) for id_, *_ in rows}
    found = [f"request {id_} was acted upon and is not known" for id_ in replay.asked - known]
    return found + [f"job {n} was sent and has no attempt" for n in replay.posted - tried]


def _spoiled(outputs, connection):
    rows = connection.execute(
        "SELECT j.id, o.name, o.sha256 FROM jobs j LEFT JOIN outputs o ON o.job_key = j.key "
        "WHERE j.state = 'done'"
    )
    for id_, name, sha256 in rows:
        path = outputs / str(name)
        if not path.is_file():
            yield f"{id_} is done and {name} is gone"
        elif hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            yield f"{id_} is done and {name} is not whole"
