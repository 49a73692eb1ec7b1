"""Reading a run while it works: the scheduler beside the tally, and the ETA."""

from __future__ import annotations

from dataclasses import replace

import pytest

from batchgen.core.jobs.events import EventKind as E
from batchgen.core.jobs.job import JobState as S
from batchgen.core.jobs.job import Receipt
from batchgen.core.jobs.lifecycle import apply
from batchgen.core.jobs.policies import Limits, RateScope
from batchgen.core.progress.eta import SnapshotReader, eta_s
from batchgen.core.progress.snapshot import one_line
from batchgen.core.progress.tally import Tally
from batchgen.core.scheduling.gates.gates import GateKind
from batchgen.core.scheduling.gates.refusals import MODEL_PAUSE_S
from batchgen.core.scheduling.poll_schedule import Load
from batchgen.core.scheduling.rates.rates import Rates
from batchgen.core.scheduling.rates.window import RateWindow
from batchgen.core.scheduling.spending import Money
from tests.core.builders import NOW, event, job, saved, scheduler


def placed(*, limit=None, load=None, **limits):
    """A scheduler whose latencies are believed."""
    made = scheduler(rate=RateWindow(limit), limits=Limits(**limits))
    made.polls.load = load or Load(polls=1.0, latency_s=20.0, delay_s=0.0)
    return made


def left(pending=0, submitted=0, fetching=0, **ended):
    return Tally.of({"pending": pending, "submitted": submitted, "fetching": fetching, **ended}, 0)


@pytest.mark.parametrize(
    ("tally", "made", "seconds"),
    [
        # 100 jobs in 10 places of 20 s, and the last one's own time
        (left(100), placed(concurrency=10), 100 * 20 / 10 + 20),
        # those that run are half through
        (left(0, 10), placed(concurrency=10), 10 * 20 / 2 / 10 + 10),
        # 100 × (submit + poll + result) at 30 a minute, of which the first 30 are free
        (left(100), placed(limit=30, concurrency=100), (300 - 30) * 2 + 20),
        # submits alone
        (
            left(100),
            placed(limit=30, concurrency=100, rate_scope=RateScope.SUBMIT),
            (100 - 30) * 2 + 20,
        ),
        # results that are to be fetched take one request each
        (left(0, 0, 90), placed(limit=30, concurrency=100), (90 - 30) * 2),
    ],
)
def test_the_budget_says_how_long_the_rest_takes_at_least(tally, made, seconds):
    assert eta_s(tally, made, NOW) == pytest.approx(seconds)


def test_the_pace_counts_where_it_is_slower():
    tally, made = left(100, 0, 4), placed(concurrency=1000)
    for second in (0, 10, 20, 30):
        tally.apply(apply(job(S.FETCHING), event(E.SAVED, NOW + second)))
    assert eta_s(tally, made, NOW + 40) == pytest.approx(100 * 10)


def test_jobs_that_fail_are_a_pace_too():
    tally = left(100, 4)
    for second in (0, 10, 20, 30):
        tally.apply(apply(job(S.SUBMITTED), event(E.FAILED, NOW + second)))
    assert tally.pace_per_s(NOW + 40) == pytest.approx(0.1)


def test_a_block_of_the_service_is_waited_for():
    made = placed(limit=1000, concurrency=10)
    free_s = eta_s(left(10), made, NOW)
    made.rate.refuse_until(NOW + 42, NOW)
    assert eta_s(left(10), made, NOW) >= free_s + 42
    assert SnapshotReader(left(10), scheduler=made).read(NOW).limited_until == NOW + 42
    assert SnapshotReader(left(10), scheduler=made).read(NOW + 43).limited_until is None


@pytest.mark.parametrize("kind", [kind for kind in GateKind if kind is not GateKind.HISTORY])
def test_nobody_knows_when_a_gate_opens(kind):
    made = placed(concurrency=10)
    made.gates.close(kind, "because", NOW)
    assert eta_s(left(10), made, NOW) is None
    assert len(SnapshotReader(left(10), scheduler=made).read(NOW).waiting_for) == 1


