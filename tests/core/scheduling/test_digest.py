"""What effects came to: what counts at once, and what is to be recorded first."""

from __future__ import annotations

import pytest

from batchgen.core.jobs.events import EventKind as E
from batchgen.core.jobs.job import JobState as S
from batchgen.core.jobs.lifecycle import apply
from batchgen.core.jobs.outcomes import CallKind, Response, Signal
from batchgen.core.jobs.placeholders import Content, Uploaded
from batchgen.core.jobs.policies import Limits
from batchgen.core.reconciliation.history import HistoryRow
from batchgen.core.scheduling.effects import (
    DiskOutcome,
    Effect,
    FileTrouble,
    JobOutcome,
    PageOutcome,
    ProbeOutcome,
    StorageTrouble,
    UploadOutcome,
)
from batchgen.core.scheduling.effects import EffectKind as K
from batchgen.core.scheduling.gates.gates import DISK_CHECK_S, GateKind
from tests.core.builders import NOW, event, job, output, saved, scheduler

ONE, TWO = Content("a" * 64, 10), Content("b" * 64, 20)
URL = "https://cdn.example/a.png"


def body(*contents):
    return f'{{"images":[{",".join(f"{chr(34)}{c.placeholder}{chr(34)}" for c in contents)}]}}'


def response(signal, call=CallKind.CREDITS):
    return Response(call, signal, NOW, "" if signal is Signal.OK else str(signal))


def test_an_event_of_a_job_is_to_be_recorded_and_the_job_is_free_again():
    made = scheduler([job(S.SUBMITTED, 1), job(S.SUBMITTED, 2)])
    made.queues.begin(1)
    made.queues.begin(2)
    said = event(E.RUNNING)

    assert made.digest([JobOutcome(1, said)], NOW) == ([said], [])
    assert made.busy == {2}
    assert made.jobs[1].polls == 0, "the state waits for the record"


def test_an_effect_that_was_cut_off_frees_its_job_and_says_nothing():
    made = scheduler([job(S.SUBMITTED)])
    made.queues.begin(1)

    assert made.digest([JobOutcome(1)], NOW) == ([], [])
    assert made.busy == set()


@pytest.mark.parametrize(("denied", "left"), [(True, {}), (False, {1: "r-9"})])
def test_a_denied_candidate_is_dropped(denied, left):
    made = scheduler([job(S.AMBIGUOUS)])
    made.lookups.propose(1, "r-9")

    events, _ = made.digest([JobOutcome(1, event(E.HELD), denied=denied)], NOW)

    assert made.lookups.candidates == left
    assert len(events) == 1


def test_a_page_counts_at_once():
    made = scheduler([job(S.AMBIGUOUS)])
    made.start(Effect(K.READ_HISTORY, counts=False), NOW)
    row = HistoryRow("r-1", "flux-pro", "{}", NOW)

    page = PageOutcome(response(Signal.OK, CallKind.HISTORY), [row])
    assert made.digest([page], NOW) == ([], [])
    assert (made.lookups.fetching, [*made.lookups.read.rows]) == (False, ["r-1"])


def test_a_fault_of_the_disk_closes_its_gate_and_the_event_is_recorded_too():
    made = scheduler([job(S.FETCHING)])
    held = event(E.HELD)

    full = StorageTrouble(GateKind.DISK, "no space left")
    assert made.digest([JobOutcome(1, held, full)], NOW) == ([held], [])
    assert made.gates.closed[GateKind.DISK].reason == "no space left"


# ------------------------------------------------------------------ uploads


def test_an_uploaded_content_is_to_be_recorded_with_its_file():
    made = scheduler([job(body=body(ONE))])
    made.uploads.begin(ONE)
    ok = response(Signal.OK, CallKind.UPLOAD)

    done = UploadOutcome(ONE, URL, "cup.png", ok)
    assert made.digest([done], NOW) == ([], [Uploaded(ONE, URL, NOW, "cup.png")])
    assert made.uploads.under_way == set()
    assert made.jobs[1].body == body(ONE), "the state waits for the record"


def test_a_content_that_cannot_be_had_ends_the_jobs_that_need_it():
    made = scheduler([job(key=1, body=body(ONE)), job(key=2, body=body(TWO)), job(key=3)])

    events, _ = made.digest([UploadOutcome(ONE, lost="cup.png is gone")], NOW)

    assert [(e.kind, e.job_key, e.reason) for e in events] == [(E.NO_INPUT, 1, "cup.png is gone")]


def test_a_job_that_lacks_two_contents_ends_once():
    made = scheduler([job(key=1, body=body(ONE, TWO)), job(key=2, body=body(TWO))])
    gone = [UploadOutcome(ONE, lost="cup.png is gone"), UploadOutcome(TWO, lost="pot.png is gone")]

    events, _ = made.digest(gone, NOW)

    assert [(e.job_key, e.reason) for e in events] == [
        (1, "cup.png is gone"),
        (2, "pot.png is gone"),
    ]


def test_an_upload_without_an_answer_is_tried_again_later():
    made = scheduler([job(body=body(ONE))])
    lost = UploadOutcome(ONE, path="cup.png", response=response(Signal.LOST, CallKind.UPLOAD))

    assert made.digest([lost], NOW) == ([], [])
    assert made.uploads.due_at(ONE) > NOW


def test_events_keep_their_order():
    made = scheduler([job(S.SUBMITTED, key) for key in (1, 2, 3)])
    said = [event(E.RUNNING, job_key=key) for key in (3, 1, 2)]

    assert made.digest([JobOutcome(e.job_key, e) for e in said], NOW) == (said, [])


