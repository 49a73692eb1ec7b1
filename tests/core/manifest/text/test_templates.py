"""Templates: what they fill, what they refuse, and that nothing else is ever read into them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.manifest.text.templates import (
    TemplateError,
    as_text,
    compile_value,
    names_in,
    parse,
)

FIELDS = {"style": "ink", "seed": 3, "ratio": 1.5, "bold": True, "none": None}


def filled(value, fields=None):
    given_fields = FIELDS if fields is None else fields
    return compile_value(value, set(given_fields))(given_fields)


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("", ""),
        ("plain", "plain"),
        ("{style}", "ink"),
        ("{seed}", 3),
        ("{ratio}", 1.5),
        ("{bold}", True),
        ("{none}", None),
        (" {seed}", " 3"),
        ("a {style} cup, {seed}", "a ink cup, 3"),
        ("{bold}{ratio}", "true1.5"),
        ("{{seed}}", "{seed}"),
        ("{{{seed}}}", "{3}"),
        ("{{", "{"),
        ("}}", "}"),
        ("{{}}", "{}"),
        ('{{"a": {seed}}}', '{"a": 3}'),
        ("{{{{seed}}}}", "{{seed}}"),
        (["{seed}", {"k": "{style}!"}, 7, None], [3, {"k": "ink!"}, 7, None]),
        ({"{seed}": "{seed}"}, {"{seed}": 3}),
        (("{seed}",), [3]),
    ],
)
def test_filled(template, value):
    result = filled(template)
    assert result == value
    assert type(result) is type(value)


def test_values_are_not_templates_themselves():
    assert filled("a {style}", {"style": "{seed} {{x}}"}) == "a {seed} {{x}}"


def test_null_stands_alone_or_in_a_name_but_in_no_text():
    assert parse("{style}{none}", FIELDS).text(FIELDS, as_text) == "inknull"
    for text in ("a {none} cup", ["x", "{style}{none}"]):
        with pytest.raises(TemplateError, match="the field none is empty") as caught:
            filled(text)
        assert "where: {none: {not: null}}" in caught.value.remedy


@pytest.mark.parametrize(
    ("template", "phrase", "remedy"),
    [
        ("{stile}", "{stile} is no field here", "did you mean {style}?"),
        ("{zzz}", "{zzz} is no field here", "bold, none, ratio, seed, style"),
        ("{", "the { at character 1", "write {{"),
        ("a }", "the } at character 3", "write }}"),
        ("{}", "the { at character 1", "write {{"),
        ("{ seed }", "the { at character 1", "write {{"),
        ("{seed!r}", "not part of a field", "write {{"),
        ("{seed:>5}", "not part of a field", "write {{"),
        ("{seed.__class__}", "not part of a field", "write {{"),
        ("{seed[0]}", "not part of a field", "write {{"),
        ("{0}", "not part of a field", "write {{"),
        ("{{seed}", "the } at character 7", "write }}"),
        ('{"a": 1}', "the { at character 1", "write {{"),
        ("{ſeed}", "not part of a field", "write {{"),
        ("line\x1b {", "the { at character 7", "write {{"),
    ],
)
def test_refused(template, phrase, remedy):
    with pytest.raises(TemplateError) as caught:
        parse(template, FIELDS)
    assert phrase in caught.value.what
    assert remedy in caught.value.remedy
    assert (caught.value.what + caught.value.remedy).isprintable()
    assert caught.value.path == ()


def test_without_fields_the_remedy_is_a_matrix_or_literal_braces():
    with pytest.raises(TemplateError) as caught:
        parse("{style}", ())
    assert "without a matrix" in caught.value.what
    assert "{{style}}" in caught.value.remedy


def test_the_path_of_a_refusal_leads_to_the_text():
    with pytest.raises(TemplateError) as caught:
        compile_value({"a": ["ok", {"b": "{x}"}]}, set())
    assert caught.value.path == ("a", 1, "b")


def test_the_parts_of_a_template():
    template = parse("a {style}-{seed}{style} {{", FIELDS)
    assert template.names == {"style", "seed"}
    assert template.literal == "a - {"
    assert template.text(FIELDS, write=lambda value: f"<{value}>") == "a <ink>-<3><ink> {"


def test_names_in_finds_fields_known_or_not():
    assert names_in(["{a} {{b}}", {"k": "{c}{a}"}, ("{d}",), 1, None]) == {"a", "c", "d"}


@given(st.text())
def test_literal_text_comes_back_when_its_braces_are_doubled(text):
    doubled = text.replace("{", "{{").replace("}", "}}")
    assert filled(doubled, {}) == text


@given(st.text(), st.text(), st.text())
def test_a_field_is_put_in_as_it_is(before, value, after):
    double = str.maketrans({"{": "{{", "}": "}}"})
    text = f"{before.translate(double)} {{x}} {after.translate(double)}"
    assert filled(text, {"x": value}) == f"{before} {value} {after}"


@given(st.text(alphabet="{}ax_.!:[]0 ", max_size=12))
def test_any_text_is_a_template_or_refused(text):
    try:
        template = parse(text, {"a", "x"})
    except TemplateError as error:
        reason = error.what
    else:
        reason = ""
        assert template.names <= {"a", "x"}
        assert names_in(text) == template.names
    assert bool(reason) == (not _is_template(text))


def _is_template(text):
    """The grammar once more, as plainly as possible."""
    for part in ("{{", "}}", "{a}", "{x}"):
        if text.startswith(part):
            return _is_template(text[len(part) :])
    return not text or (text[0] not in "{}" and _is_template(text[1:]))


@pytest.mark.parametrize(
    ("value", "text"), [(1, "1"), (1.0, "1.0"), (False, "false"), (None, "null"), ("é", "é")]
)
def test_as_text(value, text):
    assert as_text(value) == text
