"""What an upload brought: an address, another try, a gate, or the end of the jobs that need it."""

from dataclasses import replace

import pytest

from batchgen.core.jobs.backoff import MAX_BACKOFF_S
from batchgen.core.jobs.events import Event, EventKind
from batchgen.core.jobs.job import JobState
from batchgen.core.jobs.lifecycle import apply
from batchgen.core.jobs.outcomes import TABLE, CallKind, Response, Signal, Treatment
from batchgen.core.jobs.placeholders import Content, Uploaded
from batchgen.core.jobs.policies import Limits, RateScope
from batchgen.core.scheduling.completion import Verdict
from batchgen.core.scheduling.effects import EffectKind, UploadOutcome
from batchgen.core.scheduling.gates.gates import GateKind, Gates, Patience
from batchgen.core.scheduling.gates.refusals import MODEL_PAUSE_S
from batchgen.core.scheduling.planner import plan
from batchgen.core.scheduling.policy import PATIENCE
from batchgen.core.scheduling.prefetch import MODEL_STOCK
from batchgen.core.scheduling.queues import QueueKind
from batchgen.core.scheduling.rates.window import RateWindow
from batchgen.core.scheduling.spending import Money
from batchgen.core.scheduling.uploads import (
    BYTES_AT_ONCE,
    HOPELESS_TRIES,
    UPLOADS_AT_ONCE,
    Trouble,
    UploadQueue,
)
from batchgen.errors import NetFault, TransportError
from batchgen.providers.segmind.uploads import read_upload
from tests.core.builders import NOW, answer, job, scheduler

CONTENT = Content("a" * 64, 10)
NAMING = f'{{"image":"{CONTENT.placeholder}"}}'


@pytest.mark.parametrize(
    "url",
    ["https://cdn.example/a.png", "http://127.0.0.1:80/assets/a.png", "https://x/a?b=c&d=%20"],
)
def test_an_address_is_taken(url):
    word, found = read_upload(answer({"file_urls": [url], "message": "ok"}), NOW)

    assert found == url
    assert (word.call, word.signal) == (CallKind.UPLOAD, Signal.OK)


@pytest.mark.parametrize("key", ["file_urls", "urls", "fileUrls", "file_url", "url"])
@pytest.mark.parametrize("is_list", [True, False])
def test_an_address_has_several_names(key, is_list):
    url = "https://cdn.example/a.png"

    assert read_upload(answer({key: [url] if is_list else url}), NOW)[1] == url


def test_of_several_names_the_documented_one_counts():
    body = {"url": "https://x/old.png", "file_urls": ["https://x/a.png"], "urls": []}

    assert read_upload(answer(body), NOW)[1] == "https://x/a.png"


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        {},
        {"file_urls": []},
        {"file_urls": "", "url": []},
        {"message": "https://x/a.png"},
        {"urls": {"a": "https://x/a.png"}},
        {"file_urls": ["https://x/a.png", "https://x/b.png"]},
        {"file_urls": [7]},
        {"file_urls": ["ftp://x/a.png"]},
        {"file_urls": ["javascript:alert(1)"]},
        {"file_urls": ["https://x/a b.png"]},
        {"file_urls": ["https://user:word@x/a.png"]},
        {"file_urls": ["https://x/\x1b[2J.png"]},
        {"file_urls": ["https://x/" + "a" * 9000]},
        {"file_urls": [CONTENT.placeholder]},
    ],
    ids=str,
)
def test_anything_else_under_a_200_is_no_address(body):
    word, found = read_upload(answer(body), NOW)

    assert found == ""
    assert word.signal is Signal.UNREADABLE


def failed(desk, outcome, times=1):
    """Why the jobs end after so many such outcomes, a minute apart."""
    for number in range(times):
        response, url = read_upload(outcome, NOW + 60.0 * number)
        assert url == ""
        reason = desk.failed(CONTENT, response)
    return reason


LOST = TransportError(NetFault.LOST, "reset")
NOT_SENT = TransportError(NetFault.NOT_SENT, "refused")


