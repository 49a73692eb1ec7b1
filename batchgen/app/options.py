"""What one run is told besides its manifest; the command line and Python programs both fill it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from batchgen.core.forecast.run_settings import settings_text
from batchgen.core.manifest.schema import Manifest
from batchgen.core.scheduling.gates.gates import Patience
from batchgen.errors import UserError
from batchgen.store.base import OnChange


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """The options of `batchgen run`, by the names of the Python API; None leaves the manifest's.

    Raises `UserError` for a value that cannot be.
    """

    run_dir: str | os.PathLike[str] | None = None
    """Default: runs/<name> below the current directory."""
    simulate: bool = False
    speed: float = 10.0
    """With `simulate`: how many times faster than real models the simulator generates."""
    concurrency: int | None = None
    rpm: int | None = None
    """Requests a minute."""
    max_spend: float | None = None
    """USD."""
    allow_unknown_price: bool = False
    limit: int | None = None
    """Submits of this run at most."""
    patience: float | None = None
    """Longest wait at an outage, for files that cannot be fetched, or at a full disk; seconds."""
    on_change: Literal["keep", "rerun"] | None = None
    adopt: bool = False
    """Go on from a state file that is older than what was done with it."""

    def __post_init__(self) -> None:
        """Check what a Python program may have given."""
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
        """What becomes of jobs that were changed after they were paid for."""
        return OnChange(self.on_change or "stop")

    def cap_usd(self, manifest: Manifest) -> float | None:
        """The most to spend: this run's word, else the manifest's; None is no cap."""
        return manifest.budget.max_spend if self.max_spend is None else self.max_spend

    def needs_prices(self, manifest: Manifest) -> bool:
        """Whether a cap is to be kept over jobs whose price is known, every one."""
        return self.cap_usd(manifest) is not None and not self.allow_unknown_price

    def settings(self, manifest: Manifest) -> str:
        """The note of how the run is set."""
        return settings_text(
            manifest,
            concurrency=self.concurrency,
            requests_per_minute=self.rpm,
            max_spend=self.max_spend,
        )

    def gate_patience(self, *, remote: bool) -> Patience:
        """How long to wait at gates: the usual, or what the user has time for.

        An object store (`remote`) comes back like the service does, and not like space on a disk.
        """
        usual = Patience()
        if remote:
            usual = replace(usual, disk_s=usual.outage_s)
        if self.patience is None:
            return usual
        return replace(
            usual,
            outage_s=self.patience,
            first_contact_s=self.patience,
            disk_s=self.patience,
            files_s=self.patience,
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
