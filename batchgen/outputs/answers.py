"""What an answer to a download is worth: which part of the file it brings, or what kept it away."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp.http_exceptions import ContentLengthError

from batchgen.core.common.text import printable
from batchgen.core.net.decompression import Inflater, is_plain
from batchgen.outputs.resolver import NotPublicError
from batchgen.ports import SaveError, SaveFault
from batchgen.system.proxies import without_passwords
from batchgen.system.tls import tls_fault

_PASSING = frozenset({408, 416, 421, 425, 429})
"""Statuses, besides 5xx and 2xx without a file, after which the URL may bring the file later."""
WITHOUT_FILE = frozenset({204, 205})
CONTENT_RANGE = re.compile(r"bytes (?:(\d{1,18})-(\d{1,18})|\*)/(\d{1,18}|\*)")


class BrokenError(Exception):
    """The connection broke off or crawled; what came so far may be continued."""


class ShortError(BrokenError):
    """The server ended the answer in good order before the length it had told."""


class Body:
    """The bytes of one answer, decoded as it says: unasked, and not always truly.

    An encoding that nobody knows, or that its very first bytes do not have, was never applied: some
    stores hand out as encoding whatever was noted at the upload.
    """

    def __init__(self, encoding: str) -> None:
        self.was_mislabelled = False
        self.inflater: Inflater | None = None
        self._first: bytes | None = b""
        if not is_plain(encoding):
            try:
                self.inflater = Inflater(encoding)
            except ValueError:
                self.was_mislabelled = True

    def decoded(self, chunk: bytes) -> Iterator[bytes]:
        """The content in some bytes of the answer. Raises `ValueError` for damaged data."""
        if self.inflater is None:
            yield chunk
            return
        if self._first is not None:
            self._first += chunk
        try:
            for piece in self.inflater.feed(chunk):
                self._first = None
                yield piece
        except ValueError:
            if self._first is None:
                raise
            self.inflater, self.was_mislabelled = None, True
            yield self._first


def is_other_part(response: aiohttp.ClientResponse, begin: str | None, offset: int) -> bool:
    """Whether a 206 brings anything else than the file from `offset` on.

    From the beginning on one without a range passes: it was not asked for, and brings what it has.
    """
    if response.content_type == "multipart/byteranges":
        return True
    return begin != str(offset) and not (begin is None and offset == 0)


def redirected(url: str, target: str) -> str:
    """Where a redirect leads. Raises `SaveError` for one that gives up encryption."""
    try:
        joined = urljoin(url, target)
        downgraded = urlsplit(url).scheme == "https" and urlsplit(joined).scheme == "http"
    except ValueError as error:
        raise SaveError(SaveFault.FORBIDDEN_URL, "it redirects to something unreadable") from error
    if downgraded:
        raise SaveError(SaveFault.FORBIDDEN_URL, "it redirects from https to plain http")
    return joined


def validator_of(response: aiohttp.ClientResponse) -> str:
    """What proves later that the file is still the same: a strong ETag, or its date."""
    if response.headers.get("Accept-Ranges", "").strip().lower() == "none":
        return ""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified", "")


def status_fault(status: int) -> SaveError:
    """What a status means that brings no file."""
    passing = status < 300 or status in _PASSING or status >= 500
    fault = SaveFault.TRANSIENT if passing else SaveFault.GONE
    return SaveError(fault, f"the server answered HTTP {status}")


def network_fault(error: Exception) -> SaveError | BrokenError:
    """What a network exception means: a refused address, no descriptors left, or a broken line."""
    # Errors about certificates have none before aiohttp 3.11.
    cause = getattr(error, "os_error", error)
    told = tls_fault(error) or str(cause) or type(cause).__name__
    detail = printable(without_passwords(told), 200)
    if isinstance(cause, NotPublicError):
        return SaveError(SaveFault.FORBIDDEN_URL, detail)
    if isinstance(cause, OSError) and cause.errno in (errno.EMFILE, errno.ENFILE):
        return SaveError(SaveFault.TOO_MANY_FILES, detail)
    if isinstance(error, aiohttp.InvalidURL):
        return SaveError(SaveFault.FORBIDDEN_URL, detail)
    if isinstance(error, aiohttp.ClientPayloadError) and _ends_early(error):
        return ShortError(detail)
    return BrokenError(detail)


def _ends_early(error: aiohttp.ClientPayloadError) -> bool:
    """Whether the server closed the connection in good order, before the length it had told."""
    return isinstance(error.__cause__, ContentLengthError)