@pytest.mark.parametrize(
    ("outcome", "ends"),
    [
        (answer({"error": "too large"}, 413), True),
        (answer({"error": "no"}, 400), True),
        (answer({"detail": "no"}, 422), True),
        (answer(b"", 422), False),
        (answer(b"<html>", 413), False),
        (answer(b"<html>", 403), False),
        (answer(b"", 402), False),
        (answer({"error": "not here"}, 404), False),
        (answer({"error": "not so"}, 405), False),
        (answer(b"", 302), False),
        (answer(b"<html>"), False),
        (answer(b"", 500), False),
        (answer(b"", 504), False),
        (answer(b"", 401), False),
        (answer(b"", 429), False),
        (LOST, False),
        (NOT_SENT, False),
    ],
    ids=str,
)
def test_what_one_outcome_means(outcome, ends):
    assert bool(failed(UploadQueue(), outcome)) is ends


def test_what_cannot_be_read_is_tried_a_few_times():
    assert failed(UploadQueue(), answer(b"<html>"), PATIENCE - 1) == ""
    assert "cannot be read" in failed(UploadQueue(), answer(b"<html>"), PATIENCE)


REFUSED = [
    answer({"error": "not here"}, 404),
    answer({"error": "not so"}, 405),
    answer({"error": "nobody knows"}, 406),
    answer({"error": "gone"}, 410),
    answer(b"<html>too large</html>", 413),
    answer(b"<html>blocked</html>", 403),
    answer(b"", 302),
]


@pytest.mark.parametrize("outcome", REFUSED, ids=lambda refused: str(refused.status))
def test_a_refusal_that_may_be_of_this_content_is_not_tried_for_ever(outcome):
    """A proxy's limit on sizes, say: others pass, and each try sends the whole file."""
    desk = UploadQueue()
    for times in range(1, HOPELESS_TRIES):
        assert failed(desk, outcome) == ""
        wait_s = desk.due_at(CONTENT) - NOW
        assert 0.5 <= wait_s <= min(MAX_BACKOFF_S, 2.0**times)

    desk.last_success_at = NOW + 1.0
    assert failed(desk, outcome) != ""


@pytest.mark.parametrize("outcome", REFUSED, ids=lambda refused: str(refused.status))
def test_a_door_that_takes_no_uploads_closes_their_gate(outcome):
    made = scheduler([naming(1, "a")])
    observe(made, outcome)
    made.uploads.troubles[content("a")] = Trouble(NOW, HOPELESS_TRIES, NOW + 9000.0)

    assert set(made.gates.closed) == {GateKind.UPLOADS}
    assert plan(made, NOW + 7200.0).verdict is Verdict.STOP


@pytest.mark.parametrize(("outcome", "ends"), [(LOST, True), (NOT_SENT, False)], ids=str)
def test_a_fault_that_meets_this_content_alone_is_its_own(outcome, ends):
    desk = UploadQueue(last_success_at=NOW + 1.0)
    assert bool(failed(desk, outcome, 20)) is ends
    assert failed(UploadQueue(), outcome, 20) == ""


def test_a_refusal_of_more_requests_is_waited_out():
    desk = UploadQueue()
    failed(desk, answer(b"", 429, retry_after="30"))
    assert desk.due_at(CONTENT) == NOW + 30.0


def test_a_fault_is_put_off_and_a_gate_is_not():
    desk = UploadQueue()
    failed(desk, LOST)
    assert NOW < desk.due_at(CONTENT) <= NOW + 60.0
    desk = UploadQueue()
    failed(desk, answer(b"", 401))
    assert desk.due_at(CONTENT) == 0.0


@pytest.mark.parametrize("signal", Signal)
def test_every_signal_has_a_treatment_that_uploads_know(signal):
    gates = {Treatment.GATE_KEY, Treatment.GATE_UPLOADS, Treatment.GATE_CREDITS, Treatment.HALT}
    known = {Treatment.PROCEED, Treatment.FINAL, Treatment.RETRY, Treatment.RETRY_THEN_FINAL}
    assert TABLE[signal][CallKind.UPLOAD] in known | gates


def observe(made, outcome, times=3):
    for number in range(times):
        word, _ = read_upload(outcome, NOW + number)
        made.gates.observe(word)


