"""Jobs of a run as a manifest of their own: to be edited, and run anew beside the first run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from batchgen.core.jobs.job import StateGroup, states_of
from batchgen.core.jobs.spec import Mode
from batchgen.core.manifest.text.filenames import safe_text

KEY = "manifest"
"""Where it stands in what `status --failed --json` prints, which may be run as it is."""
BESIDE = "problems"
"""What stands beside it there, and in no manifest."""


_MEANT_STATES = states_of(StateGroup.FAILED, StateGroup.LOST)


def manifest_of(run: str, jobs: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """A manifest of jobs, each with `id`, `model`, `state`, `api` and `params` as sent.

    Those that failed (not charged) or were lost: what became of an unknown one is not decided, and
    it might be paid for twice. The manifest is called after the run, with a name of its own: so it
    has a run directory of its own. None without jobs.
    """
    entries = [_entry(job) for job in jobs if job["state"] in _MEANT_STATES]
    if not entries:
        return None
    return {"version": 1, "name": f"{safe_text(run)}-again", "jobs": entries}


def is_report(value: Any) -> bool:
    """Whether a document is what `status --failed --json` prints."""
    return isinstance(value, Mapping) and KEY in value and BESIDE in value


def _entry(job: Mapping[str, Any]) -> dict[str, Any]:
    entry = {"id": job["id"], "model": job["model"], "params": _meant(job["params"])}
    return entry if job["api"] == Mode.QUEUED else {**entry, "api": str(job["api"])}


def _meant(value: Any) -> Any:
    """A value whose texts mean themselves, not templates."""
    if isinstance(value, str):
        return value.replace("{", "{{").replace("}", "}}")
    if isinstance(value, Mapping):
        return {key: _meant(item) for key, item in value.items()}
    return [_meant(item) for item in value] if isinstance(value, list) else value
