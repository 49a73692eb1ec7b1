"""What the service was seen to say, text by text: which signal it is, and what a person is told.

The texts are those of its documentation and of other people's clients; they move, so each stands
here in its words and, where it matters, in others that mean the same.
"""

from __future__ import annotations

import pytest

from batchgen.core.jobs.outcomes import TABLE, CallKind, Signal, Treatment
from batchgen.core.progress.advice import advice_of, storage_warning
from batchgen.providers.segmind.errors import lacks_balance, signal_of
from batchgen.providers.segmind.treatments import describe
from batchgen.providers.segmind.uploads import read_upload
from tests.core.builders import NOW, answer

S = Signal
SAID = [
    # status, text, signal, a word of the advice
    (402, "Insufficient credits. You have 0.0 credits.", S.NO_CREDITS, "top up"),
    (406, "Insufficient credits. You have 0.02 and need 0.08", S.NO_CREDITS, "workspace"),
    (406, "Team spend limit reached", S.NO_CREDITS, "spend limit"),
    (406, "Invalid content type", S.WRONG_CONTENT_TYPE, "proxy"),
    (406, "something nobody has seen yet", S.REFUSED_UNTOLD, "unknown here"),
    (406, "A subscription is required", S.REFUSED_UNTOLD, "plan"),
    (406, "content_policy_violation: flagged", S.PARAMETER_REFUSED, "change the prompt"),
    (401, "Missing Authorization or x-api-key in header", S.KEY_REFUSED, "lost on its way"),
    (401, "header x-api-key is missing", S.KEY_REFUSED, "lost on its way"),
    (
        401,
        "Unauthorized. API key is invalid or may have expired, create one in the console",
        S.KEY_REFUSED,
        "has expired",
    ),
    (401, "no such user", S.KEY_REFUSED, "has expired"),
    (404, "Request 0123456789abcdef0123456789abcdef not found", S.NOT_FOUND, "an hour"),
    (404, "Output for this request ID 0123abcd Not Found", S.NOT_FOUND, "an hour"),
    (404, "Model information not found", S.NOT_FOUND, "batchgen models"),
    (404, "Model information for image-to-video not found", S.NOT_FOUND, "batchgen models"),
    (404, "No credits found for the user", S.NOT_FOUND, "top up"),
    (404, "Input image not found", S.BAD_REQUEST, "without a login"),
    (400, "messages: at least one message is required", S.BAD_REQUEST, "params"),
    (400, "Incorrect or Missing host header", S.UNROUTED, "SEGMIND_BASE_URL"),
    (404, "no Route matched with those values", S.UNROUTED, "SEGMIND_BASE_URL"),
    (410, "This model is retired", S.RETIRED, "retired"),
    (422, "Prompt is required for video generation.", S.UNPROCESSABLE, "params"),
    (422, "Prompt is Mandatory and must be string", S.UNPROCESSABLE, "params"),
    (
        422,
        "Reference media rejected: URL must be a valid HTTP or HTTPS URL.",
        S.UNPROCESSABLE,
        "data: URI",
    ),
    (422, "Validation error in MockInferenceProcessor: sleep", S.UNPROCESSABLE, "params"),
    (422, "Inference failed: the worker ran out of memory", S.UNPROCESSABLE, "try it again"),
    (422, "it did not work", S.UNPROCESSABLE, "unknown here"),
    (422, "content_policy_violation", S.UNPROCESSABLE, "change the prompt"),
    (429, "rate_limit_exceeded", S.RATE_LIMITED, "requests_per_minute"),
    (500, "Internal Polling Error", S.GATEWAY_TIMEOUT, "api: v2"),
    (502, "Internal polling error: upstream", S.GATEWAY_TIMEOUT, "api: v2"),
    (503, "upstream request timeout", S.GATEWAY_TIMEOUT, ""),
    (500, "Internal server error", S.SERVER_ERROR, ""),
]


@pytest.mark.parametrize(("status", "text", "signal", "advice"), SAID)
@pytest.mark.parametrize("key", ["error", "message", "detail"])
def test_each_text_has_its_signal_and_its_advice(key, status, text, signal, advice):
    told = answer({key: text}, status)

    assert signal_of(told) is signal
    reason = describe(signal, told)
    assert text in reason
    assert advice in advice_of(reason)
    assert bool(advice) == bool(advice_of(reason))


