"""When to try again. Policies compute instants; nothing here waits."""

from __future__ import annotations

import hashlib

FIRST_BACKOFF_S = 1.0
MAX_BACKOFF_S = 300.0
FIRST_READS_S = (3.0, 10.0, 30.0, 60.0)
"""When after a doubt arose the history is asked, until the settle time. Guesses: it may lag."""

MIN_LOOKUP_S, MAX_LOOKUP_S = 2.0, 60.0
"""Bounds of the wait after a lookup of an ambiguous submit that brought nothing."""


def lookup_delay_s(doubted_s: float) -> float:
    """How long to wait for the next lookup of a submit that is in doubt for so long: a quarter of
    that, within bounds."""
    return min(MAX_LOOKUP_S, max(MIN_LOOKUP_S, doubted_s / 4))


def probe_delay_s(probes: int, most_s: float) -> float:
    """How long to wait after so many fruitless probes: 2, 4, 8 … s, at most `most_s`."""
    return min(most_s, 2.0 ** min(probes + 1, 20))


def backoff_at(now: float, trouble: int, salt: int) -> float:
    """The instant of the next try after `trouble` (≥ 1) fruitless ones in a row.

    Full jitter over an exponential: uniform in [0.5 s, min(300 s, 1 s · 2^trouble)]. The randomness
    is a hash of `salt` and `trouble`, so that a decision can be replayed.
    """
    ceiling = min(MAX_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** min(trouble, 10))
    digest = hashlib.blake2b(f"{salt}:{trouble}".encode(), digest_size=8).digest()
    share = int.from_bytes(digest) / 2**64
    return now + 0.5 + share * (ceiling - 0.5)
