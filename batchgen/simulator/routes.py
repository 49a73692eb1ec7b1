"""Which call of the service a method and a path are."""

from __future__ import annotations

from dataclasses import dataclass

from batchgen.simulator.fault_rules import Place

CONTROL = "/_simulator/"
"""Paths below this one steer and watch the simulator itself; the real service has none of them."""

_FIXED = {
    ("v1", "get-user-credits"): ("GET", Place.CREDITS),
    ("upload-asset",): ("POST", Place.UPLOAD),
    ("inference-model-information", "list"): ("GET", Place.CATALOG),
    ("inference-request", "request-history"): ("GET", Place.HISTORY),
}


@dataclass(frozen=True, slots=True)
class Route:
    """A call: its place, the method it wants, and the slug or request_id its path names."""

    place: Place
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
            return Route(Place.POLL, "GET", request_id)
        case ("v2", "requests", request_id):
            return Route(Place.RESULT, "GET", request_id)
        case ("inference-request", "request-history", request_id):
            return Route(Place.HISTORY, "GET", request_id)
        case ("v2", slug) if slug:
            return Route(Place.SUBMIT, "POST", slug)
        case ("v1", slug) if slug:
            return Route(Place.SYNC, "POST", slug)
    return Route(Place.OTHER, "")
