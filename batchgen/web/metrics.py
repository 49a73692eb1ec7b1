"""A run in the format of Prometheus, by its own client library."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_GAUGES = {
    "spent_usd": ("spent_usd", "What was spent, in USD."),
    "reserved_usd": ("reserved_usd", "What may still be billed, in USD."),
    "max_spend_usd": ("cap_usd", "The most to spend, in USD."),
    "polls": ("poll_count", "Polls of the current attempts of all jobs."),
    "output_files": ("file_count", "Finished files."),
    "output_bytes": ("byte_count", "Bytes of finished files."),
    "done_per_minute": ("done_per_minute", "Jobs done a minute, over the last five."),
    "eta_seconds": ("eta_s", "Seconds until the last job ends, at that pace."),
    "last_change_timestamp_seconds": ("last_change_at", "When a job moved last."),
    "next_deadline_timestamp_seconds": ("deadline_at", "When the nearest result expires."),
}
"""Names below `batchgen_`: the field of the summary, and what it is."""


class RunCollector(Collector):
    """Makes metrics of the summary at each scrape; what is not known is left out."""

    def __init__(self, summary: Callable[[], Mapping[str, Any]]) -> None:
        self._summary = summary

    def collect(self) -> Iterator[Metric]:
        """All metrics of the run."""
        summary = self._summary()
        run = str(summary["name"])
        jobs = GaugeMetricFamily("batchgen_jobs", "Jobs by state.", labels=["run", "state"])
        for state, count in summary["counts"].items():
            jobs.add_metric([run, state], count)
        yield jobs
        attempts = GaugeMetricFamily(
            "batchgen_attempts", "Attempts by state.", labels=["run", "state"]
        )
        for state, count in summary["attempts"].items():
            attempts.add_metric([run, state], count)
        yield attempts
        submits = CounterMetricFamily("batchgen_submits", "Submits so far.", labels=["run"])
        submits.add_metric([run], sum(summary["attempts"].values()))
        yield submits
        for name, (field, meaning) in _GAUGES.items():
            value = summary[field]
            if value is not None:
                gauge = GaugeMetricFamily(f"batchgen_{name}", meaning, labels=["run"])
                gauge.add_metric([run], value)
                yield gauge


def registry_of(summary: Callable[[], Mapping[str, Any]]) -> CollectorRegistry:
    """A registry of the run alone: nothing is told of the process or the machine."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(RunCollector(summary))
    return registry


def exposition(registry: CollectorRegistry) -> bytes:
    """What a scrape is answered with."""
    return bytes(generate_latest(registry))
