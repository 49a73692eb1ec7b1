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
PAGES_ORIGIN = "https://www.segmind.com"
"""Its web pages, llms.txt among them. The client that holds the key does not know it."""