# ------------------------------------------------------------------ probes


def probed(outcome, *closed):
    made = scheduler(probing=True, wants_credits=True)
    for kind in closed:
        made.gates.close(kind, "held", NOW - 5)
    assert made.digest([outcome], NOW) == ([], [])
    assert not made.probing
    return made


@pytest.mark.parametrize("signal", [Signal.OK, Signal.KEY_REFUSED, Signal.LOST], ids=str)
def test_a_probe_opens_no_gate_that_another_call_closed(signal):
    made = scheduler([job(S.SUBMITTED, key) for key in (1, 2, 3)])
    for key in (1, 2, 3):
        made.gates.observe(Response(CallKind.RESULT, Signal.SERVER_ERROR, NOW - 9), "", key)
    made.gates.observe(Response(CallKind.STATUS, Signal.KEY_REFUSED, NOW - 5))

    made.digest([ProbeOutcome(K.PROBE, response(signal))], NOW)

    assert set(made.gates.closed) == {GateKind.KEY, GateKind.OUTAGE}


def test_a_probe_that_was_cut_off_opens_nothing_and_is_not_asked_for_again():
    made = scheduler(probing=True)
    made.gates.close(GateKind.KEY, "held", NOW - 5)
    made.gates.wants_probe = True

    made.digest([ProbeOutcome(K.PROBE)], NOW)

    assert set(made.gates.closed) == {GateKind.KEY}
    assert not made.gates.wants_probe


# ------------------------------------------------------------------ files

FILES = {"outputs": (output(),)}


def not_brought(made, *keys, at=NOW):
    for key in keys:
        trouble = FileTrouble("cdn.example", "HTTP 503")
        made.digest([JobOutcome(key, event(E.TROUBLE, at, job_key=key), file=trouble)], at)


def test_a_host_that_brings_nothing_for_several_jobs_closes_a_gate_that_says_so():
    made = scheduler([job(S.FETCHING, key, **FILES) for key in (1, 2, 3, 4)])
    not_brought(made, 1, 1, 1, 2)
    assert not made.gates.closed

    not_brought(made, 3)

    assert set(made.gates.closed) == {GateKind.FILES}
    told = made.gates.closed[GateKind.FILES].reason
    assert told == "files of cdn.example cannot be fetched: HTTP 503"


def test_a_file_of_the_host_opens_the_gate():
    made = scheduler([job(S.FETCHING, key, **FILES) for key in (1, 2, 3, 4)])
    not_brought(made, 1, 2, 3)

    made.apply([apply(made.jobs[4], event(E.SAVED, job_key=4, files=(saved(),)))])

    assert not made.gates.closed
    assert not made.hosts.closed


def test_a_host_whose_last_job_left_is_waited_for_no_more():
    made = scheduler([job(S.FETCHING, key, **FILES) for key in (1, 2, 3)])
    not_brought(made, 1, 2, 3)
    made.advance(NOW + 1)
    assert set(made.gates.closed) == {GateKind.FILES}

    for key in (1, 2, 3):
        made.apply([apply(made.jobs[key], event(E.PUT_OFF, job_key=key))])
    made.advance(NOW + 2)

    assert not made.gates.closed


# ------------------------------------------------------------------ the disk


@pytest.mark.parametrize(
    ("outcome", "wanted"),
    [
        (ProbeOutcome(K.CREDITS, response(Signal.OK)), False),
        (ProbeOutcome(K.CREDITS, response(Signal.LOST)), False),
        (ProbeOutcome(K.CREDITS), True),
        (ProbeOutcome(K.PROBE, response(Signal.OK)), True),
    ],
    ids=["answered", "no answer", "cut off", "another probe"],
)
def test_the_account_is_asked_once_unless_the_question_was_cut_off(outcome, wanted):
    assert probed(outcome).wants_credits is wanted


def test_room_on_the_disk_opens_its_gate():
    assert not probed(DiskOutcome(has_space=True), GateKind.DISK).gates.closed


def test_a_look_at_the_disk_that_was_cut_off_opens_nothing():
    assert set(probed(DiskOutcome(), GateKind.DISK).gates.closed) == {GateKind.DISK}


def test_a_disk_that_is_still_full_is_looked_at_later():
    made = probed(DiskOutcome(has_space=False), GateKind.DISK)

    gate = made.gates.closed[GateKind.DISK]
    assert (gate.probe_at, gate.probes, gate.since_at) == (NOW + DISK_CHECK_S, 1, NOW - 5)


# ------------------------------------------------------------------ the storage


@pytest.mark.parametrize("gate", [None, GateKind.DISK, GateKind.STORAGE], ids=str)
def test_a_trouble_of_the_storage_closes_the_gate_it_names(gate):
    made = scheduler([job(S.FETCHING)])

    made.digest([JobOutcome(1, event(E.HELD), StorageTrouble(gate, "it says so"))], NOW)

    assert set(made.gates.closed) == ({gate} if gate else set())
    assert all(closed.reason == "it says so" for closed in made.gates.closed.values())


@pytest.mark.parametrize(("before", "after"), [(16, 8), (3, 1), (1, 1)])
@pytest.mark.parametrize("many", [True, False])
def test_too_many_open_files_make_downloads_fewer(before, after, many):
    made = scheduler([job(S.FETCHING)], limits=Limits(save_concurrency=before))

    made.digest([JobOutcome(1, event(E.HELD), StorageTrouble(None, "said", many))], NOW)

    assert made.limits.save_concurrency == (after if many else before)
