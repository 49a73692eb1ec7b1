"""The service's own addresses."""

from __future__ import annotations

from collections.abc import Mapping

from batchgen.core.net.http import Host

DEFAULT_ORIGINS: Mapping[Host, str] = {
    Host.API: "https://api.segmind.com",
    Host.HISTORY: "https://api.spotprod.segmind.com",
    Host.UPLOAD: "https://workflows-api.segmind.com",
}
"""Segmind's own origins: the only ones the API key is ever sent to."""
