"""What the service may turn out to be: which calls count, how the limit is enforced, and whether a
result tells that its request still runs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from batchgen.providers.segmind.simulator.rate_limits.admission import (
    Admission,
    FixedWindow,
    RateLimiter,
    SlidingWindow,
    TokenBucket,
)

MINUTE_S = 60.0


class Gets(StrEnum):
    """How calls beside submits count."""

    FREE = "free"
    COUNTED = "counted"
    APART = "apart"


@dataclass(frozen=True)
class Shape:
    """How a limit is enforced: also as `burst` in any `burst_s`, as a bucket of `bucket` tokens, or
    in fixed minutes."""

    burst: int = 0
    burst_s: float = 0.0
    bucket: int = 0
    fixed: bool = False

    def limit(self, per_minute: int) -> RateLimiter:
        """So many requests a minute, enforced so."""
        rules: list[Admission] = []
        if self.bucket:
            rules.append(TokenBucket(self.bucket, per_minute / MINUTE_S))
        elif self.fixed:
            rules.append(FixedWindow(per_minute, MINUTE_S))
        else:
            rules.append(SlidingWindow(per_minute, MINUTE_S))
        if self.burst:
            rules.append(SlidingWindow(self.burst, self.burst_s))
        return RateLimiter(rules)


@dataclass(frozen=True)
class World:
    """`early_result` is the status of a result that is asked for too early. `limit` None: as many
    requests as come."""

    name: str
    limit: int | None = 50
    gets: Gets = Gets.COUNTED
    early_result: int = 404
    shape: Shape = Shape()
    told: int | None = 50
    """The number in the manifest; None where it is to be found out."""

    def limits(self) -> tuple[RateLimiter, RateLimiter]:
        """Those of submits and of all other calls; where these count with them, the same one."""
        if self.limit is None:
            return RateLimiter(()), RateLimiter(())
        submits = self.shape.limit(self.limit)
        if self.gets is Gets.COUNTED:
            return submits, submits
        apart = Shape().limit(10 * self.limit)
        return submits, apart if self.gets is Gets.APART else RateLimiter(())


IN_SHORT_WINDOWS = Shape(burst=10, burst_s=10.0)
AS_A_BUCKET = Shape(bucket=5)
IN_FIXED_MINUTES = Shape(fixed=True)
WORLDS = (
    World("GETs free, results early", gets=Gets.FREE, early_result=200),
    World("GETs free, results refused", gets=Gets.FREE),
    World("GETs count, results early (200)", early_result=200),
    World("GETs count, results early (202)", early_result=202),
    World("GETs count, results refused (404)"),
    World("GETs count, results refused (409)", early_result=409),
    World("GETs count, results refused (425)", early_result=425),
    World("limit 120, not told, GETs free", 120, Gets.FREE, 200, told=None),
    World("limit 120, not told, results early", 120, early_result=200, told=None),
    World("limit 120, not told, results refused", 120, told=None),
    World("10 in any 10 s, GETs free", 50, Gets.FREE, 200, IN_SHORT_WINDOWS),
    World("10 in any 10 s, GETs count", 50, Gets.COUNTED, 200, IN_SHORT_WINDOWS),
    World("bucket of 5, GETs free", 50, Gets.FREE, 200, AS_A_BUCKET),
    World("bucket of 5, GETs count", 50, Gets.COUNTED, 200, AS_A_BUCKET),
    World("fixed minutes, GETs free", 50, Gets.FREE, 200, IN_FIXED_MINUTES),
    World("fixed minutes, GETs count", 50, Gets.COUNTED, 200, IN_FIXED_MINUTES),
    World("GETs in a bucket of their own", 50, Gets.APART, 200),
    World("limit 50, not told, GETs free", 50, Gets.FREE, 200, told=None),
    World("limit 50, not told, results early", 50, early_result=200, told=None),
)
