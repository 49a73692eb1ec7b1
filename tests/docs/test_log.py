"""`run.log` against what is documented of it: names and fields, in the code and in nights."""

import ast
import io
import json
from pathlib import Path

from batchgen.core.progress.log_events import FIELDS, JOB_FIELDS, LogEvent, log_name, logged_kinds
from batchgen.observe.run_log import RunLog
from batchgen.testing.rehearsal import rehearse
from tests.docs.readers import DOCUMENTS, ROOT, rows_without
from tests.simulation.scenarios import scenario_of

SHOWN_ONLY = {"notify_failed"}
"""Said to displays, about what the log is not told."""
NIGHTS = (0, 1, 2, 3, 4, 5)


def said_in(source):
    """The names that a module says things under."""
    if "said" not in source:
        return set()  # spared the parser, as most modules are
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return {
        call.args[0].value
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and call.func.attr == "said"
        and isinstance(call.args[0], ast.Constant)
    }


def test_names_that_are_said_are_found():
    assert said_in("self.log.said('a', '', {})\nlog.said(name, '', {})\nsaid('b')") == {"a"}


def test_what_is_said_anywhere_is_documented_and_the_other_way_round():
    sources = [path.read_text("utf-8") for path in (ROOT / "batchgen").rglob("*.py")]
    said = set().union(*map(said_in, sources))
    assert said - SHOWN_ONLY == set(LogEvent) == set(FIELDS)
    names = [*LogEvent, *map(log_name, logged_kinds())]
    text = DOCUMENTS["docs/log.md"]
    assert rows_without(text, names) == []
    assert rows_without(text.replace("| `limited` |", "| `…` |"), names) == ["limited"]


def test_nights_write_nothing_but_what_is_documented(tmp_path):
    class Clock:
        def now(self):
            return 0.0

    path = tmp_path / "run.log"
    with RunLog(path, Clock()) as log:
        for seed in NIGHTS:
            progress = rehearse(scenario_of(seed)).progress
            log.changed(progress.changes)
            for words in progress.words:
                log.said(*words)
    seen = set()
    for line in io.StringIO(path.read_text("utf-8")):
        entry = json.loads(line)
        name = entry["event"]
        seen.add(name)
        known = set(JOB_FIELDS if name.startswith("job_") else FIELDS[LogEvent(name)])
        assert entry.keys() - {"at", "event"} <= known, entry
    assert seen <= {*LogEvent, *map(log_name, logged_kinds())}
    assert {"job_intended", "job_acked", "job_saved", "gate_closed"} <= seen
    assert Path(path).stat().st_mode & 0o777 == 0o600
