"""What goes into the simulated service and what comes out of it, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from batchgen.core.media.formats import BY_EXTENSION, TEXT
from batchgen.providers.segmind.simulator.fault_rules import CdnHost
from batchgen.providers.segmind.simulator.media.odd import TYPES


@dataclass(frozen=True, slots=True)
class Urls:
    """The origins (`scheme://host:port`) that are written into bodies: API and CDN.

    `cdn2` is the CDN's other origin, where only some files stand; empty: there is none.
    """

    api: str
    cdn: str
    cdn2: str = ""


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """One HTTP request. `path` is decoded and without query; `headers` has lower-case names.

    `host` is which one of the CDN was asked.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    host: CdnHost = CdnHost.CDN


class DeliveryFault(StrEnum):
    """What becomes of an answer on its way."""

    WHOLE = "whole"
    """It arrives."""
    DROP_BEFORE = "drop before"
    """The connection is reset before the request was processed: not accepted, not billed."""
    DROP_AFTER = "drop after"
    """Processed and billed; the connection closes without an answer."""
    STALL = "stall"
    """Processed; the headers are sent, the body never."""
    CUT = "cut"
    """Processed; a length is promised, half of the body is sent, the connection closes."""
    CUT_SILENTLY = "cut silently"
    """Processed; half of the body without a length, then a clean close: it looks whole."""
    GARBLED = "garbled"
    """Processed; a 200 whose body is unreadable. `Reply.body` already is what arrives."""
    WRONG_LENGTH = "wrong length"
    """Processed; half of the length is promised, all of the body is sent."""
    BROTLI = "brotli"
    """Processed; the body is compressed on its way, which nobody asked for."""
    DRIP = "drip"
    """Processed; the body is sent a few bytes at a time, slower than anyone should wait."""


@dataclass(frozen=True, slots=True)
class MediaRef:
    """Which media to make: equal references make equal bytes.

    `params` is the job's body, `format` a kind of file (see `MAKERS`); `width` and `height` are
    pixels.
    `data` are the bytes of an upload, None for what a model makes.
    """

    request_id: str
    index: int
    model: str
    params: Mapping[str, Any]
    seed: int
    format: str
    width: int
    height: int
    data: bytes | None = None

    @property
    def extension(self) -> str:
        """The extension of the file, without dot."""
        return self.format.partition("+")[0]

    @property
    def media_type(self) -> str:
        """The content type under which it is served."""
        known = BY_EXTENSION.get(self.extension)
        if known is None:
            return TYPES.get(self.extension, "application/octet-stream")
        return f"{known.mime}; charset=utf-8" if known.family is TEXT else known.mime


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. `headers` has lower-case names and no content-length.

    A `MediaRef` as body stands for the bytes of that media. The answer leaves `delay_s` after the
    request was handled, and then meets its `fate`. `status` is 0 where no answer was ever made.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes | MediaRef
    delay_s: float = 0.0
    fate: DeliveryFault = DeliveryFault.WHOLE


class ApiRefusal(Exception):  # noqa: N818  an answer of the service, not a fault of the program
    """A request the service says no to; it carries the answer."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        super().__init__(reply.status)
