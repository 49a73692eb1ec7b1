"""Where a run and its outputs are, as its state remembers it."""

from __future__ import annotations

from batchgen.outputs.reading import NOTE, read_bound, with_place
from batchgen.store.sqlite.queries import JobQueries
from batchgen.system.run_directory import RunDirectory


def located(directory: RunDirectory) -> RunDirectory:
    """A run directory with its outputs where its state says they are. Raises `StateError`."""
    reader = JobQueries(directory.state)
    try:
        bound = read_bound(reader.note(NOTE))
    finally:
        reader.close()
    return with_place(directory, bound.place if bound else "")
