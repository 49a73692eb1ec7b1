"""Contents in bodies, and the desk that keeps an eye on their uploads."""

import json

from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.common.json import canonical_json
from batchgen.core.jobs.placeholders import (
    MARK,
    Content,
    is_ready,
    missing,
    placed,
    waiting_for,
)

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