def test_the_wait_for_the_history_counts_down():
    made = scheduler()
    made.gates.wait("why", NOW, NOW + 120)
    shown = SnapshotReader(left(10), scheduler=made).read(NOW + 50)
    assert shown.waiting_for == ("the history is read once more in 1 min 10 s",)
    assert shown.eta_s is None


def test_there_is_no_eta_for_nothing_or_before_anything_is_known():
    made = placed(concurrency=10)
    assert eta_s(left(done=5), made, NOW) is None
    assert eta_s(left(10), scheduler(), NOW) is None, "no latency is believed yet"


def test_jobs_beyond_the_limit_of_a_taste_are_not_this_runs():
    made = placed(concurrency=1)
    made.prefetch.quota = 3
    assert eta_s(left(1000), made, NOW) == pytest.approx(3 * 20 + 20)
    made.held["flux-pro"] += 998
    assert eta_s(left(1000), made, NOW) == pytest.approx(2 * 20 + 20)


def test_jobs_on_hold_are_neither_waited_for_nor_queued():
    made = placed(concurrency=1)
    made.put([job(S.PENDING, 7, model="veo")])
    made.polls.load = Load(polls=1.0, latency_s=20.0, delay_s=0.0)
    for at in (NOW - MODEL_PAUSE_S, NOW):
        made.gates.refusals.refuse_model("veo", "HTTP 404", at)
    made.held["veo"] += 8  # beside the one that is tried later on

    assert eta_s(left(10), made, NOW) == pytest.approx(1 * 20 + 20)
    shown = SnapshotReader(left(10), scheduler=made).read(NOW)
    told = one_line(shown, str)
    assert "9 held" in told
    assert "1 queued" in told


def test_what_a_display_is_told():
    made = scheduler(
        [job(S.SUBMITTED, price_usd=0.25)],
        rates=Rates(RateWindow(50)),
        money=Money(20.0, settled_usd=1.5),
    )
    made.rates.start("flux-pro")
    tally = left(1, 1)
    tally.spent_usd = 1.25  # it does not know of jobs that were paid for and brought no files
    files = (replace(saved(), size=6_000_000),)
    tally.apply(apply(job(S.FETCHING), event(E.SAVED, NOW, files=files)))
    snapshot = SnapshotReader(tally, 20.0, made).read(NOW + 30)
    assert (snapshot.spent_usd, snapshot.reserved_usd, snapshot.cap_usd) == (1.5, 0.25, 20.0)
    made.money.account(job(S.FETCHING, key=2, price_usd=0.25, receipt=Receipt(cost_usd=0.3)))
    snapshot = SnapshotReader(tally, 20.0, made).read(NOW + 30)
    assert snapshot.spent_usd == pytest.approx(1.8), "it finished: that is no expectation any more"
    assert snapshot.reserved_usd == pytest.approx(0.25)
    made.money.account(job(S.DONE, key=2, price_usd=0.25, receipt=Receipt(cost_usd=0.3)))
    assert made.money.spent_usd == pytest.approx(1.8)
    assert (snapshot.calls, snapshot.allowed) == (1, 50)
    assert snapshot.bytes_per_s == pytest.approx(200_000)
    assert SnapshotReader(tally).read(NOW + 100).bytes_per_s == 0
    assert SnapshotReader(tally).read(NOW).calls is None


def test_files_that_do_not_come_are_told_of_and_have_no_end_that_is_known():
    tally, made = left(0, 0, 2), placed(limit=30)
    fetching = job(S.FETCHING)
    tally.apply(apply(fetching, event(E.TROUBLE, NOW, reason="HTTP 503")))
    tally.apply(apply(fetching, event(E.TROUBLE, NOW + 20, reason="HTTP 404")))
    reader = SnapshotReader(tally, scheduler=made)
    assert reader.read(NOW + 29).faltering == ()
    assert reader.read(NOW + 30).faltering == ("HTTP 404",)

    assert eta_s(tally, made, NOW + 30) is not None, "another one is fetched"
    tally.counts[S.FETCHING] -= 1
    assert eta_s(tally, made, NOW + 30) is None

    tally.apply(apply(fetching, event(E.SAVED, NOW + 40)))
    assert reader.read(NOW + 40).faltering == ()
