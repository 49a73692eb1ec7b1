"""Contents in bodies, and the desk that keeps an eye on their uploads."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.common.json import canonical_json
from batchgen.core.jobs.placeholders import (
    BYTES_AT_ONCE,
    HOPELESS_TRIES,
    MARK,
    UPLOADS_AT_ONCE,
    Content,
    Uploaded,
    UploadQueue,
    is_ready,
    missing,
    placed,
    waiting_for,
)
from tests.core.builders import NOW

A, B = Content("a" * 64, 10), Content("b" * 64, 20)
URLS = {A: 'https://cdn.example/a"b.png', B: "https://cdn.example/b.png"}
contents = st.builds(Content, st.sampled_from(["a" * 64, "b" * 64, "c" * 64]), st.integers(1, 99))
values = st.recursive(
    st.text() | st.integers() | contents.map(lambda content: content.placeholder),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


def body_of(*found):
    return canonical_json({"prompt": "a cup", "images": [content.placeholder for content in found]})


def test_what_is_missing_is_named_once_and_in_order():
    assert missing(body_of(B, A, B)) == (B, A)
    assert missing(canonical_json({"prompt": f"{MARK} is no placeholder"})) == ()


def test_addresses_take_the_place_of_contents_for_good():
    half = placed(body_of(A, B), {A: URLS[A]}.get)

    assert missing(half) == (B,)
    assert not is_ready(half)
    whole = placed(half, URLS.get)
    assert is_ready(whole)
    assert json.loads(whole)["images"] == [URLS[A], URLS[B]]


@given(values)
def test_a_body_stays_canonical_and_holds_nothing_but_addresses(value):
    body = canonical_json({"value": value})

    done = placed(body, lambda content: f"https://cdn.example/{content.sha256}-{content.size}")

    assert missing(done) == ()
    assert canonical_json(json.loads(done)) == done
    assert placed(body, lambda _: None) == body
    assert done.count("https://cdn.example/") >= len(missing(body))


def test_who_waits_for_a_content():
    bodies = [(1, body_of(A)), (2, body_of(B)), (3, body_of(B, A)), (4, "{}")]
    assert list(waiting_for(A, bodies)) == [1, 3]


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
        desk.failed(A, NOW + n, counts=True)
    assert not desk.is_hopeless(A)

    desk.succeeded([Uploaded(B, URLS[B], NOW + 1, "b.png")])
    assert desk.is_hopeless(A)
    assert not desk.is_hopeless(B)

    desk.forget(A)
    assert not desk.is_hopeless(A)
    assert (desk.count, desk.size) == (1, 20)
