"""Sources of rows for `from:` in a manifest, one module a format."""

from __future__ import annotations

from batchgen.adapters.sources.files import FileSources
from batchgen.adapters.sources.stamp import Stamp

__all__ = ["FileSources", "Stamp"]