def test_dead_uploads_close_a_gate_that_holds_nothing_else():
    made = scheduler([job(key=1)])
    observe(made, NOT_SENT)

    assert set(made.gates.closed) == {GateKind.UPLOADS}
    assert not made.gates.holds_submits()
    assert not made.gates.holds_calls()
    assert made.gates.without_uploads(NOW + 10.0) is None
    assert made.gates.without_uploads(NOW + 3600.0) is not None

    observe(made, answer({"file_urls": ["https://x/a.png"]}), 1)
    assert not made.gates.closed


def test_the_end_of_a_job_without_its_file_is_a_move_of_the_table():
    change = apply(job(body=NAMING), Event(EventKind.NO_INPUT, 1, NOW, reason="gone"))

    assert change.after.state is JobState.FAILED
    assert change.after.attempt == 0


# ------------------------------------------------------------------ what the planner asks for


def naming(key, *letters, **changes):
    """A pending job that names contents."""
    names = ",".join(f'"{content(letter).placeholder}"' for letter in letters)
    return job(key=key, body=f'{{"images":[{names}]}}', **changes)


def content(letter):
    return Content(letter * 64, 10)


def asked(made):
    """The letters of the uploads that start, then the keys of the submits."""
    decided = plan(made, NOW)
    uploads = [e.content.sha256[0] for e in decided.effects if e.kind is EffectKind.UPLOAD]
    submits = [e.job.key for e in decided.effects if e.kind is EffectKind.SUBMIT]
    return "".join(uploads), submits


def test_a_job_waits_for_its_uploads_and_others_do_not():
    assert asked(scheduler([naming(1, "a", "b"), job(key=2)])) == ("ab", [2])


def test_jobs_that_name_the_same_share_its_upload():
    assert asked(scheduler([naming(1, "a"), naming(2, "a"), naming(3, "b", "a")])) == ("ab", [])


def test_what_is_under_way_is_not_started_again():
    made = scheduler([naming(1, "a"), naming(2, "b")])
    made.uploads.begin(content("a"))
    assert asked(made) == ("b", [])


def test_only_the_next_jobs_are_made_ready():
    ready = [job(key=key) for key in range(10, 20)]
    assert asked(scheduler([naming(1, "a"), *ready], limits=Limits(concurrency=2))) == (
        "",
        [10, 11],
    )
    few = scheduler([naming(1, "a"), *ready[:5]], limits=Limits(concurrency=2))
    assert asked(few) == ("a", [10, 11])
    many = [naming(key, letter) for key, letter in enumerate("abcdef", 1)]
    assert asked(scheduler(many)) == ("abcd", [])


def test_a_content_in_trouble_is_waited_for_and_others_go_first():
    made = scheduler([naming(1, "a"), naming(2, "b")])
    made.uploads.failed(content("a"), Response(CallKind.UPLOAD, Signal.LOST, NOW, "", NOW + 7.0))

    assert asked(made) == ("b", [])
    assert plan(made, NOW).wake_at == NOW + 7.0


@pytest.mark.parametrize("kind", [GateKind.DISK, GateKind.TIME, GateKind.KEY, GateKind.HALT])
def test_nothing_is_uploaded_for_submits_that_are_held(kind):
    made = scheduler([naming(1, "a")])
    made.gates.close(kind, "because", NOW)
    assert asked(made) == ("", [])


@pytest.mark.parametrize(("running", "letters"), [(True, ""), (False, "ab")])
def test_without_credits_files_are_uploaded_only_when_a_submit_may_ask_again(running, letters):
    jobs = [naming(1, "a"), naming(2, "b")]
    jobs += [job(JobState.SUBMITTED, 3, due_at=NOW + 9)] if running else []
    made = scheduler(jobs)
    made.gates.observe(Response(CallKind.SUBMIT, Signal.NO_CREDITS, NOW))

    assert asked(made) == (letters, [])


def test_nothing_is_uploaded_for_a_closed_model_or_without_money():
    made = scheduler([naming(1, "a")])
    for at in (NOW - MODEL_PAUSE_S, NOW):
        made.gates.refusals.refuse_model("flux-pro", "retired", at)
    assert asked(made) == ("", [])
    poor = scheduler([naming(1, "a", price_usd=0.5)], money=Money(cap_usd=0.4))
    assert asked(poor) == ("", [])
    assert plan(poor, NOW).verdict is Verdict.STOP


