"""URLs as values: where they lead, and whether anything may be sent there.

Two kinds of trust: *origins*, to which the API key may go, and *media URLs* out of answers, which
are strangers' text and may only be fetched without the key, and only from public addresses.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, quote, urlsplit

MAX_URL_CHARACTERS = 8192
"""Longer media URLs are refused. Signed CDN URLs stay around 1,000 characters."""

_FORBIDDEN = re.compile(r"[\x00-\x20\\\x7f]")
_PARTS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)(://[^/?#]*)(.*)", re.DOTALL)
_AS_WRITTEN = "!#$%&'()*+,/:;=?@[]~"
"""What stays in a path or query: all that RFC 3986 reserves, and `%`, which escapes already."""
_ESCAPED = re.compile(r"[^\x00-\x1f\x7f]+")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_NAT64 = IPv6Network("64:ff9b::/96")
"""Well-known prefix that carries an IPv4 address in its last 32 bits (RFC 6052)."""


def origin(url: str) -> str:
    """Scheme, host and port in one normal form: lower case, the scheme's own port left out.

    Raises `ValueError` when `url` is not an absolute http or https URL.
    """
    parts = urlsplit(url)
    host = parts.hostname
    if parts.scheme not in _DEFAULT_PORTS or not host:
        raise ValueError("not an absolute http or https URL")
    shown = f"[{host}]" if ":" in host else host
    port = parts.port
    default = port is None or port == _DEFAULT_PORTS[parts.scheme]
    return f"{parts.scheme}://{shown}" if default else f"{parts.scheme}://{shown}:{port}"


def check_origin(url: str) -> str | None:
    """Why the API key may not be sent to this origin; None when it may.

    An origin is scheme, host and port alone. Plain http is for this machine only: anywhere else
    the key would travel in the clear.
    """
    parts = _split(url)
    if parts is None or parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        return "it is not an http or https URL"
    if parts.username is not None or parts.password is not None:
        return "it carries a user name or password"
    if parts.path not in ("", "/") or parts.query or parts.fragment or url[-1:] in "?#":
        return "it has more than scheme, host and port"
    if parts.scheme == "http" and not is_loopback_host(parts.hostname):
        return "over plain http the API key would travel readable by anyone"
    return None


def place_of(url: str) -> str:
    """Host and, where it is not the scheme's own, port: what fails or works as one. Empty where
    there is none."""
    try:
        return origin(url).partition("://")[2]
    except ValueError:
        return ""


def escaped(url: str) -> str:
    """A media URL as it can be sent: its scheme in lower case, and escaped what has to be.

    Nothing that may stand in a URL is touched, since a signed one is only valid as it was written.
    Line ends and other control characters stay, for `check_media_url` to refuse.
    """
    parts = _PARTS.fullmatch(url.strip())
    if parts is None:
        return url
    scheme, host, rest = parts.groups()
    return scheme.lower() + host + _ESCAPED.sub(_escape, rest)


def _escape(text: re.Match[str]) -> str:
    return quote(text[0], _AS_WRITTEN, errors="surrogatepass")


def check_media_url(url: str, *, allow_private: bool = False) -> str | None:
    """Why a URL named by the service may not be fetched, as `escaped` made it; None when it may.

    Host *names* pass here: what they resolve to is checked when the connection is made.
    `allow_private` lets addresses of this machine and its network pass, for the simulator.
    """
    if len(url) > MAX_URL_CHARACTERS:
        return "it is too long"
    parts = _split(url)
    if parts is None:
        return "it cannot be read"
    if not parts.scheme:
        return "it is not a whole address, which begins with https://"
    if parts.scheme not in _DEFAULT_PORTS:
        return f"files are fetched over http and https only, not over {parts.scheme}"
    if _FORBIDDEN.search(url):
        return "it contains spaces, backslashes or control characters"
    if not parts.hostname:
        return "it names no host"
    if parts.username is not None or parts.password is not None:
        return "it carries a user name or password"
    return _check_host(parts.hostname, allow_private=allow_private)


@lru_cache(maxsize=1024)
def _check_host(host: str, *, allow_private: bool) -> str | None:
    address = _address(host)
    if address is None:
        # 2130706433, 0x7f.1 and 127.1 are addresses to a resolver, and dodge every check here.
        last = host.rstrip(".").rpartition(".")[2]
        if last[:1].isdigit() and (last.isdigit() or last.startswith("0x")):
            return "its host is an address in an unusual spelling"
        return None
    if not allow_private and not _is_public(address):
        return "its address is not a public one"
    return None


def is_public_address(text: str) -> bool:
    """Whether a textual IP address is one of the public internet; False for anything else.

    An IPv4 address inside an IPv6 one (mapped, 6to4, Teredo, NAT64) is judged by itself.
    """
    address = _address(text)
    return address is not None and _is_public(address)


def is_loopback_host(host: str) -> bool:
    """Whether a host can only be this machine: `localhost`, names below it, loopback addresses."""
    name = host.lower().rstrip(".")
    address = _address(host)
    if address is not None:
        return address.is_loopback
    return name == "localhost" or name.endswith(".localhost")


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address):
        inner = _embedded(address)
        if inner is not None:
            return _is_public(inner)
        if address.is_site_local:
            return False
    return address.is_global and not address.is_multicast


def _embedded(address: IPv6Address) -> IPv4Address | None:
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)


def _split(url: str) -> SplitResult | None:
    """The parts of a URL, None when it or its port cannot be read."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # parsed only when asked for, and refused then
    except ValueError:
        return None
    return parts
