"""What a manifest will come to: counts, money and sizes."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.forecast.diff import TO_SUBMIT, JobDiff
from batchgen.core.forecast.forecast import Experience, Forecast, PriceSource
from batchgen.core.forecast.upload_volume import UploadVolume
from batchgen.core.jobs.spec import InputFile, JobSpec, Mode
from batchgen.providers.segmind import catalog

CATALOG = catalog.load()
MAX = "flux-kontext-max"  # $0.10 in the catalogue
SEEN = {"seen": Experience(5, 0.02, 0.08, bytes_a_job=1_000.0)}


def spec(number=0, model=MAX, **changes):
    return JobSpec(f"j-{number}", model, "{}", f"j-{number}", **changes)


def forecast_of(jobs, experience=None, limit=None):
    result = Forecast(CATALOG, experience, limit)
    for job, standing in jobs:
        result.add(job, standing)
    return result


def test_nothing_comes_to_nothing():
    result = forecast_of([])

    assert (result.count, result.left, result.submits, result.lowest_usd) == (0, 0, 0, 0.0)
    assert result.models == {}


@pytest.mark.parametrize(
    ("model", "price", "low", "high", "sources"),
    [
        (MAX, 0.1, 0.1, 0.1, {PriceSource.CATALOGUE}),
        (MAX, 0.07, 0.07, 0.07, {PriceSource.MANIFEST}),
        ("new", 0.07, 0.07, 0.07, {PriceSource.MANIFEST}),
        ("new", 0.0, 0.0, 0.0, {PriceSource.MANIFEST}),
        ("new", None, None, None, set()),
        ("seen", None, 0.02, 0.08, {PriceSource.SEEN}),
        ("seen", 0.05, 0.02, 0.08, {PriceSource.SEEN, PriceSource.MANIFEST}),
        ("seen", 0.01, 0.01, 0.08, {PriceSource.SEEN, PriceSource.MANIFEST}),
        ("seen", 0.5, 0.02, 0.5, {PriceSource.SEEN, PriceSource.MANIFEST}),
    ],
)
def test_what_a_job_costs_at_least_and_at_most(model, price, low, high, sources):
    result = forecast_of([(spec(model=model, price_usd=price), JobDiff.NEW)] * 3, SEEN)

    told = result.models[model]
    assert (told.low_usd, told.high_usd, told.sources) == (low, high, sources)
    assert result.lowest_usd == pytest.approx(3 * (low or 0.0))
    assert result.highest_usd == pytest.approx(3 * (high or 0.0))
    assert result.unpriced == (3 if low is None else 0)


@pytest.mark.parametrize("standing", JobDiff)
def test_only_what_is_submitted_costs(standing):
    result = forecast_of([(spec(price_usd=0.1), standing)])

    assert result.standings == Counter([standing])
    assert result.submits == result.left == (standing in TO_SUBMIT)
    assert result.highest_usd == (0.1 if standing in TO_SUBMIT else 0.0)
    assert result.rerun_usd == (0.1 if standing is JobDiff.CONTESTED else 0.0)
    leaves = TO_SUBMIT | {JobDiff.UNDER_WAY}
    assert bool(result.output_bytes) == (standing in leaves)
    assert bool(result.state_bytes) == (standing is JobDiff.NEW)


def test_a_contested_job_without_a_price_is_counted():
    result = forecast_of([(spec(model="new"), JobDiff.CONTESTED)])

    assert (result.rerun_usd, result.models["new"].rerun_unpriced) == (0.0, 1)
    assert result.unpriced == 0


def test_a_limit_takes_the_first_that_are_to_be_submitted():
    done = (spec(1, price_usd=0.1), JobDiff.DONE)
    waiting = [(spec(n, price_usd=0.1), JobDiff.WAITING) for n in range(2, 5)]
    other = (spec(9, "new", api=Mode.BLOCKING), JobDiff.NEW)

    result = forecast_of([done, *waiting, other], limit=2)

    assert (result.count, result.left, result.submits) == (5, 4, 2)
    assert result.highest_usd == pytest.approx(0.2)
    assert result.models["new"].submits == 0
    assert forecast_of([other], limit=2).models["new"].blocking == 1


@pytest.mark.parametrize(
    ("model", "size"),
    [
        ("seen", 1_000.0),
        (MAX, 2e6),
        ("flux-pro", 2e6),
        ("new", 5e6),
    ],
)
def test_sizes_are_seen_or_guessed(model, size):
    result = forecast_of([(spec(model=model), JobDiff.NEW)] * 4, SEEN)

    assert result.output_bytes == 4 * size
    assert result.is_size_known == (model == "seen")


PRICES = st.none() | st.floats(0, 10)
JOBS = st.lists(
    st.tuples(st.sampled_from(["new", "seen", MAX]), PRICES, st.sampled_from(JobDiff)), max_size=30
)


@given(JOBS, st.none() | st.integers(1, 40))
def test_models_add_up_to_the_whole(jobs, limit):
    pairs = [(spec(n, m, price_usd=usd), where) for n, (m, usd, where) in enumerate(jobs)]
    result = forecast_of(pairs, SEEN, limit)

    models = result.models.values()
    assert result.count == len(jobs) == sum(model.count for model in models)
    assert result.submits == sum(model.submits for model in models) <= result.left
    assert result.submits == min(result.left, limit or result.left)
    assert 0.0 <= result.lowest_usd <= result.highest_usd + 1e-9
    for model in models:
        assert sum(model.standings.values()) == model.count
        priced = model.submits - model.unpriced
        assert model.lowest_usd <= priced * (model.high_usd or 0.0) + 1e-9
        assert model.highest_usd >= priced * (model.low_usd or 0.0) - 1e-9


# Uploads


def content(number):
    return sha256(bytes([number])).hexdigest()


CONTENTS = st.lists(st.integers(1, 12))


@given(CONTENTS, CONTENTS)
def test_every_content_that_is_not_there_counts_once(mentioned, there):
    upload_volume, known = UploadVolume(), UploadVolume()
    for number in mentioned:
        upload_volume.add(content(number), number)
    for number in there:
        known.add(content(number), number)

    missing = set(mentioned) - set(there)
    assert upload_volume.without(known) == (len(missing), sum(missing))
    assert upload_volume.without(UploadVolume()) == (len(set(mentioned)), sum(set(mentioned)))


def test_the_inputs_of_what_is_submitted_are_freight():
    files = [InputFile(f"{n}.png", 10 * n, "image/png", content(n)) for n in (1, 2, 3)]
    jobs = [(spec(1, inputs=(files[0], files[1])), JobDiff.NEW),
            (spec(2, inputs=(files[0],)), JobDiff.WAITING),
            (spec(3, inputs=(files[2],)), JobDiff.DONE)]  # fmt: skip

    assert forecast_of(jobs).upload_volume.without(UploadVolume()) == (2, 30)
