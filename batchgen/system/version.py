"""The version of batchgen, as it is installed."""

from __future__ import annotations

DISTRIBUTION = "segmind-batchgen"
"""What PyPI calls it; `batchgen` is somebody else's there."""


def installed_version() -> str:
    """The version, such as `0.1.0`."""
    from importlib.metadata import version  # noqa: PLC0415  slow, and few commands need it

    return version(DISTRIBUTION)
