"""Bulk media generation on Segmind: a manifest in, every file, dollar and failure accounted for."""

from __future__ import annotations

from importlib.metadata import version

__version__ = version("batchgen")
