"""Bulk media generation on Segmind: a manifest in, every file, dollar and failure accounted for."""

from __future__ import annotations


def __getattr__(name: str) -> str:
    """`__version__`, looked up when it is asked for: reading it costs as much as starting up."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version  # noqa: PLC0415  the package stays light to import

    return version("batchgen")
