"""Which proxy, if any, the environment names for a URL.

aiohttp could look this up itself (`trust_env`), but does so in a thread on every request and
also reads `~/.netrc`, whose passwords nobody meant for this.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit
from urllib.request import getproxies_environment

from batchgen.core.net.urls import is_loopback_host
from batchgen.errors import UserError


def environment_proxies() -> Mapping[str, str]:
    """What the environment says about proxies, by scheme; `no` are the hosts without one.

    Reading it takes longer than all else about a URL: it is for once, not for every call.
    """
    return getproxies_environment()


def proxy_for(url: str, proxies: Mapping[str, str] | None = None) -> str | None:
    """The proxy of `HTTPS_PROXY`, `HTTP_PROXY` or `ALL_PROXY` for this URL; None for a direct way.

    `proxies` are `environment_proxies()`, looked up when not given.
    `NO_PROXY` is honoured, and this machine is always reached directly. An https URL goes through
    the proxy by CONNECT: the proxy sees the host's name, never the key. Raises `UserError` for a
    proxy that is not http or https (SOCKS).
    """
    if proxies is None:
        proxies = environment_proxies()
    if not proxies:
        return None
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or is_loopback_host(host) or _is_exempt(host, proxies.get("no", "")):
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    if urlsplit(proxy).scheme not in ("http", "https"):
        raise UserError(
            f"the environment names a {urlsplit(proxy).scheme} proxy for {host}, and only http and "
            f"https proxies are supported; set HTTPS_PROXY=http://… or NO_PROXY={host}"
        )
    return proxy


def without_passwords(text: str) -> str:
    """A text about connections with the user and password of any URL in it blotted out."""
    return re.sub(r"//[^/@\s]*@", "//***@", text)


def _is_exempt(host: str, no_proxy: str) -> bool:
    """Whether `NO_PROXY` (names and domains between commas, or `*`) covers a host."""
    names = [name.strip().lower().lstrip(".") for name in no_proxy.split(",") if name.strip()]
    return any(name in ("*", host) or host.endswith(f".{name}") for name in names)
