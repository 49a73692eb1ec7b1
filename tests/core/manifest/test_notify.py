"""`notify` and `on_finish` in a manifest, and the settings that are noted."""

from __future__ import annotations

import json

import pytest

from batchgen.core.forecast.run_settings import SETTINGS_NOTE, budget_of, pace_of, settings_text
from batchgen.core.manifest.notice_kinds import NoticeKind
from batchgen.core.manifest.schema import parse_manifest
from batchgen.errors import ManifestError


def manifest(**parts):
    return parse_manifest({"version": 1, "name": "cups", "jobs": [{"id": "a"}], **parts})


def test_by_default_nobody_is_told_anything():
    made = manifest()
    assert (made.notify.env, made.on_finish.words) == ([], [])


def test_who_is_told_what():
    made = manifest(notify={"env": ["NTFY_URL"], "on": ["finished", "budget"], "timeout": "5s"})
    assert made.notify.on == [NoticeKind.FINISHED, NoticeKind.BUDGET]
    assert made.notify.timeout == 5
    assert manifest(notify={"env": ["A"]}).notify.on == list(NoticeKind)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("./done.sh 'two words' x", ["./done.sh", "two words", "x"]),
        (["./done.sh", "two words"], ["./done.sh", "two words"]),
        ({"command": "./done.sh a|b"}, ["./done.sh", "a|b"]),
        ({"command": "a | b", "shell": True}, ["/bin/sh", "-c", "a | b"]),
        ({"timeout": "2m"}, []),
        ({"command": None}, []),
    ],
)
def test_a_command(written, words):
    assert manifest(on_finish=written).on_finish.words == words


SECRET = "https://user:secret@example.com/hook"


@pytest.mark.parametrize(
    ("parts", "key", "said"),
    [
        ({"notify": {"env": [SECRET]}}, "notify.env[0]", "not the name of an environment variable"),
        ({"notify": {"env": "NTFY_URL"}}, "notify.env", "a list is needed"),
        ({"notify": {"env": ["A"], "on": ["finish"]}}, "notify.on[0]", "did you mean finished?"),
        ({"notify": {"env": ["A"], "on": []}}, "notify.on", "empty"),
        ({"notify": {"urls": ["A"]}}, "notify.urls", "unknown"),
        ({"on_finish": 3}, "on_finish", "mapping"),
        ({"on_finish": ""}, "on_finish.command", "is empty"),
        ({"on_finish": []}, "on_finish.command", "neither a text nor a list"),
        ({"on_finish": ["a", 1]}, "on_finish.command", "neither a text nor a list"),
        ({"on_finish": "a \0"}, "on_finish.command", "NUL"),
        ({"on_finish": "say 'x"}, "on_finish", "close the quotes"),
        ({"on_finish": "''"}, "on_finish", "is empty"),
        ({"on_finish": {"command": ["a"], "shell": True}}, "on_finish", "a shell takes one text"),
        ({"on_finish": {"command": "a", "timeout": "2h"}}, "on_finish.timeout", "at most 3,600 s"),
    ],
)
def test_mistakes_are_told_with_their_place(parts, key, said):
    with pytest.raises(ManifestError) as raised:
        manifest(**parts)
    (problem,) = raised.value.problems
    assert problem.key == key
    assert said in str(problem)
    assert "secret" not in str(problem), "it may be the address itself"


def test_settings_are_noted_with_what_the_command_line_put_over_them():
    made = manifest(
        budget={"concurrency": 4, "models": {"flux-pro": {"concurrency": 2}}},
        notify={"env": ["NTFY_URL"]},
        on_finish="./done.sh",
    )
    text = settings_text(made, requests_per_minute=7, max_spend=None)
    assert "NTFY_URL" not in text
    assert "done.sh" not in text
    assert json.loads(text)["name"] == "cups"
    budget = budget_of({SETTINGS_NOTE: text})
    assert (budget.concurrency, budget.requests_per_minute, budget.max_spend) == (4, 7, None)
    assert pace_of(budget).models["flux-pro"].concurrency == 2


@pytest.mark.parametrize("text", [None, "", "[]", "{", '{"budget": 3}', '{"budget": {"new": 1}}'])
def test_settings_of_another_version_are_the_usual_ones(text):
    assert budget_of({} if text is None else {SETTINGS_NOTE: text}).concurrency == 16
