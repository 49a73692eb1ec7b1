"""Which certificates are trusted, for every connection of ours; and what to do where one is not."""

from __future__ import annotations

import os
import ssl
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

from batchgen.errors import UserError

_REMEDY = "set SSL_CERT_FILE to a file with the certificates to trust, such as that of your proxy"
_REMEDIES = {9: "see the clock: date -u", 10: "see the clock: date -u", 62: "", 64: ""}
"""By OpenSSL's code: not valid yet, expired; another host's, another address's."""


def client_context() -> ssl.SSLContext | Literal[True]:
    """What to connect with: the system's certificates, and those that the environment names.

    True, for the HTTP client's own context, where it names none: making one takes a tenth of a
    second. Raises `UserError` where it names what is not there: OpenSSL passes over it without a
    word, and then no host is trusted.
    """
    named = _Named(
        os.environ.get("SSL_CERT_FILE", ""),
        os.environ.get("SSL_CERT_DIR", ""),
        os.environ.get("REQUESTS_CA_BUNDLE", ""),
        os.environ.get("CURL_CA_BUNDLE", ""),
    )
    return _context(named) if any(named) else True


class _Named(NamedTuple):
    """What each variable names. The first two are read by OpenSSL itself, in place of the system's
    certificates; those of requests and curl, set on many machines behind a proxy, come on top."""

    SSL_CERT_FILE: str
    SSL_CERT_DIR: str
    REQUESTS_CA_BUNDLE: str
    CURL_CA_BUNDLE: str


@lru_cache(maxsize=1)
def _context(named: _Named) -> ssl.SSLContext:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        named_places = getattr(named, name)
        # A list often has the folders of several systems: one that is there is enough.
        places = [place for place in named_places.split(os.pathsep) if place]
        if places and not any(os.access(place, os.R_OK) for place in places):
            raise _not_there(name, named_places, "it cannot be read")
    context = ssl.create_default_context()
    # Often both name one file: to read it takes a tenth of a second.
    on_top = {getattr(named, name): name for name in ("CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE")}
    for place, name in on_top.items():
        if place:
            _trust(context, name, Path(place))
    return context


def _trust(context: ssl.SSLContext, name: str, place: Path) -> None:
    try:
        if place.is_dir():
            context.load_verify_locations(capath=place)
        else:
            context.load_verify_locations(cafile=place)
    except ssl.SSLError:
        raise _not_there(name, str(place), "there is no certificate in it") from None
    except OSError as error:
        raise _not_there(name, str(place), error.strerror or str(error)) from None


def _not_there(name: str, place: str, why: str) -> UserError:
    return UserError(
        f"{name} names the certificates to trust, {place}: {why}\n    mend it, or: unset {name}"
    )


def tls_fault(error: BaseException) -> str:
    """What a person should know of a TLS failure; empty where `error` is none, nor due to one."""
    # The HTTP client's own classes are SSLErrors too, and know nothing but their text.
    cause = error.__cause__ if isinstance(error.__cause__, ssl.SSLError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        remedy = _REMEDIES.get(cause.verify_code, _REMEDY)
        told = f"its certificate is not trusted: {cause.verify_message}"
        return f"{told}; {remedy}" if remedy else told
    if isinstance(cause, ssl.SSLError):
        return f"no TLS: {(cause.reason or str(cause)).lower().replace('_', ' ')}"
    return ""
