"""The local Segmind look-alike: for rehearsing manifests and for tests, free and offline.

`Service` is the service itself, without clock and sockets. `simulator.http.server.serve` puts it
behind real HTTP; pictures come from `simulator.media.pictures`. Neither is imported here: they
bring aiohttp and Pillow.
"""

from __future__ import annotations

from batchgen.providers.segmind.simulator.config import (
    ChatStyle,
    ModelSettings,
    OutputShape,
    SimulatorConfig,
)
from batchgen.providers.segmind.simulator.fault_rules import (
    CdnHost,
    Endpoint,
    FaultKind,
    FaultRule,
    ResetHeader,
)
from batchgen.providers.segmind.simulator.ledger import Bill, BillingLedger, LogEntry, Outcome
from batchgen.providers.segmind.simulator.media.tiny import body_bytes, tiny_media
from batchgen.providers.segmind.simulator.messages import (
    DeliveryFault,
    MediaRef,
    ReceivedRequest,
    Reply,
    Urls,
)
from batchgen.providers.segmind.simulator.service import Service

__all__ = [
    "Bill",
    "BillingLedger",
    "CdnHost",
    "ChatStyle",
    "DeliveryFault",
    "Endpoint",
    "FaultKind",
    "FaultRule",
    "LogEntry",
    "MediaRef",
    "ModelSettings",
    "Outcome",
    "OutputShape",
    "ReceivedRequest",
    "Reply",
    "ResetHeader",
    "Service",
    "SimulatorConfig",
    "Urls",
    "body_bytes",
    "tiny_media",
]
