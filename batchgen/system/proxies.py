"""Which proxy, if any, the environment names for a URL.

aiohttp could look this up itself (`trust_env`), but does so in a thread on every request and
also reads `~/.netrc`, whose passwords nobody meant for this.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit
from urllib.request import getproxies_environment

from batchgen.core.common.text import printable
from batchgen.core.net.urls import is_loopback_host
from batchgen.errors import UserError

_PORTS = {"http": 80, "https": 443}
_WITH_PORT = re.compile(r"\[([^\]]+)\](?::(\d+))?|([^:]+):(\d+)")
_ANY_HOST = "https://the-host-of-a-file.invalid"
"""Where files come from is told by the service, after they are paid for: it may be any host."""


class ProxyError(UserError):
    """The proxy that the environment names for a host cannot be used."""


def environment_proxies() -> Mapping[str, str]:
    """What the environment says about proxies, by scheme; `no` are the hosts without one.

    Reading it takes longer than all else about a URL: it is for once, not for every call.
    """
    return getproxies_environment()


def proxy_for(url: str, proxies: Mapping[str, str] | None = None) -> str | None:
    """The proxy of `HTTPS_PROXY`, `HTTP_PROXY` or `ALL_PROXY` for this URL; None for a direct way.

    `proxies` are `environment_proxies()`, looked up when not given.
    `NO_PROXY` is honoured, and this machine is always reached directly. An https URL goes through
    the proxy by CONNECT: the proxy sees the host's name, never the key. Raises `ProxyError` for a
    proxy that is not http or https (SOCKS), or cannot be read.
    """
    if proxies is None:
        proxies = environment_proxies()
    if not proxies:
        return None
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    port = parts.port or _PORTS.get(parts.scheme, 0)
    name = parts.scheme if proxies.get(parts.scheme) else "all"
    proxy = proxies.get(name, "").strip()
    if not proxy or is_loopback_host(host) or _is_exempt(host, port, proxies.get("no", "")):
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    fault = _fault_of(proxy)
    if fault:
        told = "files, which may be on any host" if url == _ANY_HOST else host
        exempt = "'*'" if url == _ANY_HOST else host
        raise ProxyError(
            f"{name.upper()}_PROXY names the proxy for {told}, and {fault}\n    "
            f"export {parts.scheme.upper()}_PROXY=http://proxy:port, or NO_PROXY={exempt} for a "
            "direct way"
        )
    return proxy


def proxy_for_files(proxies: Mapping[str, str] | None = None) -> str | None:
    """The proxy for the files of results, whichever https host they are on. Raises `ProxyError`."""
    return proxy_for(_ANY_HOST, proxies)


def _fault_of(proxy: str) -> str:
    """Why a proxy cannot be used; empty where it can. Its user and password are not told."""
    try:
        parts = urlsplit(proxy)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "its address cannot be read"
    if parts.scheme not in _PORTS:
        scheme = printable(parts.scheme, 20) or "unreadable"
        return f"it is a {scheme} proxy: only http and https ones are supported"
    return "" if host else "its address has no host"


def without_passwords(text: str) -> str:
    """A text about connections with the user and password of any URL in it blotted out."""
    return re.sub(r"//[^/@\s]*@", "//***@", text)


def _is_exempt(host: str, port: int, no_proxy: str) -> bool:
    """Whether `NO_PROXY` covers a host: names and domains, addresses and CIDR networks, any of them
    with a port, or `*`; between commas or spaces."""
    entries = re.split(r"[\s,]+", no_proxy.lower())
    return any(_covers(entry, host, port) for entry in entries if entry)


def _covers(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    if match := _WITH_PORT.fullmatch(entry):
        entry, wanted = match[1] or match[3], match[2] or match[4]
        if wanted and int(wanted) != port:
            return False
    network = _network(entry)
    if network is not None:
        return (address := _address(host)) is not None and address in network
    name = entry.removeprefix("*").strip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
