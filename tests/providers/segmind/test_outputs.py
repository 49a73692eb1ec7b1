"""Outputs in a final body, in every shape seen and in shapes that are only possible."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.jobs.spec import ModelKind
from batchgen.core.net.http import Answer
from batchgen.providers.segmind.outputs import (
    MAX_LABEL_BYTES,
    MAX_OUTPUTS,
    FoundOutput,
    TooManyOutputsError,
    find_media,
    is_url,
    outputs_of,
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


# ------------------------------------------------------------------ text models

SAID = "a cup; see https://cited.example/page.png"
CITED = [{"url": "https://cited.example/page.png"}, {"source": A}]
CHATS = {
    "OpenAI": {"choices": [{"message": {"role": "assistant", "content": SAID}}]},
    "OpenAI in parts": {"choices": [{"message": {"content": [{"type": "text", "text": SAID}]}}]},
    "refusal": {"choices": [{"message": {"content": None, "refusal": SAID}}]},
    "Anthropic": {"content": [{"type": "thinking", "thinking": "hm"}, {"text": SAID}]},
    "Gemini": {"candidates": [
        {"content": {"parts": [{"text": "hm", "thought": True}, {"text": SAID}]}}]},
}  # fmt: skip


def files(body, kind=ModelKind.UNKNOWN, sent=""):
    """What is found, as (label, media type or address, bytes)."""
    found = outputs_of(body, kind, sent)
    assert not (found.found and found.refusal)
    return [(item.label, item.media_type or item.url, item.data) for item in found.found]


@pytest.mark.parametrize("chat", CHATS.values(), ids=CHATS)
@pytest.mark.parametrize("form", ["as text", "as an object", "as the body"])
@pytest.mark.parametrize("kind", [ModelKind.UNKNOWN, ModelKind.TEXT])
def test_a_text_model_brings_its_text_and_the_whole_beside_it_and_no_address_in_it(
    chat, form, kind
):
    told = {**chat, "citations": CITED, "usage": {"prompt_tokens": 3}}
    body = {"as text": {"output": json.dumps(told)}, "as an object": {"output": told}}
    text, whole = files(body.get(form, told), kind)

    assert text == ("", "text/plain", SAID.encode())
    assert whole[:2] == ("answer", "application/json")
    assert json.loads(whole[2]) == told


@pytest.mark.parametrize("chat", CHATS.values(), ids=CHATS)
def test_what_a_model_of_media_says_instead_is_the_reason(chat):
    found = outputs_of({"output": json.dumps(chat)}, ModelKind.MEDIA)

    assert (found.found, found.refusal) == ((), f"finished without a file: {SAID}")


def test_each_choice_is_a_text_and_empty_ones_are_none():
    choices = [{"message": {"content": text}} for text in ("one", "", "two")]

    *texts, whole = files({"output": {"choices": choices}})

    assert [data for _, _, data in texts] == [b"one", b"two"]
    assert whole[0] == "answer"


def test_an_answer_without_a_text_is_kept_as_it_is():
    calls = {"choices": [{"message": {"content": None, "tool_calls": [{"id": 1}]}}]}

    ((label, kind, data),) = files({"output": json.dumps(calls)})

    assert (label, kind, json.loads(data)) == ("", "application/json", calls)


INLINE = {
    "Gemini": {"candidates": [{"content": {"parts": [
        {"text": "here it is"}, {"inlineData": {"mimeType": "image/png", "data": BASE64}}]}}]},
    "OpenAI": {"choices": [{"message": {
        "content": "here it is", "images": [{"image_url": {"url": DATA_URI}}]}}]},
}  # fmt: skip


@pytest.mark.parametrize("chat", INLINE.values(), ids=INLINE)
@pytest.mark.parametrize("kind", list(ModelKind))
def test_a_picture_inside_the_answer_of_a_text_model_is_its_output(chat, kind):
    picture, text = files({"output": json.dumps(chat)}, kind)

    assert (picture[0], picture[2]) == ("", PNG)
    assert text == ("text", "text/plain", b"here it is")


NO_CHATS = [
    {"choices": []}, {"choices": "a"}, {"choices": [{"text": "a"}]}, {"content": "a"},
    {"content": [{"image": "a"}]}, {"candidates": [{"finishReason": "SAFETY"}]}, {"content": [7]},
    {"choices": [{"message": 7}]}, {"candidates": [{"content": "a"}]},
]  # fmt: skip


@pytest.mark.parametrize("told", NO_CHATS, ids=str)
def test_what_only_looks_like_the_answer_of_a_text_model_is_json(told):
    ((label, kind, data),) = files({"output": json.dumps(told)})

    assert (label, kind, json.loads(data)) == ("", "application/json", told)


# ------------------------------------------------------------------ JSON inside a text


@pytest.mark.parametrize(
    ("output", "kind", "found"),
    [
        ([A, B], ModelKind.UNKNOWN, [A, B]),
        ({"image": {"url": A}}, ModelKind.UNKNOWN, [A]),
        ({"page": "https://cited.example/page"}, ModelKind.UNKNOWN, []),
        ({"page": "https://cdn.example/made"}, ModelKind.MEDIA, ["https://cdn.example/made"]),
        ({"caption": "a", "sources": [A]}, ModelKind.UNKNOWN, []),
    ],
)
def test_of_json_inside_a_text_only_files_are_fetched(output, kind, found):
    told = files({"output": json.dumps(output)}, kind)

    if found:
        assert [(label, address) for label, address, _ in told] == [("", url) for url in found]
    else:
        ((_, media_type, data),) = told
        assert (media_type, json.loads(data)) == ("application/json", output)


@pytest.mark.parametrize("key", ["citations", "search_results", "sources", "groundingMetadata"])
def test_what_an_object_refers_to_is_not_what_was_made(key):
    referring = {"answer": "a cup", key: [{"url": A}]}

    ((_, media_type, data),) = files({"output": referring})

    assert (media_type, json.loads(data)) == ("application/json", referring)


@pytest.mark.parametrize(
    ("address", "is_file"), [("https://a.example/read/me", False), (A, True), (f"{A}?x=1", True)]
)
def test_a_text_that_is_an_address_is_a_file_where_its_model_makes_texts_only_if_it_names_one(
    address, is_file
):
    ((_, told, _),) = files({"output": address}, ModelKind.TEXT)

    assert told == (address if is_file else "text/plain")
    assert files({"output": address}) == [("", address, b"")]


@pytest.mark.parametrize(
    "text", ["{", "{not json}", "[1", "{" * 100_000, '"a"', "7", "{} and more"]
)
def test_a_text_that_is_no_json_stays_a_text(text):
    assert files({"output": text}) == [("", "text/plain", text.encode())]


# ------------------------------------------------------------------ media beside media


def test_media_beside_an_address_are_outputs_with_a_name():
    video = {"url": A, "content_type": "video/mp4", "last_frame_url": B, "size_url": 7}

    assert files({"output": A, "video": video}) == [("", A, b""), ("last_frame", B, b"")]


def test_equal_names_differ_by_a_number():
    urls = [f"https://cdn.example/{number}.png" for number in range(4)]
    images = [{"url": urls[0], "Mask_url": urls[1]}, {"url": urls[2], "mask_url": urls[3]}]

    labels = [label for label, _, _ in files({"images": images})]

    assert labels == ["", "Mask", "", "mask-2"]


@pytest.mark.parametrize("key", ["image_url", "video_url", "output_url"])
def test_an_address_of_a_key_of_its_own_is_the_output_where_there_is_no_other(key):
    links = {"status_url": "https://api.example/s.png", "response_url": B, "poll_url": B}

    assert files({**links, key: A, "status": "COMPLETED"}) == [("", A, b"")]
    assert files({**links, key: A, "output": B}) == [("", B, b"")]


def test_what_was_sent_is_an_echo_unless_nothing_else_came():
    sent = json.dumps({"image_url": A})

    assert files({"output": {"image_url": A, "made": B}}, sent=sent) == [("", B, b"")]
    assert files({"output": A}, sent=sent) == [("", A, b"")]


@pytest.mark.parametrize("key", ["message", "detail", "reason", "description"])
@pytest.mark.parametrize("kind", list(ModelKind))
def test_a_message_alone_is_no_output(key, kind):
    body = {"status": "COMPLETED", key: "blocked by policy", "metrics": {}, "timings": {"a": 1}}

    found = outputs_of(body, kind)

    assert found.found == ()
    assert found.refusal.startswith("finished without an output")


def test_what_is_told_beside_an_output_is_none():
    told = {
        "timings": 1,
        "prompt": "a",
        "reasoning": "b",
        "partial": False,
        "grounding": {"url": A},
    }

    ((_, _, data),) = files({**told, "label": "cat", "score": 0.5})

    assert json.loads(data) == {"label": "cat", "score": 0.5}


def test_what_an_object_says_instead_of_a_picture_is_the_reason():
    body = {"output": {"message": "the prompt was flagged", "nsfw": True}}

    assert outputs_of(body, ModelKind.MEDIA).refusal == (
        "finished without a file: the prompt was flagged"
    )


# ------------------------------------------------------------------ workflows


def nodes(*pairs):
    return [{"keyname": name, "value": value} for name, value in pairs]


@pytest.mark.parametrize("as_text", [True, False])
def test_the_outputs_of_a_workflow_are_called_as_its_nodes(as_text):
    told = nodes(
        ("portrait", A),
        ("masks", [B, "https://cdn.example/c.png"]),
        ("caption", "a cup"),
        ("data", {"score": 0.5}),
        ("nothing", None),
        ("words", json.dumps(CHATS["OpenAI"] | {"citations": CITED})),
    )

    found = files({"output": json.dumps(told) if as_text else told})

    assert found[:5] == [
        ("portrait", A, b""),
        ("masks", B, b""),
        ("masks-2", "https://cdn.example/c.png", b""),
        ("caption", "text/plain", b"a cup"),
        ("data", "application/json", b'{"score":0.5}'),
    ]
    assert [(label, kind) for label, kind, _ in found[5:]] == [
        ("words", "text/plain"), ("answer", "application/json"),
    ]  # fmt: skip
    assert found[5][2] == SAID.encode()


def test_one_node_alone_is_called_as_its_job():
    assert files({"output": nodes(("portrait", A))}) == [("", A, b"")]


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("a portrait/of me", "a-portrait-of-me"),
        ("../../etc/passwd", "etc-passwd"),
        ("Größe", "Größe"),
        ("x" * 99, "x" * MAX_LABEL_BYTES),
        ("", "output"), ("...", "output"), (7, "output"), (None, "output"), ("~\\:*?", "output"),
        ("a\ud800b", "a-b"),
    ],
)  # fmt: skip
def test_a_name_from_outside_is_fit_for_a_file(name, label):
    first, second = files({"output": nodes((name, A), (name, B))})

    assert (first[0], second[0]) == (label, f"{label}-2")


def test_a_workflow_without_any_value_has_no_output():
    found = outputs_of({"output": nodes(("a", None), ("b", ""))})

    assert found.found == () or found.found[0].media_type == "application/json"


@given(st.recursive(JSON, lambda inner: st.dictionaries(
    st.sampled_from(["output", "url", "last_frame_url", "choices", "message", "content", "keyname",
                     "value", "candidates", "parts", "text"]), inner), max_leaves=12),
       st.sampled_from(ModelKind), st.booleans())  # fmt: skip
def test_any_body_is_read_and_no_two_outputs_have_the_same_name(value, kind, as_text):
    read = Answer(200, {}, json.dumps({"output": json.dumps(value) if as_text else value}).encode())
    told = outputs_of(read.object(), kind)

    labels = [item.label for item in told.found if item.label]
    assert len({label.casefold() for label in labels}) == len(labels)
    assert told.refusal.isprintable()
    for item in told.found:
        assert bool(item.url) != bool(item.data)
        assert "/" not in item.label
