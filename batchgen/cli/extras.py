"""Libraries that only some commands need: told before anything is done, with what to type."""

from __future__ import annotations

from importlib.util import find_spec

from batchgen.errors import UserError


def need(module: str, why: str) -> None:
    """Raise `UserError` where the library `module`, which PyPI calls the same, is not installed."""
    if find_spec(module) is None:
        raise UserError(f"{why}, which is not installed\n    python -m pip install {module}")
