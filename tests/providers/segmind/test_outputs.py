"""Outputs in a final body, in every shape seen and in shapes that are only possible."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.net.http import Answer
from batchgen.providers.segmind.outputs import (
    MAX_OUTPUTS,
    FoundOutput,
    TooManyOutputsError,
    find_media,
    is_url,
    text_of,
    why_no_output,
)
from tests.core.builders import PNG
from tests.core.net.test_http import JSON

A, B = "https://cdn.example/a.png", "https://cdn.example/b.png"
BASE64 = base64.b64encode(PNG).decode()
DATA_URI = f"data:image/png;base64,{BASE64}"
UA, UB = FoundOutput(url=A), FoundOutput(url=B)

SHAPES = [
    ("a url", {"output": A}, [UA]),
    ("a list of urls", {"output": [A, B]}, [UA, UB]),
    ("an object of urls", {"output": {"front": A, "back": B}}, [UA, UB]),
    ("an object with url", {"output": {"url": A, "width": 3}}, [UA]),
    (
        "a list of objects",
        {"output": [{"url": A, "content_type": "image/png"}, {"url": B}]},
        [FoundOutput(url=A, media_type="image/png"), UB],
    ),
    ("nested", {"output": {"images": [{"sizes": {"large": [A]}}]}}, [UA]),
    ("a data uri", {"output": DATA_URI}, [FoundOutput(data=PNG, media_type="image/png")]),
    ("bare base64", {"output": BASE64}, [FoundOutput(data=PNG)]),
    (
        "a data uri as url",
        {"output": {"url": DATA_URI}},
        [FoundOutput(data=PNG, media_type="image/png")],
    ),
    (
        "images",
        {
            "output": None,
            "images": [
                {"url": A, "content_type": "image/png", "file_name": "a.png", "file_size": 3}
            ],
        },
        [FoundOutput(url=A, media_type="image/png")],
    ),
    (
        "video",
        {"video": {"url": A, "content_type": "video/mp4"}},
        [FoundOutput(url=A, media_type="video/mp4")],
    ),
    ("named twice", {"output": A, "images": [{"url": A}, {"url": B}]}, [UA, UB]),
    ("twice in a list", {"output": [A, A]}, [UA]),
    ("content_type of a wrong kind", {"output": {"url": A, "content_type": 7}}, [UA]),
    (
        "text",
        {"output": "a cup on a table"},
        [FoundOutput(data=b"a cup on a table", media_type="text/plain")],
    ),
    (
        "text that looks like base64",
        {"output": "cup"},
        [FoundOutput(data=b"cup", media_type="text/plain")],
    ),
    (
        "text with a url in it",
        {"output": f"see {A}"},
        [FoundOutput(data=f"see {A}".encode(), media_type="text/plain")],
    ),
    (
        "json",
        {"output": {"b": 1, "a": [2]}},
        [FoundOutput(data=b'{"a":[2],"b":1}', media_type="application/json")],
    ),
    ("a number", {"output": 7}, [FoundOutput(data=b"7", media_type="application/json")]),
    (
        "json beside the accounting",
        {"status": "COMPLETED", "metrics": {"cost": 1}, "text": "hi"},
        [FoundOutput(data=b'{"text":"hi"}', media_type="application/json")],
    ),
    ("empty text", {"output": ""}, []),
    ("empty list", {"output": []}, []),
    ("null", {"output": None}, []),
    ("nothing", {"status": "COMPLETED", "metrics": {}, "request_id": "r"}, []),
    ("only empty values", {"output": None, "text": "", "list": []}, []),
    (
        "a hostile url is text",
        {"output": "file:///etc/passwd"},
        [FoundOutput(data=b"file:///etc/passwd", media_type="text/plain")],
    ),
    (
        "half a surrogate pair",
        {"output": "a\ud800b"},
        [FoundOutput(data=b"a?b", media_type="text/plain")],
    ),
    (
        "the same in json",
        {"output": {"x": "\ud800"}},
        [FoundOutput(data=b'{"x":"?"}', media_type="application/json")],
    ),
]


@pytest.mark.parametrize(("body", "found"), [s[1:] for s in SHAPES], ids=[s[0] for s in SHAPES])
def test_a_shape(body, found):
    """Media found anywhere win; without any, a text or JSON is the output."""
    assert list(find_media(body) or text_of(body)) == found


def test_too_many_outputs_are_refused_and_the_last_allowed_number_is_not():
    urls = [f"https://cdn.example/{number}.png" for number in range(MAX_OUTPUTS + 1)]

    assert len(find_media({"output": urls[:-1]})) == MAX_OUTPUTS
    with pytest.raises(TooManyOutputsError, match=str(MAX_OUTPUTS)):
        find_media({"output": urls})


def test_urls_beyond_the_depth_of_any_model_are_not_looked_for():
    value = A
    for _ in range(12):
        value = [value]

    assert find_media({"output": value}) == ()
    (found,) = text_of({"output": value})
    assert found.media_type == "application/json"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (A, True),
        ("http://127.0.0.1:8000/x", True),
        ("HTTPS://cdn.example/a.png", True),
        ("https://cdn.example/a b.png", True),
        ("https://cdn.example/a b (1).PNG?x=1", True),
        ("https://cdn.example/a shows a cup", False),
        ("https://", False),
        ("//cdn.example/a.png", False),
        ("ftp://cdn.example/a.png", False),
        ("file:///etc/passwd", False),
        ("javascript:alert(1)", False),
        (f"{A} {B}", False),
        (f"{A}\n", False),
        ("https://cdn.example/\ud800", False),
        ("https://cdn.example/\x1b[2J", False),
        ("", False),
    ],
)
def test_what_is_a_url(text, expected):
    assert is_url(text) is expected


@given(st.dictionaries(st.sampled_from(["output", "images", "video", "text", "status"]), JSON))
def test_any_body_has_outputs_or_none_and_never_an_empty_one(body):
    read = Answer(200, {}, json.dumps(body).encode()).object()

    for item in (*find_media(read), *text_of(read)):
        assert bool(item.url) != bool(item.data)
        item.url.encode()  # it goes into the record
    for wants_media in (True, False):
        assert why_no_output(read, wants_media=wants_media).isprintable()


# ------------------------------------------------------------------ what counts as none

NO_OUTPUT = [
    # body, and why there is no output: for a model that makes media, and for any other
    ({"output": None}, "finished without an output", "finished without an output"),
    ({"output": []}, "finished without an output", "finished without an output"),
    ({"output": ""}, "finished without an output", "finished without an output"),
    ({}, "finished without an output", "finished without an output"),
    (
        {"output": None, "error": "NSFW content detected"},
        "finished without an output: NSFW content detected",
        "finished without an output: NSFW content detected",
    ),
    (
        {"output": [], "error_message": {"code": 3}},
        'finished without an output: {"code":3}',
        'finished without an output: {"code":3}',
    ),
    (
        {"output": "I cannot draw that."},
        "finished without a file: I cannot draw that.",
        "",
    ),
    ({"output": True}, "finished without a file: its output is not one", ""),
    ({"output": ["error: nsfw"]}, "finished without a file: error: nsfw", ""),
    ({"message": "blocked", "nsfw": True}, "finished without a file: blocked", ""),
    ({"output": "a text", "detail": "beside it"}, "finished without a file: beside it", ""),
]


@pytest.mark.parametrize(("body", "of_media", "of_others"), NO_OUTPUT, ids=lambda v: str(v)[:40])
def test_why_a_final_answer_has_no_output(body, of_media, of_others):
    assert why_no_output(body, wants_media=True) == of_media
    assert why_no_output(body, wants_media=False) == of_others


@pytest.mark.parametrize(
    "address",
    ["ftp://x/a.png", "s3://bucket/a.png", "gs://b/c", "/tmp/a.png", "outputs/a.mp4", "./a.webp?x",
     "//cdn.example/a.png", "file:///etc/passwd"],
)  # fmt: skip
@pytest.mark.parametrize("as_list", [True, False])
@pytest.mark.parametrize("wants_media", [True, False])
def test_an_address_that_cannot_be_fetched_is_an_output_of_no_model(address, as_list, wants_media):
    body = {"output": [address] if as_list else address}

    told = why_no_output(body, wants_media=wants_media)

    assert told == f"its output is at an address that cannot be fetched: {address}"


@pytest.mark.parametrize(
    "text", ["a cup", "see /tmp or ./x", "and/or", "3/4", "1.5", "note: a cup", "a.png", "16:9"]
)
def test_a_text_is_not_taken_for_an_address(text):
    assert why_no_output({"output": text}, wants_media=False) == ""


def test_what_a_stranger_says_is_one_printable_line():
    told = why_no_output({"output": "no\x1b[2J\n" + "x" * 999}, wants_media=True)

    assert told.startswith("finished without a file: no [2J ")
    assert len(told) < 240
    assert told.isprintable()
