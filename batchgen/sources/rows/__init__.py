"""Sources of rows for `from:` in a manifest, one module a format."""

from __future__ import annotations

from batchgen.sources.rows.files import FileSources
from batchgen.sources.rows.stamp import Stamp

__all__ = ["FileSources", "Stamp"]