@pytest.mark.parametrize(("scope", "letters"), [(RateScope.ALL, "a"), (RateScope.SUBMIT, "abc")])
def test_uploads_count_as_requests_where_all_calls_do(scope, letters):
    jobs = [naming(1, "a"), naming(2, "b"), naming(3, "c")]
    made = scheduler(jobs, rate=RateWindow(1), limits=Limits(rate_scope=scope))

    assert asked(made)[0] == letters
    assert all(e.counts is (scope is RateScope.ALL) for e in plan(made, NOW).effects)


def test_an_address_that_is_recorded_makes_jobs_ready():
    made = scheduler([naming(1, "a"), naming(2, "a", "b"), naming(3, "b")])
    made.uploads_done([Uploaded(content("a"), "https://x/a.png", NOW, "a.png")])

    assert made.jobs[1].body == '{"images":["https://x/a.png"]}'
    assert asked(made) == ("b", [1])


def test_a_run_whose_jobs_all_wait_for_dead_uploads_stops():
    made = scheduler([naming(1, "a")])
    observe(made, NOT_SENT)
    refused = Response(CallKind.UPLOAD, Signal.NOT_SENT, NOW, "", NOW + 4000.0)
    made.uploads.failed(content("a"), refused)

    assert plan(made, NOW + 20.0).verdict is Verdict.GO_ON
    decided = plan(made, NOW + 3600.0)
    assert decided.verdict is Verdict.STOP
    assert decided.gate.kind is GateKind.UPLOADS


FULL = Response(CallKind.UPLOAD, Signal.QUOTA_REACHED, NOW, "HTTP 507: full")


def full(jobs, *letters, at=NOW, **parts):
    """The storage refused these contents."""
    made = scheduler(jobs, **parts)
    for letter in letters:
        refuse(made, letter, at)
    return made


def refuse(made, letter, at):
    response = replace(FULL, at=at)
    assert made.digest([UploadOutcome(content(letter), response=response)], at) == ([], [])


def test_a_full_storage_holds_the_jobs_that_need_uploads_and_no_others():
    made = full([naming(1, "a"), naming(2, "b"), job(key=3)], "a")

    assert set(made.gates.closed) == {GateKind.QUOTA}
    assert asked(made) == ("", [3])
    assert plan(scheduler([job(key=3)], gates=made.gates), NOW).verdict is Verdict.GO_ON


def test_a_full_storage_is_asked_again_with_one_file_and_another_one_first():
    """What is called a full storage may be a limit on the one file that was refused."""
    made = full([naming(1, "a"), naming(2, "b")], "a")
    at = plan(made, NOW).wake_at

    (probe,) = plan(made, at).effects
    assert probe.content == content("b")
    made.uploads.begin(probe.content)
    assert plan(made, at).effects == ()


def test_a_full_storage_is_asked_ever_more_rarely():
    made = full([naming(1, "a")], "a")
    waits = [made.gates.closed[GateKind.QUOTA].probe_at - NOW]
    for _ in range(6):
        at = made.gates.closed[GateKind.QUOTA].probe_at
        refuse(made, "a", at)
        waits.append(made.gates.closed[GateKind.QUOTA].probe_at - at)

    assert waits == [60.0, 120.0, 240.0, 480.0, 960.0, 1800.0, 1800.0]
    hasty = full([naming(1, "a")], "a", gates=Gates(Patience(outage_s=2.0)))
    assert hasty.gates.closed[GateKind.QUOTA].probe_at == NOW + 2.0


def test_what_left_before_the_storage_was_known_as_full_is_no_probe():
    made = full([naming(1, "a", "b", "c")], "a", "b", "c")

    assert made.gates.closed[GateKind.QUOTA].probes == 0


