"""The hosts of the finished files: a gate for each, since files come from elsewhere than answers.

A file that cannot be fetched now stands there all the same. So a host that brings nothing for
several jobs is left alone but for one download at a time, and nothing more is submitted of the
models whose files it holds, until it brings a file again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import urlsplit

from batchgen.core.jobs.backoff import probe_delay_s
from batchgen.core.jobs.job import Job

HOST_FAILS_AFTER = 3
"""So many different jobs in a row, and none whose file came between them."""
MAX_PROBE_DELAY_S = 60.0


@dataclass(slots=True)
class HostGate:
    """A host that brings nothing: why, since when, and when the next download may try."""

    reason: str
    since_at: float
    probe_at: float
    probes: int = 0


@lru_cache(maxsize=4096)
def host_of(url: str) -> str:
    """The host of an address, with its port where it names one; empty where it names no host."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2].lower()
    except ValueError:
        return ""


def hosts_of(job: Job) -> frozenset[str]:
    """Where the files of a job stand."""
    return frozenset(host for output in job.outputs if (host := host_of(output.url)))


@dataclass(slots=True)
class FileHosts:
    """Written by what came of downloads; asked by the planner."""

    closed: dict[str, HostGate] = field(default_factory=dict)
    _failed: dict[str, set[int]] = field(default_factory=dict)
    """Jobs whose files a host did not bring, since it brought one last."""
    _probing: dict[int, frozenset[str]] = field(default_factory=dict)
    """Closed hosts that the download of a job tries just now, by its key."""
    _of_models: dict[str, frozenset[str]] = field(default_factory=dict)
    """Where the files of a model stood the last time."""

    def named(self, job: Job) -> None:
        """The outputs of a job are known."""
        hosts = hosts_of(job)
        if hosts:
            self._of_models[job.model] = hosts

    def failed(self, host: str, job_key: int, reason: str, at: float) -> None:
        """A host did not bring a file."""
        failed = self._failed.setdefault(host, set())
        failed.add(job_key)
        gate = self.closed.get(host)
        if gate is not None:
            if at >= gate.probe_at:
                gate.probes += 1
                gate.reason = reason
                gate.probe_at = at + probe_delay_s(gate.probes, MAX_PROBE_DELAY_S)
        elif len(failed) >= HOST_FAILS_AFTER:
            self.closed[host] = HostGate(reason, at, at + 2.0)

    def brought(self, hosts: Iterable[str]) -> None:
        """Hosts brought the files of a job."""
        for host in hosts:
            self._failed.pop(host, None)
            self.closed.pop(host, None)

    def keep(self, hosts: Collection[str]) -> None:
        """Only these hosts are waited for: nobody is left who would try the others."""
        for host in self.closed.keys() - set(hosts):
            self.brought([host])

    def begin(self, job: Job) -> None:
        """A download starts; at a closed host it is a probe."""
        hosts = hosts_of(job) & self.closed.keys() if self.closed else None
        if hosts:
            self._probing[job.key] = hosts

    def end(self, job_key: int) -> None:
        """A download ended, however."""
        self._probing.pop(job_key, None)

    def next_try_at(self, job: Job, now: float) -> float | None:
        """When the files of a job may be tried for; None while another job tries a host of them."""
        gates = [self.closed[host] for host in hosts_of(job) & self.closed.keys()]
        if not gates:
            return now
        if any(hosts & hosts_of(job) for hosts in self._probing.values()):
            return None
        return max(now, *(gate.probe_at for gate in gates))

    def holds(self, model: str) -> bool:
        """Whether nothing of a model may be submitted: its files could not be fetched. Of a model
        whose files were never named, any closed host may be the one."""
        if not self.closed:
            return False
        hosts = self._of_models.get(model)
        return hosts is None or not hosts.isdisjoint(self.closed)

    def first(self) -> tuple[str, HostGate] | None:
        """The closed host that failed first."""
        return min(self.closed.items(), key=lambda item: item[1].since_at, default=None)
