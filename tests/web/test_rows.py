"""What a page is given of a job: texts shortened, secrets left out, reasons grouped."""

import base64
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchgen.core.jobs.job import JobState
from batchgen.core.progress.reasons import MOST_TEXT, Told, grouped, plain_address, why
from batchgen.store.sqlite.page import LATENCY_GRAIN_S, ShownFile, ShownJob
from batchgen.web.charts import (
    MOST_BINS,
    MOST_MODELS,
    MOST_POLLS,
    MOST_STEPS,
    latency_bins,
    poll_bins,
    round_step,
    steps_over,
)
from batchgen.web.page import as_json, assets, data_block, page, policy, states
from batchgen.web.rows import prompt_of, row_of, shown
from batchgen.web.summary import flat, settings_of


def job(**changes):
    plain = {
        "key": 3, "id": "a", "model": "flux-pro", "state": "done", "body": "{}", "attempts": 1,
        "polls": 2, "request_id": "r-1", "reason": "", "seed": None, "cost_usd": 0.05,
        "price_usd": 0.04, "queue_s": 0.5, "inference_s": 3.0, "total_s": 3.5,
        "sent_at": 100.0004, "changed_at": 104.0,
    }  # fmt: skip
    return ShownJob(**(plain | changes))


def test_a_row_holds_what_there_is():
    file = ShownFile(0, "a.png", "image/png", 9, "ab", 4, 3)
    body = json.dumps({"prompt": "a fox", "seed": 0})
    assert row_of(job(body=body, files=(file,))) == {
        "key": 3, "id": "a", "model": "flux-pro", "state": "done", "by": "prompt",
        "params": {"prompt": "a fox", "seed": 0}, "seed": 0, "cost": 0.05, "attempts": 1,
        "polls": 2, "request_id": "r-1", "queue_s": 0.5, "inference_s": 3.0, "total_s": 3.5,
        "sent_at": 100.0, "changed_at": 104.0,
        "files": [{"i": 0, "name": "a.png", "type": "image/png", "size": 9, "w": 4, "h": 3,
                   "sha256": "ab"}],
    }  # fmt: skip


def test_before_its_cost_is_known_a_job_has_a_price():
    assert row_of(job(cost_usd=None))["price"] == 0.04
    assert "cost" not in row_of(job(cost_usd=None))
    assert row_of(job(cost_usd=0.0))["cost"] == 0.0


LONG = base64.b64encode(bytes(3000)).decode()


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("a fox", "a fox"),
        (f"data:image/png;base64,{LONG}", "data:image/png (4 KB)"),
        (LONG, "base64 (4 KB)"),
        ("https://me:secret@example.com/a.png?X-Signature=abc#top", "https://example.com/a.png?…"),
        ("see https://example.com/a?token=1 there", "see https://example.com/a?… there"),
        ("https://example.com/a.png", "https://example.com/a.png"),
        ("x " * MOST_TEXT, "x " * (MOST_TEXT // 2) + f"… ({2 * MOST_TEXT} characters)"),
        ([f"data:,{LONG}", 3], ["data: (4 KB)", 3]),
        ({"deep": {"er": "https://a.example/?k=v"}}, {"deep": {"er": "https://a.example/?…"}}),
        (True, True),
        (None, None),
    ],
)
def test_media_and_secrets_stay_outside(value, told):
    assert shown(value) == told


def test_nothing_is_too_deep():
    deep = "core"
    for _ in range(500):
        deep = [deep]
    assert "core" not in json.dumps(shown(deep))


@given(st.text(max_size=60))
def test_no_address_is_too_odd(text):
    assert "?secret" not in plain_address(f"https://example.com/{text}?secret")


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"prompt": "a", "text": "b"}, "prompt"),
        ({"text": "b", "style": "long and longer"}, "text"),
        ({"lyrics": "la la la la", "style": "waltz time"}, "lyrics"),
        ({"style": "waltz", "prompt": ""}, ""),
        ({"prompt": ["a", "list"], "seed": 3}, ""),
    ],
)
def test_the_prompt_is_found(parameters, name):
    assert prompt_of(parameters) == name


def test_reasons_of_one_kind_are_one_group():
    told = [
        Told("failed", "422: blocked (request 7d1c0aaf-0001-4ccc-8000-1234567890ab)", 3, "a"),
        Told("failed", "422: blocked (request 0aaf7d1c-0002-4ccc-8000-1234567890ab)", 2, "b"),
        Told("lost", "422: blocked (request 0aaf7d1c-0002-4ccc-8000-1234567890ab)", 1, "c"),
        Told("failed", "no such model", 4, "d"),
    ]
    groups = grouped(told)
    assert [(group["state"], group["count"], group["example"]) for group in groups] == [
        ("failed", 5, "a"), ("failed", 4, "d"), ("lost", 1, "c"),
    ]  # fmt: skip
    assert groups[0]["why"] == why(told[1].reason) == "…: blocked (request …)"
    assert groups[0]["said"] == told[0].reason


