"""Libraries that only some commands need: told before anything is done, with what to type."""

from __future__ import annotations

from importlib.util import find_spec

from batchgen.errors import UserError


def need(module: str, extra: str, why: str) -> None:
    """Raise `UserError` where a library of an extra is not installed."""
    if find_spec(module) is None:
        raise UserError(f"{why}, which is not installed\n    pip install 'batchgen[{extra}]'")
