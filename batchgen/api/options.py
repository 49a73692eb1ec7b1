"""What a run can be told besides its batch: the options of `batchgen run`, by the same names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict

from batchgen.adapters.sqlite.importer import OnChange
from batchgen.cli.session import Overrides
from batchgen.errors import UserError


class Options(TypedDict, total=False):
    """Keyword arguments of `open` and `run`; what is not given is what the manifest says."""

    run_dir: str | os.PathLike[str] | None
    """Default: runs/<name> below the current directory."""
    simulate: bool
    """Rehearse on a local look-alike; costs nothing and needs no key."""
    speed: float
    """With `simulate`: how many times faster than real models it generates. Default: 10."""
    concurrency: int | None
    """Jobs accepted and not yet finished, at most."""
    rpm: int | None
    """Requests a minute."""
    max_spend: float | None
    """Most to spend, in USD."""
    allow_unknown_price: bool
    """Under a cap, run models of unknown price as well: one job of each goes first."""
    limit: int | None
    """Submit at most so many jobs this time."""
    patience: float | None
    """Longest wait at an outage or a full disk, in seconds."""
    on_change: Literal["keep", "rerun"] | None
    """Jobs that were changed after they were paid for: keep them, or pay anew."""
    progress: bool
    """Show the display of `batchgen run` on stderr. Default: nothing is shown."""
    replay: bool
    """Begin with the results of jobs that ended in earlier runs. Default: what lands now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The same, checked."""

    run_dir: str | os.PathLike[str] | None = None
    simulate: bool = False
    speed: float = 10.0
    concurrency: int | None = None
    rpm: int | None = None
    max_spend: float | None = None
    allow_unknown_price: bool = False
    limit: int | None = None
    patience: float | None = None
    on_change: Literal["keep", "rerun"] | None = None
    progress: bool = False
    replay: bool = False

    def __post_init__(self) -> None:
        for name, bounds in _BOUNDS.items():
            _check(name, getattr(self, name), bounds)
        if self.on_change not in (None, "keep", "rerun"):
            raise UserError(f'on_change is {self.on_change!r}; give "keep" or "rerun", or leave it')

    @property
    def directory(self) -> Path | None:
        """The run directory, where one was given."""
        return None if self.run_dir is None else Path(self.run_dir)

    @property
    def changed(self) -> OnChange:
        """What becomes of changed jobs."""
        return OnChange(self.on_change or "stop")

    @property
    def overrides(self) -> Overrides:
        """What goes over the manifest's budget."""
        return Overrides(
            self.concurrency,
            self.rpm,
            self.max_spend,
            self.limit,
            self.patience,
            self.allow_unknown_price,
        )


@dataclass(frozen=True, slots=True)
class _Bounds:
    """What a number may be."""

    least: float
    most: float = float("inf")
    whole: bool = False


_BOUNDS: Mapping[str, _Bounds] = {
    "concurrency": _Bounds(1, 10_000, whole=True),
    "rpm": _Bounds(1, 1_000_000, whole=True),
    "max_spend": _Bounds(0),
    "limit": _Bounds(1, whole=True),
    "patience": _Bounds(0),
    "speed": _Bounds(0.01, 10_000),
}
"""As the command line has them."""


def _check(name: str, value: object, bounds: _Bounds) -> None:
    """Raise `UserError` for what is no number within its bounds; None leaves an option alone."""
    if value is None:
        return
    is_number = isinstance(value, int if bounds.whole else (int, float))
    if isinstance(value, bool) or not is_number or not bounds.least <= value <= bounds.most:  # type: ignore[operator]
        kind = "a whole number" if bounds.whole else "a number"
        most = f", at most {bounds.most:,g}" if bounds.most != float("inf") else ""
        raise UserError(
            f"{name} is {value!r}, and must be {kind} of at least {bounds.least:g}{most}"
        )
