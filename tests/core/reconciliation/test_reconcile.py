"""What became of an ambiguous POST: tables of evidence, and an adversary who forges it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.jobs.backoff import FIRST_READS_S
from batchgen.core.jobs.job import Doubt
from batchgen.core.jobs.job import JobState as S
from batchgen.core.jobs.spec import WORKFLOWS, Mode
from batchgen.core.reconciliation.clock import CONTROL_LATE_S
from batchgen.core.reconciliation.evidence import Policy, Reads
from batchgen.core.reconciliation.history import DAY_S, SKEW_S, HistoryRead, HistoryRow, OwnRequest
from batchgen.core.reconciliation.reconcile import (
    GRACE_S,
    LATER_READS_S,
    Decision,
    decide,
    needs_lookup,
    next_read_at,
)
from tests.core.builders import NOW, job

SETTLE_S = 120.0
SENT_AT = NOW - 400.0
UNCLEAR_AT = NOW - 390.0
SETTLED_AT = UNCLEAR_AT + SETTLE_S
BODY = '{"prompt":"a cup"}'
CUP = job(
    S.AMBIGUOUS, sent_at=SENT_AT, unclear_at=UNCLEAR_AT, doubt=Doubt.OPEN, reason="answer lost"
)
OTHER_BODY = '{"prompt":"a jug"}'
PATIENCE_S = 2 * (GRACE_S + SETTLE_S)
EARLIER_ACK, LATER_ACK = [(SENT_AT - 1, "r")], [(SETTLED_AT, "r")]
CONTROL_ID = "control"
CONTROL = OwnRequest("flux-pro", OTHER_BODY, SETTLED_AT)
CONTROL_ROW = HistoryRow(CONTROL_ID, "flux-pro", OTHER_BODY, SETTLED_AT + 1)


def row(id_="r-1", at=SENT_AT + 1, body=BODY, model="flux-pro"):
    return HistoryRow(id_, model, body, at)


def read_of(*rows, started_at=SETTLED_AT + 1, back_to=SENT_AT, complete=True, failed=""):
    """An ended read that shows these rows; rows without an id are nameless."""
    return HistoryRead(
        started_at,
        back_to,
        rows={shown.request_id: shown for shown in rows if shown.request_id},
        nameless={shown for shown in rows if not shown.request_id},
        complete=complete and not failed,
        failed=failed,
    )


def policy(**changes):
    return replace(Policy(SETTLED_AT + 2, SETTLE_S), **changes)


def found(*rows, job=CUP, own=None, foreign=(), read=None, **changes):
    """The finding about one job, with a control of ours in the list unless told otherwise."""
    own = {CONTROL_ID: CONTROL} if own is None else own
    shown = read or read_of(*rows, CONTROL_ROW)
    changes = {"reads": {1: Reads(begun_at=UNCLEAR_AT)}, **changes}
    (finding,) = decide([job], shown, own, frozenset(foreign), policy(**changes))
    assert finding.job is job
    return finding


# ------------------------------------------------------------------ adoption


def test_a_row_with_the_same_body_in_the_right_time_is_a_candidate():
    finding = found(row())

    assert (finding.decision, finding.request_id) == (Decision.CANDIDATE, "r-1")


def test_positive_evidence_counts_at_once_and_also_from_a_read_that_broke_off():
    early = read_of(row(), started_at=UNCLEAR_AT + 3, failed="HTTP 502")

    assert found(read=early, own={}).decision is Decision.CANDIDATE


@pytest.mark.parametrize(
    ("shown", "why"),
    [
        (row(at=SENT_AT - SKEW_S - 1), "before the POST"),
        (row(at=SETTLED_AT + SKEW_S + 1), "long after it"),
        (row(at=None), "no time"),
        (row(body=OTHER_BODY), "another body"),
        (row(body=""), "no body"),
        (row(model="flux-max"), "another model"),
        (row(model=""), "no model"),
        (row(id_=""), "no id"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_row_that_differs_is_never_adopted(shown, why):
    assert found(shown).decision is not Decision.CANDIDATE, why


@pytest.mark.parametrize("at", [SENT_AT - SKEW_S, SENT_AT, SETTLED_AT + SKEW_S])
def test_the_time_of_a_candidate_has_some_slack(at):
    assert found(row(at=at)).decision is Decision.CANDIDATE


@pytest.mark.parametrize("skew_s", [-7200.0, -300.0, 0.0, 300.0, 86_400.0])
def test_times_are_compared_on_the_services_clock(skew_s):
    shown = read_of(
        row(at=SENT_AT + skew_s + 1),
        replace(CONTROL_ROW, created_at=UNCLEAR_AT + skew_s + 31),
        back_to=SENT_AT + skew_s,
    )

    assert found(read=shown, skew_s=skew_s).decision is Decision.CANDIDATE
    if skew_s:
        assert found(read=shown).decision is not Decision.CANDIDATE


@pytest.mark.parametrize(
    ("sent", "shown"), [('{"scale":3.0}', '{"scale":3}'), ('{"scale":3}', '{"scale":3}')]
)
def test_a_number_may_have_lost_its_fraction_on_the_way(sent, shown):
    assert found(row(body=shown), job=replace(CUP, body=sent)).decision is Decision.CANDIDATE


@pytest.mark.parametrize(
    "spent",
    [
        {"own": {CONTROL_ID: CONTROL, "r-1": OwnRequest("flux-pro", BODY, SENT_AT)}},
        {"foreign": {"r-1"}},
        {"spoken_for": frozenset({"r-1"})},
    ],
    ids=str,
)
def test_a_row_that_is_somebodys_already_is_no_candidate(spent):
    assert found(row(), **spent).decision is not Decision.CANDIDATE


def test_the_earliest_of_several_rows_comes_first():
    shown = [row("late", SENT_AT + 9), row("early", SENT_AT + 1), row("later", SENT_AT + 99)]

    assert found(*shown).request_id == "early"


@pytest.mark.parametrize(("job_count", "row_count"), [(1, 3), (2, 2), (3, 1), (3, 0), (4, 9)])
def test_k_equal_jobs_share_m_rows(job_count, row_count):
    jobs = [replace(CUP, key=key, sent_at=SENT_AT + key) for key in range(job_count, 0, -1)]
    rows = [row(f"r-{number}", SENT_AT + number) for number in range(row_count)]

    findings = decide(
        jobs, read_of(*rows, CONTROL_ROW), {CONTROL_ID: CONTROL}, frozenset(), policy()
    )

    candidates = [finding for finding in findings if finding.decision is Decision.CANDIDATE]
    assert len(findings) == job_count
    assert len({finding.request_id for finding in candidates}) == min(job_count, row_count)
    assert [finding.job.key for finding in candidates] == list(range(1, len(candidates) + 1))
    # What is left is as good as absent: equal bodies make no difference which of them was lost.
    assert {finding.decision for finding in findings if finding not in candidates} <= {
        Decision.ABSENT
    }


def test_jobs_sent_at_the_same_instant_have_an_order_too():
    jobs = [replace(CUP, key=key) for key in (2, 1)]

    first, second = decide(jobs, read_of(row(), CONTROL_ROW), {CONTROL_ID: CONTROL}, frozenset(),
                           policy())  # fmt: skip

    assert (first.job.key, first.decision) == (1, Decision.CANDIDATE)
    assert (second.job.key, second.decision) == (2, Decision.ABSENT)


def test_a_row_that_only_the_later_of_two_equal_jobs_fits_is_no_shadow_on_the_earlier():
    later = replace(CUP, key=2, sent_at=NOW - 100, unclear_at=NOW - 95)
    shown = read_of(row(at=NOW - 90), CONTROL_ROW, started_at=NOW + 100)

    findings = decide([CUP, later], shown, {CONTROL_ID: CONTROL}, frozenset(),
                      policy(now=NOW + 101))  # fmt: skip

    assert {finding.job.key: finding.decision for finding in findings} == {
        1: Decision.ABSENT,
        2: Decision.CANDIDATE,
    }


# ------------------------------------------------------------------ a twin under way


def test_a_row_that_may_be_of_a_post_under_way_is_not_taken_from_it():
    """Its id is not in the ledger yet: the twin would lose its own acknowledgement."""
    posting = {("flux-pro", BODY): NOW - 20.0}

    finding = found(row(at=NOW - 19), job=replace(CUP, unclear_at=NOW - 150), posting=posting)

    assert (finding.decision, finding.unlisted) == (Decision.WAIT, False)
    assert finding.look_at == pytest.approx(SETTLED_AT + 2 + LATER_READS_S)


@pytest.mark.parametrize(
    "posting",
    [
        {("flux-pro", OTHER_BODY): SENT_AT},
        {("flux-max", BODY): SENT_AT},
        {("flux-pro", BODY): SENT_AT + SKEW_S + 2},
    ],
    ids=["another body", "another model", "sent after the row was created"],
)
def test_other_posts_under_way_do_not_matter(posting):
    assert found(row(), posting=posting).decision is Decision.CANDIDATE


@pytest.mark.parametrize("at", [None, SETTLED_AT + SKEW_S + 1])
def test_a_row_that_may_be_of_a_post_under_way_spoils_nothing_for_good(at):
    posting = {("flux-pro", BODY): SENT_AT}

    assert found(row(at=at), posting=posting).decision is Decision.WAIT
    assert found(row(at=at)).decision is Decision.SET_ASIDE


# ------------------------------------------------------------------ absence


def test_absence_is_proved_by_a_complete_late_read_with_a_later_submit_of_ours():
    finding = found()

    assert (finding.decision, finding.reason) == (
        Decision.ABSENT, "not in the account's history",
    )  # fmt: skip


STRANGE_CONTROLS = [
    (replace(CONTROL, sent_at=UNCLEAR_AT), CONTROL_ROW, "not later than the doubt"),
    (replace(CONTROL, sent_at=SETTLED_AT - 1), CONTROL_ROW, "what is in doubt may arrive later"),
    (replace(CONTROL, sent_at=UNCLEAR_AT - 60), CONTROL_ROW, "earlier"),
    (CONTROL, replace(CONTROL_ROW, request_id="stranger"), "not in the list"),
    (CONTROL, replace(CONTROL_ROW, body='{"prompt":"a jug","seed":7}'), "the body is changed"),
    (CONTROL, replace(CONTROL_ROW, body=""), "the body is hidden"),
    (CONTROL, replace(CONTROL_ROW, model="Flux Pro"), "the model has another name"),
    (CONTROL, replace(CONTROL_ROW, model=""), "the model is not told"),
    (CONTROL, replace(CONTROL_ROW, created_at=None), "times cannot be read"),
    (CONTROL, replace(CONTROL_ROW, created_at=SETTLED_AT + 1 + 19_800), "another time zone"),
    (CONTROL, replace(CONTROL_ROW, created_at=SETTLED_AT + 1 - 1800), "a zone to the west"),
]


@pytest.mark.parametrize(
    ("sent", "shown", "why"), STRANGE_CONTROLS, ids=[c[2] for c in STRANGE_CONTROLS]
)
def test_a_history_that_does_not_tell_our_own_as_sent_proves_nothing(sent, shown, why):
    finding = found(own={CONTROL_ID: sent}, read=read_of(shown), more_to_come=False)

    assert finding.decision is Decision.SET_ASIDE, why


@pytest.mark.parametrize(
    ("late_s", "decision"),
    [
        (-SKEW_S - 1, Decision.SET_ASIDE),
        (-SKEW_S, Decision.ABSENT),
        (0.0, Decision.ABSENT),
        (CONTROL_LATE_S + SKEW_S, Decision.ABSENT),
        (CONTROL_LATE_S + SKEW_S + 1, Decision.SET_ASIDE),
    ],
)
def test_a_control_stands_where_the_clock_says(late_s, decision):
    shown = read_of(replace(CONTROL_ROW, created_at=CONTROL.sent_at + late_s))

    assert found(read=shown, more_to_come=False).decision is decision


def test_a_control_that_another_clock_dated_ahead_of_the_read_proves_nothing():
    """It may have left before the POST: a process before this one had a clock that was fast."""
    ahead_s = 3600.0
    own = {CONTROL_ID: replace(CONTROL, sent_at=CONTROL.sent_at + ahead_s)}

    shown = read_of(CONTROL_ROW, back_to=SENT_AT - ahead_s)
    finding = found(read=shown, own=own, skew_s=-ahead_s, more_to_come=False)

    assert finding.decision is Decision.SET_ASIDE


def test_a_clock_that_was_misread_proves_nothing():
    """A cached answer with an old `Date` moves the whole window away from the row."""
    shown = read_of(row(), CONTROL_ROW, back_to=SENT_AT - 3600)

    assert found(read=shown, skew_s=-3600.0, more_to_come=False).decision is Decision.SET_ASIDE


def test_a_clock_that_was_misread_only_when_the_read_began_proves_nothing():
    shown = read_of(CONTROL_ROW, back_to=SENT_AT + 3600)

    assert found(read=shown, more_to_come=False).decision is Decision.SET_ASIDE


def test_what_lies_before_the_days_the_service_lists_is_not_absent():
    old = replace(CUP, sent_at=NOW - 40 * DAY_S)
    shown = read_of(CONTROL_ROW, back_to=old.sent_at)

    finding = found(job=old, read=shown, more_to_come=False)

    assert finding.decision is Decision.SET_ASIDE
    assert "but not back to this submit" in finding.reason


@pytest.mark.parametrize(
    ("shown", "why"),
    [
        (row(at=None), "no time"),
        (row(id_=""), "no id"),
        (row(model=""), "no model"),
        (row(body=""), "no body"),
        (row(id_="", body="", at=None, model=""), "nothing at all"),
        (row(at=SETTLED_AT + SKEW_S + 1), "it came very late"),
        (row(body="", at=SETTLED_AT + SKEW_S + CONTROL_LATE_S), "no body, as late as a control"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_row_that_may_be_it_casts_a_shadow(shown, why):
    finding = found(shown)

    assert finding.decision is Decision.SET_ASIDE, why
    assert "may be it" in finding.reason


@pytest.mark.parametrize(
    ("shown", "why"),
    [
        (row(at=SENT_AT - SKEW_S - 1), "before the POST"),
        (row(body=OTHER_BODY), "another body"),
        (row(model="flux-max"), "another model"),
        (row(body="", model="flux-max"), "no body, another model"),
        (row(body="", at=SENT_AT - SKEW_S - 1), "no body, before the POST"),
        (row(body="", at=SETTLED_AT + SKEW_S + CONTROL_LATE_S + 1), "no body, long after it"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_row_that_cannot_be_it_casts_none(shown, why):
    assert found(shown).decision is Decision.ABSENT, why


def test_an_equal_request_of_a_team_mate_spoils_the_proof():
    assert found(row(), foreign={"r-1"}).decision is Decision.SET_ASIDE


def test_a_team_mates_hidden_body_does_not():
    assert found(row(body=""), foreign={"r-1"}).decision is Decision.ABSENT


def test_our_own_rows_cast_no_shadow():
    own = {CONTROL_ID: CONTROL, "r-1": OwnRequest("flux-pro", BODY, SENT_AT)}

    assert found(row(), own=own).decision is Decision.ABSENT
    assert found(row(at=None), spoken_for=frozenset({"r-1"})).decision is Decision.ABSENT


@pytest.mark.parametrize("complete", [True, False])
def test_an_accepted_post_is_never_absent(complete):
    accepted = replace(CUP, doubt=Doubt.ACCEPTED)
    shown = read_of(CONTROL_ROW, complete=complete, failed="" if complete else "HTTP 502")

    for now in (SETTLED_AT + 2, SETTLED_AT + GRACE_S, SETTLED_AT + 9 * GRACE_S):
        for silent in (True, False):
            finding = found(job=accepted, read=shown, now=now, silent=silent)
            assert finding.decision in {Decision.SET_ASIDE, Decision.WAIT}
            assert not finding.unlisted, "it was accepted: it takes a place"


# ------------------------------------------------------------------ patience


@pytest.mark.parametrize("started_at", [UNCLEAR_AT, SETTLED_AT - 0.1])
def test_before_the_settle_time_absence_means_nothing(started_at):
    """What counts is when the read began: it may have passed the place before the POST arrived."""
    finding = found(read=read_of(CONTROL_ROW, started_at=started_at), now=SETTLED_AT + 60)

    assert (finding.decision, finding.unlisted) == (Decision.WAIT, False)


def test_the_settle_time_over_is_over():
    assert found(read=read_of(CONTROL_ROW, started_at=SETTLED_AT)).decision is Decision.ABSENT


@pytest.mark.parametrize(
    ("over_s", "changes", "decision", "unlisted"),
    [
        (2, {}, Decision.WAIT, True),
        (PATIENCE_S - 1, {}, Decision.WAIT, True),
        (PATIENCE_S, {}, Decision.SET_ASIDE, False),
        (2, {"more_to_come": False}, Decision.SET_ASIDE, False),
        (2, {"more_to_come": False, "acked": LATER_ACK}, Decision.WAIT, True),
        (PATIENCE_S, {"more_to_come": False, "acked": LATER_ACK}, Decision.SET_ASIDE, False),
        (2, {"more_to_come": False, "acked": EARLIER_ACK}, Decision.SET_ASIDE, False),
    ],
)
def test_a_later_submit_of_ours_is_waited_for_as_long_as_one_may_come(
    over_s, changes, decision, unlisted
):
    finding = found(read=read_of(), now=SETTLED_AT + over_s, **changes)

    assert (finding.decision, finding.unlisted) == (decision, unlisted)
    if decision is Decision.WAIT:
        assert finding.look_at == SETTLED_AT + over_s + LATER_READS_S
    else:
        assert finding.reason == (
            "answer lost; the history was read once, complete back to 2027-01-15 07:53 UTC: "
            "it shows neither this submit nor one of ours from after the settle time"
        )


OLD = replace(CUP, sent_at=SENT_AT - DAY_S, unclear_at=UNCLEAR_AT - DAY_S)


@pytest.mark.parametrize("doubt", [Doubt.OPEN, Doubt.SERVER_ERROR])
@pytest.mark.parametrize("failed", ["", "HTTP 502"])
def test_a_doubt_of_an_earlier_process_is_looked_at_as_patiently_as_one_of_now(doubt, failed):
    """The first read is not its last: it may fail, and the later submits are yet to come."""
    shown = read_of(failed=failed, back_to=OLD.sent_at)
    job = replace(OLD, doubt=doubt)

    first = found(job=job, read=shown, own={}, reads={})
    last = found(
        job=job, read=shown, own={}, reads={1: first.reads}, now=SETTLED_AT + 1 + PATIENCE_S
    )

    assert first.decision is Decision.WAIT
    assert last.decision is not Decision.WAIT


def test_a_silent_history_is_not_waited_for_anew_by_every_process():
    """Each may be stopped before its patience ends: then no doubt ever would."""
    shown = read_of(failed="HTTP 401", back_to=OLD.sent_at)

    assert found(job=OLD, read=shown, reads={}, silent=True).decision is Decision.SET_ASIDE


FAILED = [
    (Doubt.OPEN, 2, False, Decision.WAIT),
    (Doubt.OPEN, GRACE_S, False, Decision.WAIT),
    (Doubt.OPEN, PATIENCE_S, False, Decision.SET_ASIDE),
    (Doubt.OPEN, GRACE_S, True, Decision.SET_ASIDE),
    (Doubt.ACCEPTED, 2, False, Decision.WAIT),
    (Doubt.ACCEPTED, GRACE_S, True, Decision.SET_ASIDE),
    (Doubt.SERVER_ERROR, 2, True, Decision.WAIT),
    (Doubt.SERVER_ERROR, GRACE_S, True, Decision.ABSENT),
    (Doubt.SERVER_ERROR, GRACE_S, False, Decision.WAIT),
    (Doubt.SERVER_ERROR, PATIENCE_S - 1, False, Decision.WAIT),
    (Doubt.SERVER_ERROR, PATIENCE_S, False, Decision.SET_ASIDE),
]


@pytest.mark.parametrize(("doubt", "over_s", "silent", "decision"), FAILED)
def test_a_failed_read_and_a_silent_history_are_two_things(doubt, over_s, silent, decision):
    """The documented rule (a 5xx was not accepted) holds where history is silent, not where one
    page of it had a hiccup."""
    doubtful = replace(CUP, doubt=doubt)
    shown = read_of(CONTROL_ROW, failed="HTTP 502")

    finding = found(job=doubtful, read=shown, now=SETTLED_AT + over_s, silent=silent)

    assert (finding.decision, finding.unlisted) == (decision, False)
    if decision is Decision.SET_ASIDE:
        assert finding.reason == (
            "answer lost; the history was read once, the last time in vain: HTTP 502"
        )


# ------------------------------------------------------------------ workflows

FLOW = f"{WORKFLOWS}portrait"
ASKED = replace(CUP, model=FLOW)
OF_FLOW = OwnRequest(FLOW, OTHER_BODY, SETTLED_AT)


@pytest.mark.parametrize("name", [FLOW, "portrait"])
def test_the_history_may_call_a_workflow_by_its_path_or_by_its_slug(name):
    finding = found(row(model=name), job=ASKED)

    assert (finding.decision, finding.request_id) == (Decision.CANDIDATE, "r-1")


def test_a_row_of_the_same_body_under_another_name_may_be_the_workflow():
    finding = found(row(model="My portraits"), job=ASKED, now=SETTLED_AT + 2 * PATIENCE_S)

    assert finding.decision is Decision.SET_ASIDE
    assert "may be it" in finding.reason


@pytest.mark.parametrize("name", [FLOW, "portrait"])
def test_only_a_workflow_vouches_for_a_workflow(name):
    """A history that lists models need not list workflows, and the other way round."""
    shown = read_of(CONTROL_ROW, replace(CONTROL_ROW, request_id="flow", model=name))
    both = {CONTROL_ID: CONTROL, "flow": OF_FLOW}

    assert found(read=shown, own=both, job=ASKED).decision is Decision.ABSENT
    assert found(read=shown, own={CONTROL_ID: CONTROL}, job=ASKED).decision is Decision.WAIT
    assert found(read=shown, own={"flow": OF_FLOW}).decision is Decision.WAIT
    assert found(read=shown, own=both).decision is Decision.ABSENT


@pytest.mark.parametrize(
    ("doors", "decision"), [({"flow": "workflows/v2"}, Decision.ABSENT), ({}, Decision.WAIT)]
)
def test_a_workflow_that_is_not_listed_says_nothing_about_a_lag_of_models(doors, decision):
    """A 5xx, twice not listed: believed, unless the history lacks an older submit of ours."""
    refused = replace(CUP, doubt=Doubt.SERVER_ERROR)
    control = replace(CONTROL, sent_at=SENT_AT - 2)
    shown = read_of(
        replace(CONTROL_ROW, created_at=SENT_AT - 1),
        started_at=SETTLED_AT + 1 + SETTLE_S,
        back_to=SENT_AT - 10,
    )
    policies = {
        "acked": [(SENT_AT - 2, CONTROL_ID), (SENT_AT - 1, "flow")],
        "doors": doors,
        "reads": {1: Reads(4, UNCLEAR_AT, SETTLED_AT + 1)},
        "now": SETTLED_AT + 2 + SETTLE_S,
    }

    finding = found(job=refused, read=shown, own={CONTROL_ID: control}, **policies)

    assert finding.decision is decision


# ------------------------------------------------------------------ documented as not accepted

REFUSED = replace(CUP, doubt=Doubt.SERVER_ERROR, reason="HTTP 503")
ONCE = {1: Reads(4, UNCLEAR_AT, SETTLED_AT + 1)}
"""One complete read did not show it; the history was read four times."""
TWICE_AT = SETTLED_AT + 1 + SETTLE_S
STRANGER = row("stranger", body='{"prompt":"a jug","seed":7}')
OWN_EARLIER = OwnRequest("flux-pro", OTHER_BODY, SENT_AT - 20)
OWN_EARLIER_ROW = HistoryRow("earlier", "flux-pro", OTHER_BODY, SENT_AT - 19)


def found_again(*rows, at=TWICE_AT, reads=ONCE, job=REFUSED, read=None, **changes):
    """What one more read without a later submit of ours says."""
    shown = read or read_of(*rows, started_at=at)
    evidence = {"own": {}, "more_to_come": False, "now": at + 1, "reads": reads, **changes}
    return found(job=job, read=shown, **evidence)


def test_a_5xx_that_two_complete_reads_do_not_show_was_not_accepted():
    finding = found_again()

    assert finding.decision is Decision.ABSENT
    assert finding.reason == (
        "HTTP 503; documented as not accepted, the history was read 5 times and does not show it"
    )


@pytest.mark.parametrize("at", [SETTLED_AT, SETTLED_AT + 1, TWICE_AT - 0.1])
@pytest.mark.parametrize("reads", [{}, ONCE], ids=["first read", "second"])
def test_one_read_is_not_enough_nor_are_two_at_once(at, reads):
    finding = found_again(at=at, reads=reads)

    assert (finding.decision, finding.unlisted) == (Decision.WAIT, True)
    assert finding.reads.absent_since == (SETTLED_AT + 1 if reads else at)


@pytest.mark.parametrize("doubt", [Doubt.OPEN, Doubt.ACCEPTED])
def test_no_number_of_reads_makes_up_for_what_is_not_documented(doubt):
    finding = found_again(job=replace(CUP, doubt=doubt))

    assert finding.decision is Decision.SET_ASIDE


@pytest.mark.parametrize("at", [TWICE_AT, SETTLED_AT + PATIENCE_S])
@pytest.mark.parametrize(
    "evidence",
    [
        {"read": read_of(started_at=TWICE_AT, back_to=SENT_AT + 3600)},
        {"read": read_of(row(at=SENT_AT - 3600), started_at=TWICE_AT)},
        {"read": read_of(STRANGER, started_at=TWICE_AT)},
        {"acked": [(SENT_AT - 20, "earlier"), (TWICE_AT - 1, "too young")]},
        {"acked": [(SENT_AT + 90, "later")]},
    ],
    ids=["not back to it", "the clock is not sure", "a row in disguise", "lags", "lags behind it"],
)
def test_a_read_that_may_not_show_it_takes_back_what_an_earlier_one_seemed_to_say(evidence, at):
    finding = found_again(**{"now": at, **evidence})

    assert finding.decision is (Decision.WAIT if at == TWICE_AT else Decision.SET_ASIDE)
    assert finding.reads == Reads(5, UNCLEAR_AT, 0.0)


@pytest.mark.parametrize(
    "evidence",
    [
        {"rows": [STRANGER, OWN_EARLIER_ROW], "own": {"earlier": OWN_EARLIER}},
        {"rows": [row(at=SENT_AT - 3600), OWN_EARLIER_ROW], "own": {"earlier": OWN_EARLIER}},
        {"rows": [STRANGER], "foreign": {"stranger"}},
        {"rows": [OWN_EARLIER_ROW], "own": {"earlier": OWN_EARLIER},
         "acked": [(SENT_AT - 20, "earlier"), (TWICE_AT - 1, "too young")]},
        {"acked": [(SENT_AT - 7200, "long ago")]},
    ],
    ids=["bodies are told as sent", "times are too", "a team-mate's", "has caught up", "not asked"],
)  # fmt: skip
def test_what_does_not_stand_in_the_way(evidence):
    assert found_again(*evidence.pop("rows", ()), **evidence).decision is Decision.ABSENT


def test_a_read_that_failed_takes_nothing_back():
    broken = read_of(started_at=TWICE_AT - 60, failed="HTTP 502")

    assert found_again(read=broken).reads == Reads(5, UNCLEAR_AT, SETTLED_AT + 1)
    # At the end of all patience once is enough: none would be, were the history silent.
    ended = found_again(read=broken, now=SETTLED_AT + PATIENCE_S)
    assert ended.decision is Decision.ABSENT


# How much speaks for absence; what comes later says more.
NONE = {1: Reads(3, UNCLEAR_AT)}
SILENT = {"read": read_of(failed="HTTP 502"), "silent": True, "reads": NONE}
NOT_SHOWN_THEN_SILENT = {**SILENT, "reads": ONCE}
NOT_SHOWN_TWICE = {"reads": ONCE}
NOT_SHOWN_BESIDE_AN_EARLIER = {
    "rows": [OWN_EARLIER_ROW], "own": {"earlier": OWN_EARLIER}, "reads": ONCE,
}  # fmt: skip
NOT_SHOWN_BESIDE_A_LATER = {"rows": [CONTROL_ROW], "own": {CONTROL_ID: CONTROL}, "reads": ONCE}
EVIDENCE = [
    SILENT,
    NOT_SHOWN_THEN_SILENT,
    NOT_SHOWN_TWICE,
    NOT_SHOWN_BESIDE_AN_EARLIER,
    NOT_SHOWN_BESIDE_A_LATER,
]
TIMIDITY = [Decision.ABSENT, Decision.WAIT, Decision.SET_ASIDE]


@given(
    st.floats(TWICE_AT, TWICE_AT + 2 * GRACE_S + 2 * SETTLE_S),
    st.sampled_from([Doubt.OPEN, Doubt.SERVER_ERROR]),
    st.booleans(),
)
def test_more_evidence_of_absence_never_decides_more_timidly(at, doubt, more_to_come):
    doubtful = replace(CUP, doubt=doubt)

    decisions = []
    for evidence in EVIDENCE:
        rows = evidence.get("rows", ())
        others = {name: value for name, value in evidence.items() if name != "rows"}
        finding = found_again(
            *rows, at=at, job=doubtful, **{"more_to_come": more_to_come, **others}
        )
        decisions.append(TIMIDITY.index(finding.decision))

    if doubt is Doubt.SERVER_ERROR:
        assert decisions == sorted(decisions, reverse=True)
        assert Decision.SET_ASIDE not in {TIMIDITY[place] for place in decisions}
    assert decisions[-1] == TIMIDITY.index(Decision.ABSENT)


@given(st.floats(SETTLED_AT, SETTLED_AT + 3600))
def test_a_5xx_that_nothing_shows_is_submitted_again_whenever_it_is_looked_for(first_at):
    """Read after read, as the run does: whatever the instants, it ends as not accepted."""
    at, reads = first_at, {}
    for _ in range(40):
        finding = found_again(at=at, reads=reads)
        if finding.decision is not Decision.WAIT:
            break
        at, reads = finding.look_at, {1: finding.reads}

    assert finding.decision is Decision.ABSENT
    assert at <= first_at + SETTLE_S + 2 * LATER_READS_S


@pytest.mark.parametrize(
    ("after_s", "next_s"),
    [
        (0.0, FIRST_READS_S[0]),
        (3.0, FIRST_READS_S[1]),
        (29.9, 30.0),
        (30.0, 60.0),
        (60.0, SETTLE_S),
        (119.5, 120.5),
        (500.0, 501.0),
    ],
)
def test_when_the_history_is_asked_next(after_s, next_s):
    now = UNCLEAR_AT + after_s

    assert next_read_at(CUP, policy(now=now)) == pytest.approx(UNCLEAR_AT + next_s)


@given(st.floats(0, 1e4), st.floats(0, 600))
def test_the_next_read_is_never_now_and_never_misses_the_settle_time(after_s, settle_s):
    asked = policy(now=UNCLEAR_AT + after_s, settle_s=settle_s)

    at = next_read_at(CUP, asked)

    assert at > asked.now
    assert at <= max(UNCLEAR_AT + settle_s, asked.now + 1.0)


@pytest.mark.parametrize(
    ("api", "request_id", "needed"),
    [
        (Mode.BLOCKING, "r-1", True),
        (Mode.BLOCKING, "", False),
        (Mode.QUEUED, "r-1", False),
        (Mode.QUEUED, "", False),
    ],
)
def test_only_a_v1_post_that_told_its_id_is_looked_up_by_it(api, request_id, needed):
    assert needs_lookup(replace(CUP, api=api, request_id=request_id)) is needed


# ------------------------------------------------------------------ the adversary


def mangled(draw, true_row):
    """A row as a history of unknown habits may show it: something may be missing or other."""
    habit = draw(st.sampled_from(["as sent", "no id", "no time", "no body", "no model"]))
    changes = {
        "as sent": {},
        "no id": {"request_id": ""},
        "no time": {"created_at": None},
        "no body": {"body": ""},
        "no model": {"model": ""},
    }[habit]
    return replace(true_row, **changes)


@st.composite
def worlds(draw):
    """An accepted POST, its true row in a list of a history with habits, seen by a read."""
    zone_s = draw(st.sampled_from([0.0, 0.0, 0.0, 19_800.0, -3600.0]))
    skew_s = draw(st.sampled_from([0.0, 500.0, -7200.0]))
    name = draw(st.sampled_from(["flux-pro", "flux-pro", "Flux Pro"]))
    arrived_s = draw(st.floats(0, SETTLE_S))
    shift_s = zone_s + skew_s
    true_row = HistoryRow("true", name, BODY, SENT_AT + arrived_s + shift_s)
    control = HistoryRow(CONTROL_ID, name, OTHER_BODY, CONTROL.sent_at + 1 + shift_s)
    rows = [mangled(draw, true_row)]
    if draw(st.booleans()):
        rows.append(control)
    rows += [
        row(f"mate-{number}", SENT_AT + at + shift_s, model=name)
        for number, at in enumerate(draw(st.lists(st.floats(-999, 999), max_size=3)))
    ]
    known_skew_s = draw(st.sampled_from([skew_s, skew_s, 0.0]))
    shown = read_of(
        *(draw(st.permutations(rows))),
        started_at=SETTLED_AT + draw(st.floats(0, 300)),
        back_to=SENT_AT + draw(st.sampled_from([skew_s, known_skew_s])),
        complete=draw(st.booleans()),
    )
    foreign = frozenset(f"mate-{n}" for n in range(3) if draw(st.booleans()))
    doubt = draw(st.sampled_from([Doubt.OPEN, Doubt.ACCEPTED, Doubt.SERVER_ERROR]))
    asked = policy(
        now=shown.started_at + 5, skew_s=known_skew_s, silent=draw(st.booleans()),
        more_to_come=draw(st.booleans()),
        reads={1: Reads(3, UNCLEAR_AT, draw(st.sampled_from([0.0, SETTLED_AT - SETTLE_S])))},
    )  # fmt: skip
    return replace(CUP, doubt=doubt), shown, foreign, asked


@given(worlds())
def test_no_habit_of_the_history_makes_an_accepted_post_absent(world):
    """The one thing that must not happen: absence is what is paid for twice."""
    doubtful, shown, foreign, asked = world

    (finding,) = decide([doubtful], shown, {CONTROL_ID: CONTROL}, foreign, asked)

    assert finding.decision is not Decision.ABSENT


@given(st.lists(st.tuples(st.integers(1, 3), st.floats(0, 300)), min_size=1, max_size=5), st.data())
def test_no_two_jobs_are_given_the_same_row(sent, data):
    jobs = [
        replace(CUP, key=key, body=f'{{"n":{body}}}', sent_at=SENT_AT + at, unclear_at=NOW)
        for key, (body, at) in enumerate(sent, 1)
    ]
    rows = [
        row(f"r-{number}", SENT_AT + at, body=f'{{"n":{body}}}')
        for number, (body, at) in enumerate(
            data.draw(st.lists(st.tuples(st.integers(1, 3), st.floats(-400, 900)), max_size=6))
        )
    ]

    findings = decide(jobs, read_of(*rows), {}, frozenset(), policy(now=NOW + 500))

    given_ids = [f.request_id for f in findings if f.decision is Decision.CANDIDATE]
    bodies = {shown.request_id: shown.body for shown in rows}
    assert len(given_ids) == len(set(given_ids))
    assert sorted(finding.job.key for finding in findings) == [job.key for job in jobs]
    for finding in findings:
        if finding.decision is Decision.CANDIDATE:
            assert bodies[finding.request_id] == finding.job.body
