"""Jobs that failed, as a manifest of their own."""

from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.common.json import canonical_json
from batchgen.core.jobs.placeholders import MARK
from batchgen.core.manifest.expansion.expand import expand
from batchgen.core.manifest.from_failures import is_report, manifest_of
from batchgen.core.manifest.schema import parse_manifest
from batchgen.providers.segmind.catalog import load

TEXTS = st.text(st.characters(exclude_categories=["Cs"])).filter(lambda text: MARK not in text)
VALUES = st.recursive(
    st.booleans() | st.integers(-9, 9) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def failed(params, state="failed", **more):
    return {"id": "a", "model": "other-model", "state": state, "api": "v2", "params": params} | more


@given(st.dictionaries(TEXTS.filter(lambda text: "file:" not in text), VALUES, max_size=4))
def test_it_asks_for_the_very_same(params):
    made = manifest_of("runs", [failed(params)])
    (spec,) = expand(parse_manifest(made), load())
    assert (spec.id, spec.model, spec.body) == ("a", "other-model", canonical_json(params))


def test_v1_stays_v1_and_what_is_undecided_stays_where_it_is():
    jobs = [failed({}), failed({}, "unknown", id="b"), failed({}, "lost", id="c", api="v1")]
    made = manifest_of("my run", jobs)
    assert made["name"] == "my-run-again"
    assert [(entry["id"], entry.get("api")) for entry in made["jobs"]] == [("a", None), ("c", "v1")]


def test_nothing_is_no_manifest():
    assert manifest_of("x", []) is None
    assert manifest_of("x", [failed({}, "unknown")]) is None
    assert is_report({"problems": [], "manifest": None, "run": "x"})
    assert not is_report({"version": 1, "jobs": []})
    assert not is_report([])
