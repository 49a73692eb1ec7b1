"""How long what is left of a run takes, as far as its state tells."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from batchgen.app.models.catalogue import catalog_for
from batchgen.core.catalog.model import Catalog, latency_guesses
from batchgen.core.forecast.diff import JobDiff
from batchgen.core.forecast.duration import span, works
from batchgen.core.forecast.forecast import Forecast, ModelForecast
from batchgen.core.forecast.run_settings import budget_of, pace_of
from batchgen.core.scheduling.latency import Latencies
from batchgen.core.scheduling.learned import LATENCIES_NOTE, account_of
from batchgen.store.sqlite.status import StatusQueries


def by_budget_s(reader: StatusQueries, notes: Mapping[str, str]) -> float | None:
    """Seconds for all that is left, under the limits of the last run and with the latencies
    learned; None where nothing is left."""
    models = _known_models()
    forecast = Forecast(models)
    for left in reader.left():
        counted = ModelForecast(left.model, bytes_a_job=0.0, is_size_known=False)
        counted.blocking = left.blocking_count
        counted.submits = left.queued_count + left.blocking_count
        counted.standings[JobDiff.UNDER_WAY] = left.under_way_count
        forecast.models[left.model] = counted
    if not forecast.models:
        return None
    latencies = Latencies(latency_guesses(models))
    latencies.load(notes.get(LATENCIES_NOTE))
    pace = pace_of(budget_of(notes), account_of(notes))
    return span(works(forecast, latencies, pace), pace).time_s


@cache
def _known_models() -> Catalog:
    """Read once: a page asks every few seconds."""
    return catalog_for()


def eta_s(
    reader: StatusQueries, notes: Mapping[str, str], left_count: int, now: float
) -> float | None:
    """Seconds until a run that works is done: by its pace of late, and never less than its budget
    needs."""
    by_budget = by_budget_s(reader, notes)
    pace = reader.pace_per_s(now)
    if by_budget is None or pace is None:
        return by_budget
    return max(by_budget, left_count / pace)
