"""Who may look: decisions about a request, over plain values.

On loopback everybody on this machine may, except web pages of others: neither by an address of
theirs that leads here (the Host header tells) nor by a request that their page sends (Origin and
Sec-Fetch-Site tell). Anywhere else a token is needed as well.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from urllib.parse import urlsplit

from batchgen.core.net.urls import is_loopback_host

_METHODS = frozenset({"GET", "HEAD"})
_OWN_FETCHES = frozenset({"", "none", "same-origin"})


class AccessRefusal(StrEnum):
    """Why a request is refused."""

    METHOD = "method"
    """Only GET and HEAD: nothing is changed from outside."""
    HOST = "host"
    """It was sent to a name that is not ours: another page's, made to lead here."""
    ORIGIN = "origin"
    """Another web page sent it."""
    TOKEN = "token"  # noqa: S105  a word, not one
    """It does not carry the token."""


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What a request says. Names of headers in lower case; `token` and `cookie` may be empty."""

    method: str
    path: str
    headers: Mapping[str, str]
    token: str = ""
    cookie: str = ""


@dataclass(frozen=True, slots=True)
class Guard:
    """What a server that is bound to `host` lets pass; `token` is empty where none is needed.

    `names` are those this machine is called by in its network.
    """

    host: str
    token: str = ""
    names: frozenset[str] = frozenset()

    def refusal(self, request: PageRequest) -> AccessRefusal | None:
        """Why a request may not pass; None when it may."""
        if request.method not in _METHODS:
            return AccessRefusal.METHOD
        if not self._is_own_host(request.headers.get("host", "")):
            return AccessRefusal.HOST
        if _is_foreign(request):
            return AccessRefusal.ORIGIN
        if self.token and not self._carries_token(request):
            return AccessRefusal.TOKEN
        return None

    def is_key(self, token: str) -> bool:
        """Whether a text is the token, told in a time that does not depend on where it differs."""
        given, right = token.encode("utf-8", "replace"), self.token.encode()
        return bool(right) and hmac.compare_digest(given, right)

    def _carries_token(self, request: PageRequest) -> bool:
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        given = bearer.strip() if scheme.lower() == "bearer" else ""
        return any([self.is_key(given), self.is_key(request.cookie), self.is_key(request.token)])

    def _is_own_host(self, header: str) -> bool:
        name = host_of(header)
        if name is None:
            return False
        if is_loopback_host(name) or name == self.host.lower():
            return True
        # By whatever address this machine is reached, an address is not a name made to lead here.
        return not is_loopback_host(self.host) and (_is_address(name) or name in self.names)


def host_of(header: str) -> str | None:
    """The name in a Host header, without port and brackets; None when it cannot be read."""
    if not header or any(character in header for character in "/\\@?# \t"):
        return None
    try:
        parts = urlsplit(f"//{header}")
        _ = parts.port
    except ValueError:
        return None
    return parts.hostname


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _is_foreign(request: PageRequest) -> bool:
    """Whether another page sent it. A link that a person follows is none, but opens `/` alone."""
    headers = request.headers
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower():
        return True
    if headers.get("sec-fetch-site", "") in _OWN_FETCHES:
        return False
    return not (headers.get("sec-fetch-mode") == "navigate" and request.path == "/")