@pytest.mark.parametrize(
    "body",
    [
        b"Incorrect or Missing host header",
        b"<html><body>Incorrect or missing Host header</body></html>",
        b"default backend - 404",
    ],
    ids=str,
)
@pytest.mark.parametrize("status", [400, 404])
def test_an_edge_that_routes_a_path_nowhere_is_known_in_any_form(status, body):
    """As a page of a middleman it would leave each submit in doubt; as a bad parameter, or an
    unknown model, it would end each job."""
    told = answer(body, status)

    assert signal_of(told) is Signal.UNROUTED
    assert TABLE[Signal.UNROUTED][CallKind.SUBMIT] is Treatment.HALT
    reason = describe(Signal.UNROUTED, told)
    assert "<" not in reason
    assert "SEGMIND_BASE_URL" in advice_of(reason)


def test_nothing_else_is_taken_for_an_edge():
    assert signal_of(answer({"error": "Malformed request"}, 400)) is Signal.BAD_REQUEST
    assert signal_of(answer(b"<html>not here</html>", 404)) is Signal.MIDDLEMAN
    assert signal_of(answer({"error": "host header"}, 500)) is Signal.SERVER_ERROR


@pytest.mark.parametrize(
    ("body", "status", "lacks"),
    [
        ({"error": "No credits found for the user"}, 404, True),
        ({"message": "user has no credit record"}, 404, True),
        ({"error": "not found"}, 404, False),
        (b"", 404, False),
        ({"error": "No credits found for the user"}, 402, False),
    ],
)
def test_an_account_without_a_balance_record(body, status, lacks):
    assert lacks_balance(answer(body, status)) is lacks


FULL = [
    (402, {"error": "Payment Required"}),
    (402, b""),
    (402, {"error": "Insufficient credits. You have 0.0 credits."}),
    (507, {"error": "Insufficient Storage"}),
    (507, b"<html>"),
    (406, {"error": "Storage quota exceeded"}),
    (413, {"error": "Your storage is full"}),
    (403, {"message": "storage limit reached, upgrade your plan"}),
    (400, {"error": "No space left"}),
    (500, {"error": "disk full"}),
    (200, {"error": "You have used all of your quota"}),
]


@pytest.mark.parametrize(("status", "body"), FULL, ids=str)
def test_a_storage_that_is_full(status, body):
    response, url = read_upload(answer(body, status), NOW)

    assert (response.signal, url) == (Signal.QUOTA_REACHED, "")


@pytest.mark.parametrize(
    ("status", "body", "signal"),
    [
        (413, {"error": "too large"}, Signal.BAD_REQUEST),
        (400, {"error": "The file exceeds the size limit of 50 MB"}, Signal.BAD_REQUEST),
        (503, {"error": "storage backend unavailable"}, Signal.SERVER_ERROR),
        (413, b"<html>storage full</html>", Signal.MIDDLEMAN),
        (401, {"error": "storage is full"}, Signal.KEY_REFUSED),
        (429, {"error": "quota of requests exceeded"}, Signal.RATE_LIMITED),
        (200, {"file_urls": ["https://x/a.png"], "message": "90% of your quota"}, Signal.OK),
    ],
    ids=str,
)
def test_what_is_no_full_storage(status, body, signal):
    assert read_upload(answer(body, status), NOW)[0].signal is signal


@pytest.mark.parametrize(
    "reason",
    [
        'the file "photos/required.png" is not there any more: put it back, then `batchgen retry`',
        "Inference failed",
        "",
    ],
)
def test_no_advice_where_there_is_none_or_the_reason_gives_it(reason):
    assert advice_of(reason) == ""


@pytest.mark.parametrize(("total", "is_much"), [(0, False), (10**9, False), (10**9 + 1, True)])
def test_more_than_the_smallest_plan_stores(total, is_much):
    assert ("Flexible 1 GB" in storage_warning(3, total)) is is_much
