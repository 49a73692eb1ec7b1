"""The local Segmind look-alike: for rehearsing manifests and for tests, free and offline.

`Service` is the service itself, without clock and sockets. `batchgen.simulator.server.serve` puts
it behind real HTTP; pictures come from `batchgen.simulator.pictures`. Neither is imported here:
they bring aiohttp and Pillow.
"""

from __future__ import annotations

from batchgen.simulator.config import ModelSettings, OutputShape, SimulatorConfig
from batchgen.simulator.fault_rules import FaultKind, FaultRule, Place, ResetHeader
from batchgen.simulator.ledger import Bill, Ledger, LogEntry, Outcome
from batchgen.simulator.messages import Fate, MediaKind, MediaRef, Reply, Request, Urls
from batchgen.simulator.service import Service
from batchgen.simulator.tiny import body_bytes, tiny_media

__all__ = [
    "Bill",
    "Fate",
    "FaultKind",
    "FaultRule",
    "Ledger",
    "LogEntry",
    "MediaKind",
    "MediaRef",
    "ModelSettings",
    "Outcome",
    "OutputShape",
    "Place",
    "Reply",
    "Request",
    "ResetHeader",
    "Service",
    "SimulatorConfig",
    "Urls",
    "body_bytes",
    "tiny_media",
]
