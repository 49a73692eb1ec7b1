"""Bulk media generation on Segmind: a manifest in, every file, dollar and failure accounted for.

What is public stands in `__all__`; `docs/python.md` shows how it is used. Everything is imported
when it is first asked for, so that `import batchgen` costs nothing.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
"""Type checkers take it for true; `typing` alone would cost more than all the rest."""

if TYPE_CHECKING:
    from batchgen.api.batch import Batch
    from batchgen.api.plain import literal
    from batchgen.api.result import Files, Result, Results, Summary
    from batchgen.api.running import Run, results, run
    from batchgen.api.running import open_run as open  # noqa: A004  hidden nowhere but here
    from batchgen.core.jobs.job import JobState
    from batchgen.errors import (
        BatchgenError,
        DiskError,
        DiskFullError,
        ManifestError,
        Problem,
        RunLockedError,
        StateError,
        StoppedEarly,
        UserError,
    )

    __version__: str

__all__ = [
    "Batch",
    "BatchgenError",
    "DiskError",
    "DiskFullError",
    "Files",
    "JobState",
    "ManifestError",
    "Problem",
    "Result",
    "Results",
    "Run",
    "RunLockedError",
    "StateError",
    "StoppedEarly",
    "Summary",
    "UserError",
    "__version__",
    "literal",
    "open",
    "results",
    "run",
]

_PLACES = {
    "Batch": "batchgen.api.batch",
    "Files": "batchgen.api.result",
    "JobState": "batchgen.core.jobs.job",
    "Result": "batchgen.api.result",
    "Results": "batchgen.api.result",
    "Run": "batchgen.api.running",
    "Summary": "batchgen.api.result",
    "literal": "batchgen.api.plain",
    "open": "batchgen.api.running",
    "results": "batchgen.api.running",
    "run": "batchgen.api.running",
}
"""Where a public name is defined; those that are not here are errors."""
_OTHER_NAMES = {"open": "open_run"}
"""What may not be called so where it is defined: it would hide a builtin there."""


def __getattr__(name: str) -> object:
    """A public name, looked up when it is asked for."""
    if name == "__version__":
        from batchgen.system.version import installed_version  # noqa: PLC0415  stays light

        return installed_version()
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if sys.platform == "win32" and name in _PLACES:
        from batchgen.errors import NOT_ON_WINDOWS  # noqa: PLC0415  the same

        raise ImportError(NOT_ON_WINDOWS)
    from importlib import import_module  # noqa: PLC0415  the same

    module = import_module(_PLACES.get(name, "batchgen.errors"))
    value: object = getattr(module, _OTHER_NAMES.get(name, name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """For completion in notebooks."""
    return sorted(__all__)
