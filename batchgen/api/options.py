"""What a run can be told besides its batch: the options of `batchgen run`, by the same names."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal, TypedDict

from batchgen.app.options import RunOptions


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
    adopt: bool
    """Go on from a state file that is older than what was done with it: jobs of which anything
    tells that they were sent are set aside."""
    progress: bool
    """Show the display of `batchgen run` on stderr. Default: nothing is shown."""
    replay: bool
    """Begin with the results of jobs that ended in earlier runs. Default: what lands now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(RunOptions):
    """The same, checked."""

    progress: bool = False
    replay: bool = False
