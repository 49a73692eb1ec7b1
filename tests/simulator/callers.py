"""Talking to a `Service` in process, in virtual time."""

import json
from dataclasses import dataclass, field

from batchgen.providers.segmind.simulator import (
    Endpoint,
    ReceivedRequest,
    Service,
    SimulatorConfig,
    Urls,
    body_bytes,
)

KEY = "SG_0123456789abcdef"
START_AT = 1_800_000_000.0
API = "http://api.test"
CDN = "http://cdn.test"


@dataclass
class Caller:
    """A client with a clock of its own; `settings` go to the configuration."""

    service: Service
    now: float = START_AT
    headers: dict = field(default_factory=lambda: {"x-api-key": KEY})

    def call(self, method, path, body=None, *, query=None, headers=None):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = dict(self.headers) if headers is None else dict(headers)
        if body is not None:
            sent.setdefault("content-type", "application/json")
        request = ReceivedRequest(
            method, path, query or {}, sent, data if body is not None else b""
        )
        return self.service.handle(request, self.now)

    def get(self, path, **query):
        return self.call("GET", path, query={name: str(value) for name, value in query.items()})

    def submit(self, slug="flux-kontext-pro", /, **params):
        return self.call("POST", f"/v2/{slug}", {"prompt": "a cup", **params})

    def accepted(self, slug="flux-kontext-pro", /, **params):
        """Submit; the request_id of the accepted job."""
        reply = self.submit(slug, **params)
        assert reply.status == 200, reply
        return read(reply)["request_id"]

    def poll(self, request_id):
        return self.get(f"/v2/requests/{request_id}/status")

    def result(self, request_id):
        return self.get(f"/v2/requests/{request_id}")

    def history(self, **query):
        return self.get("/inference-request/request-history", **query)

    def download(self, url, headers=None, method="GET"):
        path, _, query = url.removeprefix(CDN).partition("?")
        fields = dict([query.split("=")]) if query else {}
        return self.service.cdn(ReceivedRequest(method, path, fields, headers or {}), self.now)

    def later(self, seconds):
        self.now += seconds
        return self

    def credits(self):
        return read(self.get("/v1/get-user-credits"))["credits"]


def caller(**settings):
    config = SimulatorConfig.model_validate({"latency_jitter": 0, **settings})
    return Caller(Service(config, started_at=START_AT, urls=Urls(API, CDN)))


def read(reply):
    """The JSON of a reply."""
    return json.loads(body_bytes(reply))


def submits(client):
    return client.service.ledger.count(Endpoint.SUBMIT)
