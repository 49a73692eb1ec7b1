"""The quick way of a row makes what the careful way makes, or leaves it alone."""

from __future__ import annotations

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from batchgen.core.catalog.checker import Checker
from batchgen.core.jobs.placeholders import MARK
from batchgen.core.jobs.spec import JobSpec
from batchgen.core.manifest.expansion.expand import Drafts
from batchgen.core.manifest.schema import parse_manifest
from batchgen.core.manifest.text.locations import Diagnostic
from batchgen.providers.segmind.catalog import load
from tests.core.manifest.expansion.rows import Rows

CATALOG = load()
PLAIN = {"from": "rows", "model": "flux-pro", "id": "cup-{row}", "price": 0.05}
ROW = {"prompt": "a cup", "seed": 7}
PARAMS = {"prompt": "{prompt}, film grain", "seed": "{seed}"}

NAMES = ["cup", "é", "1024", "nul", "con.x", "a/b", "a.b", "README", "metadata", "x" * 300]
ODD = [None, True, -1, 2.5, float("inf"), 10**30, "", "file:a.png", "\ud800", MARK, [], {"a": 1}]
CELLS = st.fixed_dictionaries(
    {
        "name": st.just("cup") | st.sampled_from(NAMES),
        "text": st.just("a cup of tea") | st.sampled_from(NAMES) | st.sampled_from(ODD),
        "number": st.just(1_024) | st.integers(0, 2_000) | st.sampled_from(ODD),
    }
)
TEXTS = st.sampled_from(["{text}", "a {text}", "{number}", "a {name} of {text}", "{gone}"])
IDS = st.just("cup-{row}") | st.sampled_from(["{name}", "{name}-{row}", "{model}-{row}", "{text}"])
SLUGS = st.just("flux-pro") | st.sampled_from([model.slug for model in CATALOG])
MORE = st.sampled_from([{}, {}, {}, {"price": None}, {"repeat": 2}, {"matrix": {"m": [1, 2]}}])


@st.composite
def entries(draw):
    """An entry with the params of a model's own example, some of them from fields."""
    slug = draw(SLUGS)
    example = CATALOG.get(slug).example
    filled = st.dictionaries(st.sampled_from([*example, "odd"]), TEXTS, max_size=2)
    params = {**example, **draw(filled)}
    plain = {"from": "rows", "model": slug, "id": draw(IDS), "params": params, "price": 0.05}
    return plain | draw(MORE)


def both(rows, *, untyped=False, **entry):
    manifest = parse_manifest({"version": 1, "name": "x", "jobs": [entry]})
    made = Drafts(manifest, CATALOG, Rows(*rows, untyped=untyped))
    return list(made), list(made.quick())


@settings(max_examples=300)
@given(st.lists(CELLS, min_size=1, max_size=3), entries(), st.booleans())
def test_it_makes_what_the_careful_way_makes(rows, entry, untyped):
    careful, quick = both(rows, untyped=untyped, **entry)

    assert len(quick) == len(careful)
    for made, item in zip(quick, careful, strict=True):
        event(type(made).__name__)
        if isinstance(made, JobSpec):
            assert not isinstance(item, Diagnostic)
            assert made == item.spec
            assert made.price_usd is not None
            assert not Checker(CATALOG.get(made.model)).check(item.params)
        elif isinstance(made, Diagnostic):
            assert made == item
        else:
            assert (made.spec, made.params) == (item.spec, item.params)


@pytest.mark.parametrize(
    ("row", "more", "is_quick"),
    [
        ({}, {}, True),
        ({"prompt": "é\n"}, {}, True),
        ({}, {"matrix": {"m": [1]}}, True),
        ({"seed": "7"}, {}, False),
        ({"seed": None}, {}, False),
        ({"prompt": None}, {}, False),
        ({"prompt": "file:a"}, {}, False),
        ({"prompt": f"a {MARK}"}, {}, False),
        ({"prompt": "Metadata"}, {"id": "{prompt}"}, False),
        ({}, {"id": "{seed}"}, False),
        ({}, {"id": "{model}-{row}"}, False),
        ({}, {"id": None}, False),
        ({}, {"repeat": 2}, False),
        ({}, {"model": "none-such"}, False),
        ({}, {"params": PARAMS | {"odd": 1}}, False),
        ({}, {"params": {"seed": 1}}, False),
    ],
    ids=str,
)
def test_it_takes_the_rows_about_which_there_is_nothing_to_say(row, more, is_quick):
    entry = {name: value for name, value in (PLAIN | {"params": PARAMS} | more).items() if value}
    _, made = both([ROW | row], **entry)
    assert isinstance(made[0], JobSpec) is is_quick
