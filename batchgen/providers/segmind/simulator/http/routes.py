"""Which call of the service a method and a path are."""

from __future__ import annotations

from dataclasses import dataclass

from batchgen.providers.segmind.simulator.fault_rules import Endpoint

CONTROL = "/_simulator/"
"""Paths below this one steer and watch the simulator itself; the real service has none of them."""

_FIXED = {
    ("v1", "get-user-credits"): ("GET", Endpoint.CREDITS),
    ("upload-asset",): ("POST", Endpoint.UPLOAD),
    ("inference-model-information", "list"): ("GET", Endpoint.CATALOG),
    ("llms.txt",): ("GET", Endpoint.LLMS),
    ("inference-request", "request-history"): ("GET", Endpoint.HISTORY),
}


@dataclass(frozen=True, slots=True)
class Route:
    """A call: its place, the method it wants, and the slug or request_id its path names."""

    place: Endpoint
    method: str
    name: str = ""


def read_route(path: str) -> Route:
    """The call a path stands for; place OTHER when it is none."""
    parts = tuple(path.strip("/").split("/"))
    if parts in _FIXED:
        method, place = _FIXED[parts]
        return Route(place, method)
    match parts:
        case ("v2", "requests", request_id, "status"):
            return Route(Endpoint.POLL, "GET", request_id)
        case ("v2" | "v1", "requests", request_id) | ("workflows", "request", request_id):
            return Route(Endpoint.RESULT, "GET", request_id)
        case ("workflows", "v2", slug) if slug:
            return Route(Endpoint.SUBMIT, "POST", f"workflows/v2/{slug}")
        case ("inference-request", "request-history", request_id):
            return Route(Endpoint.HISTORY, "GET", request_id)
        case ("v2", slug) if slug:
            return Route(Endpoint.SUBMIT, "POST", slug)
        case ("v1", slug) if slug:
            return Route(Endpoint.SYNC, "POST", slug)
    return Route(Endpoint.OTHER, "")
