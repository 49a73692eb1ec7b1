"""What a model makes, from what is declared of it."""

from __future__ import annotations

import pytest

from batchgen.core.catalog.kinds import kind_of, known_kinds
from batchgen.core.catalog.model import Catalog, Model, Parameter, ParameterType, Source
from batchgen.core.jobs.spec import Mode, ModelKind
from batchgen.core.media.formats import AUDIO, FILE, IMAGE, MODEL, TEXT, VIDEO


def model(output, *names, source=Source.PAGE):
    parameters = {name: Parameter(name, ParameterType.STRING) for name in names}
    return Model("a", "A", "", Mode.QUEUED, None, None, output, parameters, {}, source=source)


@pytest.mark.parametrize(
    ("output", "names", "kind"),
    [
        (IMAGE, [], ModelKind.MEDIA),
        (VIDEO, ["messages"], ModelKind.MEDIA),
        (AUDIO, ["prompt"], ModelKind.MEDIA),
        (MODEL, ["image"], ModelKind.MEDIA),
        (TEXT, ["prompt", "aspect_ratio", "steps"], ModelKind.MEDIA),
        (TEXT, ["prompt", "temperature"], ModelKind.TEXT),
        (TEXT, ["messages"], ModelKind.TEXT),
        (TEXT, ["image"], ModelKind.UNKNOWN),
        (TEXT, [], ModelKind.UNKNOWN),
        (TEXT, ["messages", "aspect_ratio"], ModelKind.UNKNOWN),
        (FILE, ["prompt"], ModelKind.UNKNOWN),
        (FILE, ["num_frames"], ModelKind.MEDIA),
        (FILE, ["max_tokens"], ModelKind.TEXT),
    ],
)
def test_a_page_is_believed_unless_its_parameters_tell_otherwise(output, names, kind):
    kinds = known_kinds(Catalog({"a": model(output, *names)}))

    assert kind_of(model(output, *names)) is kind
    assert dict(kinds) == ({} if kind is ModelKind.UNKNOWN else {"a": kind})
    assert (len(kinds), kinds.get("a"), kinds.get("b")) == (
        len(dict(kinds)),
        dict(kinds).get("a"),
        None,
    )


@pytest.mark.parametrize(
    ("output", "names", "kind"),
    [
        (IMAGE, [], ModelKind.MEDIA),
        (IMAGE, ["prompt", "seed"], ModelKind.MEDIA),
        (VIDEO, ["messages"], ModelKind.UNKNOWN),
        (VIDEO, ["messages", "fps"], ModelKind.MEDIA),
        (TEXT, ["messages"], ModelKind.TEXT),
    ],
)
def test_the_list_is_believed_unless_its_parameters_are_those_of_texts(output, names, kind):
    assert kind_of(model(output, *names, source=Source.LIST)) is kind
