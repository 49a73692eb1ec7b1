"""The marker among outputs that are not in the run directory: it says whose they are.

Two runs in one place would write over each other's `metadata.jsonl`; a run that lost its record
would generate, and pay for, everything again; and an empty mount point looks like the disk that
is to be mounted there. The marker tells all three.
"""

from __future__ import annotations

import json
import secrets

MARKER_NAME = ".batchgen.json"
"""Hidden, so that data set loaders pass it by."""


def new_run_id() -> str:
    """A name for a run that no other one has."""
    return secrets.token_hex(12)


def marker_of(run_id: str) -> bytes:
    """What the marker of a run holds."""
    note = "Outputs of one batchgen run. Keep this file with them, also when they are moved."
    return (json.dumps({"run": run_id, "note": note}) + "\n").encode()


def run_in(marker: bytes) -> str:
    """The run that a marker names; empty when it is none of ours."""
    try:
        value = json.loads(marker)
    except ValueError:
        return ""
    run_id = value.get("run") if isinstance(value, dict) else None
    return run_id if isinstance(run_id, str) else ""
