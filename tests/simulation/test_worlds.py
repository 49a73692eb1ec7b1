"""The service as it is known to be, played in virtual time: kinds of results, texts, workflows,
credits that are reserved, failures that pass. The list of models is played by `tests/cli`."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from batchgen.core.jobs.job import JobState
from batchgen.core.jobs.policies import Limits, RateScope
from batchgen.core.jobs.spec import Mode
from batchgen.core.media.formats import sniff
from batchgen.core.scheduling.gates.gates import GateKind
from batchgen.providers.segmind.simulator import Endpoint, FaultKind, FaultRule
from batchgen.testing.rehearsal import rehearse
from tests.simulation.cases import played
from tests.simulation.nights import PRICE_USD
from tests.simulation.oracle import violations
from tests.simulation.uploading import naming, path_of, picture
from tests.simulation.worlds import WORKFLOW

S = JobState
MODEL = "flux-kontext-max"
DREW = "I cannot draw that."


def night(count=4, *rules, model=MODEL, api=Mode.QUEUED, plans=None, **settings: Any):
    """A report of jobs of one model, without any violation."""
    scenario = played(count, *rules, plans=plans or {}, **settings)
    specs = [spec._replace(model=model, api=api) for spec in scenario.specs]
    scenario = replace(scenario, specs=specs)
    report = rehearse(scenario)
    assert violations(scenario, report) == []
    return report


def of_first(report):
    """The files of the first job, by what stands behind its stem."""
    stem = report.jobs()[0].stem
    return {
        name.removeprefix(stem): data
        for name, data in report.outputs.files.items()
        if name.startswith(stem)
    }


def rest(report, *states):
    """How many jobs ended in each of these states, and none in another."""
    counts = report.counts()
    assert sum(counts.get(state, 0) for state in states) == len(report.jobs()), dict(counts)
    return tuple(counts.get(state, 0) for state in states)


# ------------------------------------------------------------------ 1.1 and 1.8: money


@pytest.mark.parametrize("status", [402, 406])
@pytest.mark.parametrize("left_usd", [0.0, 0.25])
def test_an_empty_account_holds_its_jobs_whatever_the_code(status, left_usd):
    settings = {"credits_usd": left_usd, "credits_status": status}
    scenario = played(6, models={MODEL: {"price_usd": PRICE_USD}}, **settings)

    report = rehearse(scenario)

    assert report.end.gate.kind is GateKind.CREDITS
    affordable = int(left_usd / PRICE_USD)
    assert len(report.service.ledger.bills) == affordable
    assert rest(report, S.DONE, S.PENDING) == (affordable, 6 - affordable)
    assert report.service.ledger.count(Endpoint.SUBMIT, status) <= 5 * report.processes


def test_credits_that_running_jobs_hold_come_back_with_them():
    """Refused while others run, and enough for one more once they do not."""
    report = night(
        5, models={MODEL: {"price_usd": PRICE_USD}}, credits_usd=0.65, reserved_share=1.0
    )

    assert rest(report, S.DONE) == (5,)
    assert report.service.ledger.count(Endpoint.SUBMIT, 402) >= 1


# ------------------------------------------------------------------ 1.2: which calls count


@pytest.mark.parametrize("scope", list(RateScope))
def test_where_only_submits_count_polls_are_not_refused_and_no_limit_is_broken(scope):
    """The tables of limits contradict each other; polls probably do not count."""
    limits = Limits(concurrency=16, rate_scope=scope)
    report = night(
        30, plans={"limits": limits, "requests_per_minute": 50},
        rate_limit=50, rate_limit_scope="submit", latency_s=5,
    )  # fmt: skip

    assert rest(report, S.DONE) == (30,)
    assert report.service.ledger.count(status=429) == 0


def test_polls_that_count_after_all_are_refused_for_nothing():
    """The other reading: every GET counts, and ours did not know it."""
    limits = Limits(concurrency=16, rate_scope=RateScope.SUBMIT)
    scenario = played(
        30, plans={"limits": limits, "requests_per_minute": 50}, rate_limit=50, latency_s=5
    )

    report = rehearse(scenario)

    assert rest(report, S.DONE) == (30,)
    assert len(report.service.ledger.bills) == 30


# ------------------------------------------------------------------ 1.3: a result asked early


@pytest.mark.parametrize("status", [200, 202, 404, 425])
def test_a_result_that_is_asked_for_too_early_costs_nothing(status):
    """Status polls that fail: the result is asked instead, while the request still runs."""
    silent = FaultRule(where=Endpoint.POLL, kind=FaultKind.HTTP_503)
    report = night(4, silent, early_result=status, latency_s=90)

    assert rest(report, S.DONE) == (4,)
    assert len(report.service.ledger.bills) == 4
    assert report.service.ledger.count(Endpoint.RESULT, status) > (4 if status == 200 else 0)


# ------------------------------------------------------------------ 1.5: the answer to an upload


@pytest.mark.parametrize("key", ["file_urls", "urls", "fileUrls", "url"])
def test_the_address_of_an_upload_is_taken_under_any_name(key):
    scenario = played(3, upload_key=key)
    specs = [naming(spec, [0]) for spec in scenario.specs]
    scenario = replace(scenario, specs=specs, inputs={path_of(0): picture(0)})

    report = rehearse(scenario)

    assert violations(scenario, report) == []
    assert rest(report, S.DONE) == (3,)
    assert report.service.ledger.count(Endpoint.UPLOAD, 200) == 1


# ------------------------------------------------------------------ 1.6: text models


@pytest.mark.parametrize("style", ["openai", "anthropic", "gemini"])
@pytest.mark.parametrize("api", list(Mode))
def test_a_text_model_brings_a_text_and_its_whole_answer_and_nothing_that_it_cites(style, api):
    settings = {"models": {"glot-1": {"shape": "chat", "chat_style": style}}}
    report = night(model="glot-1", api=api, **settings)

    assert rest(report, S.DONE) == (4,)
    files = of_first(report)
    assert set(files) == {".txt", "~answer.json"}
    assert b"cup 0" in files[".txt"]
    assert files[".txt"].decode() in json.dumps(json.loads(files["~answer.json"]))
    assert report.service.ledger.downloads.total() == 0
    receipts = [job.receipt for job in report.jobs()]
    assert {receipt.input_tokens for receipt in receipts} == {12}
    assert all(receipt.output_tokens for receipt in receipts)


# ------------------------------------------------------------------ 1.7: workflows


def test_a_workflow_has_the_life_of_any_job_and_its_files_their_names():
    report = night(model=WORKFLOW, extra_models=[WORKFLOW])

    assert rest(report, S.DONE) == (4,)
    assert {name: sniff(data) and "png" for name, data in of_first(report).items()} == {
        "~portrait.png": "png", "~mask.png": "png", "~caption.txt": None,
    }  # fmt: skip
    assert {bill.model for bill in report.service.ledger.bills} == {WORKFLOW}


@pytest.mark.parametrize("told", ["slug", "path"])
def test_a_workflow_whose_answer_is_lost_is_found_by_either_name(told):
    lost = FaultRule(where=Endpoint.SUBMIT, kind=FaultKind.DROP_AFTER, every=2)
    report = night(
        6, lost, model=WORKFLOW, extra_models=[WORKFLOW], workflow_history=told, history_lag_s=1
    )

    assert rest(report, S.DONE) == (6,)
    assert len(report.service.ledger.bills) == 6


def test_where_the_history_lists_no_workflows_no_model_vouches_for_it():
    """Half of the jobs are a model's, whose later submits the history shows."""
    lost = FaultRule(where=Endpoint.SUBMIT, kind=FaultKind.DROP_AFTER, models=[WORKFLOW], count=2)
    scenario = played(
        12, lost, extra_models=[WORKFLOW], workflow_history="none", history_lag_s=1,
        plans={"limits": Limits(concurrency=2)},
    )  # fmt: skip
    specs = [
        spec._replace(model=WORKFLOW) if index % 2 == 0 else spec
        for index, spec in enumerate(scenario.specs)
    ]
    scenario = replace(scenario, specs=specs)

    report = rehearse(scenario)

    assert violations(scenario, report) == []
    assert len(report.service.ledger.bills) == 12
    assert rest(report, S.DONE, S.UNKNOWN) == (10, 2)


