"""What probes and the disk say, onto the gates of the board."""

from __future__ import annotations

import pytest

from batchgen.core.jobs.events import EventKind as E
from batchgen.core.jobs.job import JobState as S
from batchgen.core.jobs.outcomes import CallKind, Signal
from batchgen.core.jobs.policies import Limits
from batchgen.core.scheduling.effects import Effect
from batchgen.core.scheduling.effects import EffectKind as K
from batchgen.core.scheduling.gates import GateKind
from batchgen.ports import SaveFault
from batchgen.runner.outcome import Landed
from batchgen.runner.probes import DISK_CHECK_S, observe_fault, take_in_probe
from tests.core.builders import NOW, board, event, job


def said(signal):
    return event(E.HELD, job_key=0, call=CallKind.CREDITS, signal=signal, reason=str(signal))


def probed(effect, *, closed=(), **landed):
    made = board()
    made.probing = made.wants_credits = True
    for kind in closed:
        made.gates.close(kind, "held", NOW - 5)
    take_in_probe(made, Landed(Effect(effect), **landed), NOW)
    assert not made.probing
    return made


@pytest.mark.parametrize(
    ("signal", "still_closed"),
    [
        (Signal.OK, set()),
        (Signal.KEY_REFUSED, {GateKind.KEY}),
        (Signal.LOST, {GateKind.KEY, GateKind.OUTAGE}),
    ],
)
def test_a_probe_opens_what_its_answer_disproves(signal, still_closed):
    made = probed(K.PROBE, closed=[GateKind.KEY, GateKind.OUTAGE], event=said(signal))

    assert set(made.gates.closed) == still_closed
    assert all(gate.probe_at > NOW for gate in made.gates.closed.values())


def test_a_probe_that_was_cut_off_opens_nothing():
    assert set(probed(K.PROBE, closed=[GateKind.KEY]).gates.closed) == {GateKind.KEY}


@pytest.mark.parametrize(
    ("effect", "landed", "wanted"),
    [
        (K.CREDITS, {"event": said(Signal.OK)}, False),
        (K.CREDITS, {"event": said(Signal.LOST)}, False),
        (K.CREDITS, {}, True),
        (K.PROBE, {"event": said(Signal.OK)}, True),
    ],
    ids=["answered", "no answer", "cut off", "another probe"],
)
def test_the_account_is_asked_once_unless_the_question_was_cut_off(effect, landed, wanted):
    assert probed(effect, **landed).wants_credits is wanted


def test_room_on_the_disk_opens_its_gate():
    assert not probed(K.CHECK_DISK, closed=[GateKind.DISK]).gates.closed


def test_a_disk_that_is_still_full_is_looked_at_later():
    made = probed(K.CHECK_DISK, closed=[GateKind.DISK], fault=SaveFault.DISK_FULL)

    gate = made.gates.closed[GateKind.DISK]
    assert (gate.probe_at, gate.probes, gate.since_at) == (NOW + DISK_CHECK_S, 1, NOW - 5)


# ------------------------------------------------------------------ faults


SAVE = Effect(K.SAVE, job(S.FETCHING))


def faulty(fault, limits=None, effect=SAVE):
    made = board(limits=limits or Limits())
    observe_fault(made, Landed(effect, fault=fault, detail="it says so"), NOW)
    return made


CLOSES = {
    SaveFault.DISK_FULL: GateKind.DISK,
    SaveFault.STORE_AWAY: GateKind.DISK,
    SaveFault.DISK_BROKEN: GateKind.HALT,
}


@pytest.mark.parametrize("fault", [None, *SaveFault], ids=str)
def test_only_a_fault_of_the_storage_closes_a_gate(fault):
    closed = faulty(fault).gates.closed

    assert set(closed) == ({CLOSES[fault]} if fault in CLOSES else set())
    assert all(gate.reason == "it says so" for gate in closed.values())


@pytest.mark.parametrize(("before", "after"), [(16, 8), (3, 1), (1, 1)])
def test_too_many_open_files_make_downloads_fewer(before, after):
    made = faulty(SaveFault.TOO_MANY_FILES, Limits(save_concurrency=before))
    other = faulty(SaveFault.TRANSIENT, Limits(save_concurrency=before))

    assert (made.limits.save_concurrency, other.limits.save_concurrency) == (after, before)


def test_the_look_at_the_disk_itself_does_not_close_its_gate_anew():
    assert not faulty(SaveFault.DISK_FULL, effect=Effect(K.CHECK_DISK)).gates.closed
