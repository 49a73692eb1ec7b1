"""What the end of a `run.log` tells, and whether somebody works on a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from batchgen.observe.log_tail import TAIL_BYTES, LogTail, tail_of
from batchgen.store.sqlite.lock import RunLock
from batchgen.system.run_holder import holder_of

BEGUN = {"event": "run_started", "jobs": 3}
SHUT = {"event": "gate_closed", "gate": "outage", "text": "HTTP 503"}
OPENED = {"event": "gate_opened", "gate": "outage"}
FULL = {"event": "gate_closed", "gate": "disk"}


@pytest.mark.parametrize(
    ("lines", "tail"),
    [
        ([], LogTail()),
        ([BEGUN], LogTail()),
        ([BEGUN, SHUT, FULL], LogTail(("outage", "disk"))),
        ([BEGUN, SHUT, FULL, OPENED], LogTail(("disk",))),
        ([BEGUN, SHUT, {"event": "run_ended"}], LogTail((), ended=True)),
        ([{"event": "run_ended", "text": "SIGINT received"}], LogTail((), True, "SIGINT received")),
        ([{"event": "run_ended", "text": "cap"}, BEGUN], LogTail()),
        ([BEGUN, SHUT, "cut off", 3, None], LogTail(("outage",))),
    ],
)
def test_the_last_process_is_what_counts(tmp_path, lines, tail):
    log = tmp_path / "run.log"
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert tail_of(log) == tail
    with log.open("a") as file:
        file.write('{"event": "run_en')
    assert tail_of(log) == tail


def test_of_a_long_log_only_the_end_is_read(tmp_path):
    log = tmp_path / "run.log"
    line = json.dumps({"event": "job_saved", "id": "é" * 40}, ensure_ascii=False) + "\n"
    log.write_text(json.dumps(FULL) + "\n" + line * (TAIL_BYTES // 50) + json.dumps(SHUT) + "\n")
    assert tail_of(log) == LogTail(("outage",))


def test_without_a_log_nothing_is_known(tmp_path):
    assert tail_of(tmp_path / "run.log") == LogTail()


def test_who_holds_a_run_is_found_without_touching_its_lock(tmp_path):
    assert holder_of(tmp_path) is None
    with RunLock(tmp_path / "run.lock") as lock:
        assert holder_of(tmp_path) == os.getpid()
        lock.mark_recording()
        assert holder_of(tmp_path) == os.getpid()
    assert holder_of(tmp_path) is None


def test_a_process_that_died_holds_nothing(tmp_path):
    code = (
        "import os, pathlib, sys; from batchgen.store.sqlite.lock import RunLock;"
        "lock = RunLock(pathlib.Path(sys.argv[1])).__enter__(); lock.mark_recording(); os._exit(0)"
    )
    path = tmp_path / "run.lock"
    subprocess.run([sys.executable, "-c", code, path], check=True, timeout=60)
    assert path.read_text().endswith("recording\n")
    assert holder_of(tmp_path) is None