def test_a_workflow_tells_its_failure_as_an_object():
    report = night(
        model=WORKFLOW, extra_models=[WORKFLOW], failure_probability=1.0,
        failure_messages=["the prompt was flagged"],
    )  # fmt: skip

    assert rest(report, S.FAILED) == (4,)
    assert {job.reason for job in report.jobs()} == {"the prompt was flagged"}


# ------------------------------------------------------------------ 1.8: media, and words


def test_the_last_frame_of_a_film_is_an_output_as_well():
    report = night(models={MODEL: {"shape": "last_frame"}})

    assert rest(report, S.DONE) == (4,)
    files = of_first(report)
    assert set(files) == {".mp4", "~last_frame.png"}
    assert len(report.outputs.files) == 8


INSTEAD = [
    {"output": DREW},
    {"output": json.dumps({"choices": [{"message": {"content": DREW}}]})},
    {"output": {"message": DREW}},
    {"message": DREW},
]


@pytest.mark.parametrize("fields", INSTEAD, ids=str)
@pytest.mark.parametrize("api", list(Mode))
def test_what_a_model_of_pictures_says_instead_is_told(fields, api):
    report = night(api=api, filtered_words=["cup 1"], filtered_fields=fields)

    assert rest(report, S.DONE, S.REJECTED) == (3, 1)
    (refused,) = report.jobs(S.REJECTED)
    assert refused.reason.endswith(DREW)


