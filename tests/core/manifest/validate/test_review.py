"""The review of a manifest: every job held against the catalogue and against all others."""

from __future__ import annotations

from dataclasses import replace

from batchgen.core.catalog.model import Catalog, Parameter, ParameterType
from batchgen.core.manifest.rows.row import Row
from batchgen.core.manifest.schema import parse_manifest
from batchgen.core.manifest.validate.review import Reviewer, Text, review
from batchgen.providers.segmind.catalog import load


def reviewed(*jobs, known=None, **parts):
    value = {"version": 1, "name": "x", "jobs": list(jobs), **parts}
    return review(parse_manifest(value), known or load())


def cup(**changes):
    return {"model": "flux-pro", "params": {"prompt": "a cup"}, **changes}


def told(problems):
    return [(problem.key, problem.what) for problem in problems]


def test_nothing_to_say():
    found = reviewed(cup(), cup(), cup(id="c-{s}", matrix={"s": [1, 2]}))
    assert (found.problems, found.notices, found.job_count) == ((), (), 4)


def test_what_is_wrong_with_many_jobs_is_told_once_and_counted():
    params = {"prompt": "a cup", "steps": "{n}"}
    found = reviewed(cup(matrix={"n": list(range(46, 70))}, params=params))
    assert told(found.problems) == [
        ("jobs[0].params.steps", "steps is 51, out of range (and 18 more like it)")
    ]
    assert found.job_count == 24


def test_findings_about_defaults_stand_at_the_defaults():
    found = reviewed(cup(), cup(), defaults={"params": {"steps": 500, "stpes": 3}})
    assert told(found.problems) == [
        ("defaults.params.steps", "steps is 500, out of range (and 1 more like it)")
    ]
    assert told(found.notices) == [
        ("defaults.params.stpes", 'flux-pro declares no parameter "stpes" (and 1 more like it)')
    ]


def test_a_missing_parameter_stands_at_the_params_or_the_entry():
    found = reviewed(cup(params={}), cup(params={"seed": 1}))
    assert [problem.key for problem in found.problems] == ["jobs[0]", "jobs[1].params"]


def test_an_unknown_model_is_noticed_once_with_the_nearest_name():
    found = reviewed(cup(model="flux-proto"), cup(model="flux-proto"), cup(model="sdxl"))
    assert found.problems == ()
    assert [problem.key for problem in found.notices] == ["jobs[0].model", "jobs[2].model"]
    assert "did you mean flux-pro?" in found.notices[0].remedy
    assert "did you mean" not in found.notices[1].remedy


def test_a_slug_one_slip_away_from_a_known_one_is_asked_about():
    found = reviewed(cup(model="flux-prro"), cup(model="flux-prro"), cup(model="flux-pro2"))
    (slip,) = found.slips
    assert (slip.slug, slip.known) == ("flux-prro", "flux-pro")
    assert slip.problem in found.notices
    assert slip.problem.key == "jobs[0].model"
    asked = "is the model flux-prro meant to be flux-pro? Only flux-pro is in the catalogue"
    assert slip.problem.what == asked
    assert slip.problem.remedy == "write flux-pro, or leave it: its jobs are submitted as they are"


PRICED = {
    "prompt": Parameter("prompt", ParameterType.STRING),
    "duration": Parameter(
        "duration", ParameterType.INTEGER, default=10, has_default=True, affects_price=True
    ),
    "resolution": Parameter("resolution", ParameterType.STRING, affects_price=True),
}
FILMS = Catalog(
    {
        "films": replace(load().get("flux-pro"), slug="films", parameters=PRICED),
        "old": replace(load().get("flux-pro"), slug="old", is_deprecated=True),
    }
)


