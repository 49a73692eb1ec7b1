"""What `status --failed` tells: the jobs without files, and a manifest to run them anew."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batchgen.adapters.run_directory import RunDirectory


def failed_of(directory: RunDirectory) -> dict[str, Any]:
    """The jobs with their reasons, and the manifest, None when there are none.

    Raises `StateError`.
    """
    from batchgen.adapters.sqlite.failures import FailureReader
    from batchgen.core.refeed import BESIDE, KEY, manifest_of

    with closing(FailureReader(directory.state)) as reader:
        failures = list(reader.failures())
    return {BESIDE: failures, KEY: manifest_of(directory.path.resolve().name, failures)}
