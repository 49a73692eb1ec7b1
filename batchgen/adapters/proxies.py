"""Which proxy, if any, the environment names for a URL.

aiohttp could look this up itself (`trust_env`), but does so in a thread on every request and
also reads `~/.netrc`, whose passwords nobody meant for this.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit
from urllib.request import getproxies_environment

from batchgen.core.urls import is_loopback_host
from batchgen.errors import UserError


def proxy_for(url: str) -> str | None:
    """The proxy of `HTTPS_PROXY`, `HTTP_PROXY` or `ALL_PROXY` for this URL; None for a direct way.

    `NO_PROXY` is honoured, and this machine is always reached directly. An https URL goes through
    the proxy by CONNECT: the proxy sees the host's name, never the key. Raises `UserError` for a
    proxy that is not http or https (SOCKS).
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxies = getproxies_environment()
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
