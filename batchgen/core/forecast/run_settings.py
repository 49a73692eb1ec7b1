"""How a run was set, as a note in its state: for whoever looks at it later."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from batchgen.core.forecast.duration import ModelLimits, RunLimits
from batchgen.core.jobs.policies import PollWith, RateScope
from batchgen.core.manifest.schema import Budget, Manifest
from batchgen.core.scheduling.poll_schedule import OTHER_CALLS
from batchgen.core.scheduling.rates.rates import FIRST_LIMIT, GetPrice, RateLimits, Rates

SETTINGS_NOTE = "settings"
"""`{"name": …, "budget": {…}, "retry": {…}, "reconcile": {…}, "output": {…}}`, keys as in a
manifest."""
_TOLD = {"name", "budget", "retry", "reconcile", "output"}


def settings_text(manifest: Manifest, **budget: float | None) -> str:
    """The note: the manifest's settings, with what the command line puts over its budget.

    Nothing of `notify` or `on_finish`: they may name what is nobody's business.
    """
    told: dict[str, Any] = manifest.model_dump(mode="json", include=_TOLD)
    told["budget"] |= {name: value for name, value in budget.items() if value is not None}
    return json.dumps(told, ensure_ascii=False)


def budget_of(notes: Mapping[str, str]) -> Budget:
    """The limits of the last run; the usual ones where no note tells, or one of another shape."""
    try:
        noted = json.loads(notes.get(SETTINGS_NOTE, "{}"))
        return Budget.model_validate(noted.get("budget", {}))
    except (ValueError, AttributeError, ValidationError):
        return Budget()


def rate_limits_of(budget: Budget) -> RateLimits:
    """Its requests a minute: what is promised, and what is to be found out."""
    asked = budget.requests_per_minute
    own = {slug: of_model.requests_per_minute for slug, of_model in budget.models.items()}
    return RateLimits(
        FIRST_LIMIT if asked == "auto" else asked,
        asked == "auto",
        RateScope(budget.rate_limit_scope),
        {slug: most for slug, most in own.items() if most is not None},
    )


def pace_of(budget: Budget, known: Mapping[str, Any] | None = None) -> RunLimits:
    """A budget as far as it bounds the time; `known` is what was found out about the account."""
    known = known or {}
    rates = Rates.restore(rate_limits_of(budget), None, 0.0, known.get("rates"))
    return RunLimits(
        budget.concurrency,
        rates.whole.limit,
        RateScope.ALL if rates.counts_gets else RateScope.SUBMIT,
        {
            slug: ModelLimits(own.concurrency, own.requests_per_minute)
            for slug, own in budget.models.items()
        },
        OTHER_CALLS - (budget.poll_with != PollWith.STATUS),
        is_assumed=rates.get_price is GetPrice.ASSUMED_FREE,
    )