def test_parameters_that_change_the_price_are_named_where_they_are_left_out():
    """Also of the many jobs of one entry that take the quick way."""

    def film(name="film-{n}", **params):
        params = {"prompt": "{n}", **params}
        return cup(model="films", id=name, matrix={"n": ["a", "b", "c"]}, params=params)

    (notice,) = reviewed(film(), film(name="again-{n}"), known=FILMS).notices
    assert notice.what == (
        "films: duration (default 10), resolution change the price and are left to the service's "
        "default"
    )
    assert notice.key == "jobs[0].model"
    (notice,) = reviewed(film(duration=5), known=FILMS).notices
    assert notice.what.startswith("films: resolution changes the price and is left")
    assert reviewed(film(duration=5, resolution="{n}"), known=FILMS).notices == ()


def test_a_deprecated_model_is_named_once():
    many = {"id": "old-{n}", "matrix": {"n": ["a", "b", "c"]}, "params": {"prompt": "{n}"}}
    jobs = [cup(model="old", **many), cup(model="old")]
    (notice,) = reviewed(*jobs, known=FILMS).notices
    assert "calls the model old deprecated" in notice.what


def test_under_a_cap_an_unknown_price_is_noticed():
    budget = {"max_spend": 5}
    unknown = cup(model="sdxl")
    assert any("under max_spend it does not start" in notice for notice in whats(unknown, budget))
    for known in (cup(), unknown | {"price": 0.05}):
        assert not any("max_spend" in notice for notice in whats(known, budget))


def whats(job, budget):
    return [notice.what for notice in reviewed(job, budget=budget).notices]


def test_an_unused_field_is_noticed():
    (notice,) = reviewed(cup(matrix={"take": [1, 2]})).notices
    assert notice.key == "jobs[0].matrix.take"


def test_equal_ids():
    found = reviewed(cup(id="a"), cup(id="b"), cup(id="a"), cup(id="A"))
    assert [problem.key for problem in found.problems] == ["jobs[2].id", "jobs[3].id"]
    assert found.problems[0].what == 'the id "a" is already taken by a job of jobs[0]'
    assert "differ only by case" in found.problems[1].what


def test_an_automatic_id_may_meet_one_that_was_given():
    found = reviewed(cup(id="flux-pro-002"), cup())
    assert told(found.problems) == [
        ("jobs[1]", 'the id "flux-pro-002" is already taken by a job of jobs[0]')
    ]


def test_equal_output_paths():
    found = reviewed(cup(id="a"), cup(id="b"), output={"filename": "{model}"})
    assert told(found.problems) == [
        ("jobs[1].id", 'the output path "flux-pro" is already taken by a job of jobs[0]')
    ]


def test_equal_output_paths_by_case_over_folders():
    entry = cup(id="{n}-{s}", matrix={"s": ["a", "b"], "n": [1, 2]})
    other = cup(id="x-{s}-{n}", matrix={"s": ["A"], "n": [1]})
    found = reviewed(entry, other, output={"filename": "{s}/{n}"})
    (problem,) = found.problems
    assert problem.key == "jobs[1].id"
    assert 'the output path "A/1" and "a/1" of jobs[0] differ only by case' in problem.what
    assert "{id}" in problem.remedy


def test_a_job_whose_id_is_taken_is_not_told_about_its_path_as_well():
    entry = cup(id="{s}-{n}", matrix={"s": ["a", "A"], "n": [1, 2]})
    (problem,) = reviewed(entry, output={"filename": "{s}/{n}"}).problems
    assert problem.what.startswith('the id "A-1" and "a-1" of jobs[0]')
    assert problem.what.endswith("(and 1 more like it)")


def test_jobs_that_cannot_be_and_names_taken_are_told_together():
    found = reviewed(cup(id="a"), cup(id="b/c"), cup(id="a"))
    assert [problem.key for problem in found.problems] == ["jobs[1].id", "jobs[2].id"]
    assert found.job_count == 2


class Rows:
    """One source, whatever its name."""

    def __init__(self, *rows):
        self._rows = rows

    def open(self, name):
        self._name = name
        return self

    def rows(self):
        for number, fields in enumerate(self._rows, start=1):
            yield Row(self._name, number + 1, number, {**fields, "row": number})