# Charts


@given(st.floats(1e9, 2e9), st.floats(0, 4e7))
def test_steps_cover_the_time_and_are_not_too_many(start_at, span_s):
    steps = steps_over(start_at, start_at + span_s)
    assert steps.start_at <= start_at
    assert start_at + span_s < steps.start_at + steps.count * steps.step_s
    assert steps.count <= MOST_STEPS + 2
    assert steps.start_at % steps.step_s == 0


@given(st.floats(0, 5000))
def test_bins_are_round_and_wide_enough(least):
    step = round_step(least)
    assert step >= min(least, step)
    assert step >= LATENCY_GRAIN_S * 2
    digits = f"{step:.10e}".partition("e")[0].rstrip("0").rstrip(".")
    assert digits in {"1", "2", "2.5", "5"}


grains = st.dictionaries(st.integers(0, 72_000), st.integers(1, 50), min_size=1, max_size=40)


@settings(max_examples=30)
@given(st.dictionaries(st.sampled_from("abcdefgh"), grains, max_size=8))
def test_latencies_are_all_counted(models):
    counted = [(m, g, n) for m in sorted(models) for g, n in sorted(models[m].items())]
    made = latency_bins(counted)
    assert {one["model"]: one["count"] for one in made["models"]} == {
        model: sum(of.values()) for model, of in models.items()
    }
    for n, one in enumerate(made["models"]):
        assert sum(one["bins"]) == (one["count"] if n < MOST_MODELS else 0)
        assert len(one["bins"]) <= MOST_BINS + 1
        every = sorted(g for g, n in models[one["model"]].items() for _ in range(n))
        middle = every[math.floor(0.5 * (len(every) - 1))]
        assert one["median_s"] == pytest.approx(middle * LATENCY_GRAIN_S, abs=0.006)
        assert one["p10_s"] <= one["median_s"] <= one["p90_s"] <= one["most_s"]


def test_polls_are_counted_and_many_are_together():
    made = poll_bins([(0, 2), (3, 4), (MOST_POLLS + 9, 1)])
    assert made["counts"][:5] == [2, 0, 0, 4, 0]
    assert (made["counts"][MOST_POLLS], made["jobs"]) == (1, 7)
    assert poll_bins([]) == {"counts": [], "mean": 0.0, "jobs": 0}


# The page

texts = st.text(st.sampled_from("</script>!-&\u2028\u202e\0'\"\\é\n "), max_size=12)


@given(
    st.recursive(st.text(), lambda inside: st.lists(inside) | st.dictionaries(st.text(), inside))
)
def test_data_never_ends_its_element_and_comes_out_as_it_went_in(value):
    text = as_json(value)
    assert "<" not in text
    assert "\n" not in text
    assert json.loads(text) == value


def test_what_cannot_be_written_is_replaced():
    assert json.loads(as_json(["\ud800 </script>"])) == ["? </script>"]


def test_our_scripts_do_not_end_themselves():
    own = assets()
    assert "</script" not in own.script.lower()
    assert "<!--" not in own.script
    assert "</style" not in own.style.lower()
    assert "innerHTML" not in own.script.replace(".innerHTML=l", "")


def test_the_policy_allows_nothing_from_elsewhere():
    for live in (False, True):
        said = policy(live=live)
        assert said.startswith("default-src 'none'; script-src 'sha256-")
        for word in ("unsafe", "http:", "https:", "*", "blob:"):
            assert word not in said
    assert "connect-src 'none'" in policy(live=False)


def test_a_page_is_told_what_the_states_are():
    told = states()
    assert list(told["states"]) == [*(state.value for state in JobState), "held"]
    assert told["states"]["ambiguous"] == {
        "word": "unclear, being looked up",
        "group": "running",
        "look": "is-unknown",
    }
    assert {one["group"] for one in told["states"].values()} == {g["name"] for g in told["groups"]}
    looks = {one["look"] for one in (*told["states"].values(), *told["groups"])}
    assert [look for look in looks if f".{look} {{" not in assets().style] == []
    for live in (False, True):
        before, _, _ = "".join(page("a", [], live=live)).partition("<script>")
        assert data_block("job-states", told) in before


def test_a_title_is_a_text():
    made = "".join(page("<b>&\"'", [], live=False))
    assert "<title>&lt;b&gt;&amp;&quot;&#x27;</title>" in made


# Settings


@pytest.mark.parametrize(
    ("note", "told"),
    [('{"name": "a"}', {"name": "a"}), ("[]", {}), ("no JSON", {})],
)
def test_settings_of_any_version_are_read(note, told):
    assert settings_of({"settings": note}) == told
    assert settings_of({}) == {}


def test_settings_are_told_by_their_dotted_names():
    assert flat({"a": 1, "b": {"c": None, "d": {"e": "f"}}}) == [["a", 1], ["b.d.e", "f"]]