@pytest.mark.parametrize("known", [True, False])
def test_a_model_that_nobody_knows_is_known_by_its_first_results(known):
    """The first job is refused in words; after pictures of others the second one is not done so."""
    slug = MODEL if known else "brush-9"
    words = ["cup 0", "cup 5"]
    report = night(
        6, model=slug, models={slug: {}}, plans={"limits": Limits(concurrency=1)},
        filtered_words=words, filtered_fields={"output": DREW},
    )  # fmt: skip

    refused = [job.id for job in report.jobs(S.REJECTED)]
    assert refused == (["job-0000", "job-0005"] if known else ["job-0005"])


def test_both_forms_of_a_request_id_are_taken():
    for form in ("uuid", "hex"):
        report = night(request_ids=form)
        assert rest(report, S.DONE) == (4,)
        assert {"-" in job.request_id for job in report.jobs()} == {form == "uuid"}


# ------------------------------------------------------------------ 1.8: FAILED, and again


def submits(report):
    return len(report.service.ledger.bills)


@pytest.mark.parametrize("api", list(Mode))
def test_what_fails_under_load_is_tried_again_for_nothing(api):
    report = night(
        20, api=api, failure_probability=0.4, sync_failures_told=True,
        failure_messages=["the worker ran out of memory"],
    )  # fmt: skip

    done, failed = rest(report, S.DONE, S.FAILED)
    assert done > failed
    assert submits(report) > 20
    charged = report.service.ledger.charged_usd(1e12)
    assert report.state.stored.totals().settled_usd == pytest.approx(charged)
    assert all(job.reason.endswith("; failed 3 times") for job in report.jobs(S.FAILED))


@pytest.mark.parametrize(
    "text",
    [
        "Request blocked by content moderation (RAI): the prompt was flagged",
        "Prompt is required for video generation.",
        "Validation error in MockInferenceProcessor: sleep must be positive",
        "Reference media rejected: URL must be a valid HTTP or HTTPS URL.",
    ],
)
@pytest.mark.parametrize("status", [200, 422])
def test_what_moderation_and_checks_refuse_is_never_tried_again(text, status):
    report = night(failure_probability=1.0, failure_messages=[text], failed_status=status)

    assert rest(report, S.FAILED) == (4,)
    assert submits(report) == 4
    assert {job.reason for job in report.jobs()} == {text}


def test_a_v1_call_that_fails_and_names_no_request_is_not_tried_again():
    """Its row of the history could be taken for that of the next call, whose answer is lost."""
    report = night(api=Mode.BLOCKING, failure_probability=1.0, failure_messages=["no worker"])

    assert rest(report, S.FAILED) == (4,)
    assert submits(report) == 4


@pytest.mark.parametrize("most", [1, 2, 3])
def test_it_is_tried_no_more_often_than_it_may_be_billed(most):
    report = night(
        plans={"limits": Limits(concurrency=4, max_attempts=most)},
        failure_probability=1.0, failure_messages=["no worker was free"],
    )  # fmt: skip

    assert submits(report) == 4 * most
    assert report.state.stored.totals().settled_usd == 0.0


def test_a_bad_parameter_is_found_out_after_queueing():
    """Late validation: accepted, then FAILED at once, not charged and not tried again."""
    scenario = played(2, late_validation=True)
    bad = [spec._replace(body='{"prompt":7}') for spec in scenario.specs[:1]]
    scenario = replace(scenario, specs=[*bad, *scenario.specs[1:]])

    report = rehearse(scenario)

    assert violations(scenario, report) == []
    assert rest(report, S.DONE, S.FAILED) == (1, 1)
    assert submits(report) == 2