def test_a_run_that_only_a_full_storage_keeps_ends_once_it_was_asked_again():
    made = full([naming(1, "a"), naming(2, "b")], "a")
    assert plan(made, NOW).verdict is Verdict.GO_ON
    refuse(made, "b", made.gates.closed[GateKind.QUOTA].probe_at)

    decided = plan(made, NOW + 61.0)
    assert (decided.verdict, decided.gate.kind) == (Verdict.STOP, GateKind.QUOTA)
    busy = scheduler([naming(1, "a"), job(JobState.SUBMITTED, 2)], gates=made.gates)
    assert plan(busy, NOW + 61.0).verdict is Verdict.GO_ON


def test_space_opens_the_gate():
    made = full([naming(1, "a"), naming(2, "b")], "a")
    response = Response(CallKind.UPLOAD, Signal.OK, NOW)
    made.digest([UploadOutcome(content("b"), url="https://x/b.png", response=response)], NOW)

    assert made.gates.are_open


def test_a_file_that_alone_is_refused_for_space_is_given_up_in_the_end():
    """The limit may be one on single files, whatever it is called."""
    desk = UploadQueue(last_success_at=NOW + 1.0)
    reasons = [desk.failed(A, replace(FULL, at=NOW + n)) for n in range(HOPELESS_TRIES)]

    assert reasons == [""] * (HOPELESS_TRIES - 1) + ["HTTP 507: full"]


@pytest.mark.parametrize("kind", [GateKind.QUOTA, GateKind.UPLOADS])
@pytest.mark.parametrize("limit", [None, 75])
def test_jobs_that_wait_for_uploads_keep_none_behind_them_from_being_drawn(kind, limit):
    made = scheduler(all_drawn=False, limits=Limits(concurrency=4))
    made.prefetch.quota = limit
    made.gates.close(kind, "full", NOW)
    record = [naming(key, "a") for key in range(1, 151)] + [job(key=key) for key in range(151, 160)]

    def draw():
        decided, after = plan(made, NOW), made.prefetch.others.last_key
        count = made.prefetch.allowed(decided.draw)
        made.drew(None, [row for row in record if row.key > after][:count], count, NOW)
        return count

    while draw():
        pass

    assert len(made.queues[QueueKind.UPLOAD]) == MODEL_STOCK
    assert asked(made)[1] == [151, 152, 153, 154]
    made.gates.open(kind)
    made.advance(NOW)
    for key in tuple(made.jobs):  # submitted, and done
        made.queues.drop(key)
    record[:] = record[MODEL_STOCK:150]
    draw()
    assert min(made.jobs) == MODEL_STOCK + 1


def test_what_is_under_way_is_brought_to_its_end_first():
    made = scheduler([])
    made.uploads.begin(content("a"))
    assert plan(made, NOW).verdict is Verdict.GO_ON


# ------------------------------------------------------------------ the queue

A, B = Content("a" * 64, 10), Content("b" * 64, 20)


@pytest.mark.parametrize(
    ("out", "size", "takes"),
    [
        ([], BYTES_AT_ONCE * 2, True),
        ([1], BYTES_AT_ONCE, False),
        ([1], BYTES_AT_ONCE - 1, True),
        ([1] * (UPLOADS_AT_ONCE - 1), 1, True),
        ([1] * UPLOADS_AT_ONCE, 1, False),
    ],
)
def test_few_uploads_and_few_bytes_are_under_way(out, size, takes):
    desk = UploadQueue()
    for number, other in enumerate(out):
        desk.begin(Content(f"{number:064x}", other))

    assert desk.takes(Content("f" * 64, size)) is takes


def test_what_was_just_decided_on_counts_as_well():
    assert not UploadQueue().takes(A, {Content(f"{n:064x}", 1) for n in range(UPLOADS_AT_ONCE)})


def test_a_content_is_hopeless_once_others_came_through_meanwhile():
    desk = UploadQueue()
    for n in range(HOPELESS_TRIES):
        desk.failed(A, Response(CallKind.UPLOAD, Signal.LOST, NOW + n))
    assert not desk.is_hopeless(A)

    desk.succeeded([Uploaded(B, "https://x/b.png", NOW + 1, "b.png")])
    assert desk.is_hopeless(A)
    assert not desk.is_hopeless(B)

    desk.forget(A)
    assert not desk.is_hopeless(A)