def reviewed_rows(rows, *jobs, most_mistakes=None, **parts):
    value = {"version": 1, "name": "x", "jobs": list(jobs), **parts}
    text = Text(parse_manifest(value), load(), sources=Rows(*rows))
    reviewer = Reviewer(text, most_mistakes=most_mistakes)
    return reviewer, list(reviewer.jobs())


def places(problems):
    return [(problem.file, problem.line, problem.key) for problem in problems]


def test_what_a_row_gave_is_told_at_the_row_and_all_else_in_the_manifest():
    rows = [{"steps": 500}, {"steps": 20}, {"steps": 600}]
    entry = cup(**{"from": "r"}, params={"prompt": 3, "steps": "{steps}"})
    reviewer, _ = reviewed_rows(rows, entry)

    found = reviewer.conclude().problems

    assert places(found) == [("", 0, "jobs[0].params.prompt"), ("r", 2, "jobs[0].params.steps")]
    assert found[0].what.endswith("(and 2 more like it)")
    assert found[1].what == "steps is 500, out of range (and 1 more like it): r:4"


def test_a_prompt_that_a_row_leaves_out_is_told_at_the_row():
    reviewer, _ = reviewed_rows([{"p": None}], cup(**{"from": "r"}, params={"prompt": "{p}"}))
    (problem,) = reviewer.conclude().problems
    assert places([problem]) == [("r", 2, "jobs[0].params.prompt")]
    assert problem.what == "flux-pro needs the parameter prompt, and the field p is empty"
    assert "where: {p: {not: null}}" in problem.remedy


def test_the_first_rows_of_a_mistake_are_named():
    rows = [{"steps": 500 if number % 2 else 20} for number in range(40)]
    entry = cup(**{"from": "r"}, params={"prompt": "a cup", "steps": "{steps}"})
    (problem,) = reviewed_rows(rows, entry)[0].conclude().problems
    assert problem.what.endswith("(and 19 more like it): r:5, r:7, r:9, r:11, r:13 …")


def test_copies_whose_seeds_meet_are_refused():
    def seeded(*seeds, **changes):
        params = {"prompt": "a cup", "seed": "{s}"}
        return cup(matrix={"s": list(seeds)}, repeat=3, params=params, **changes)

    assert reviewed(seeded(1, 4), seeded(1, 4, id="b-{s}"), cup(repeat=3)).problems == ()
    found = reviewed(seeded(1, 3), cup(), seeded(1, 2, 9, id="b-{s}")).problems
    assert told(found) == [
        (
            f"jobs[{n}].repeat",
            f"{k} of its copies have the seed, and all else, of another: paid twice",
        )
        for n, k in ((0, 1), (2, 2))
    ]


def test_equal_ids_of_rows_are_told_with_both_lines():
    rows = [{"n": "a"}, {"n": "b"}, {"n": "A"}]
    reviewer, _ = reviewed_rows(rows, cup(**{"from": "r"}, id="{n}"))
    (problem,) = reviewer.conclude().problems
    assert (problem.file, problem.line, problem.key) == ("r", 4, "jobs[0].id")
    assert 'and "a" of jobs[0] (r:2) differ only by case' in problem.what


def test_a_review_may_end_at_the_first_mistakes():
    rows = [{"n": f"x/{number}"} for number in range(10)]
    reviewer, made = reviewed_rows(rows, cup(**{"from": "r"}, model="{n}"), most_mistakes=3)
    assert made == []
    (problem,) = reviewer.problems()
    assert problem.what.endswith("(and 2 more like it): r:3, r:4")


def test_fields_that_no_template_names_are_usual_in_rows():
    reviewer, _ = reviewed_rows([{"label": 3}], cup(**{"from": "r"}))
    assert reviewer.conclude().notices == ()
