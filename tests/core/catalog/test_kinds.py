"""What a model makes, from what is declared of it."""

from __future__ import annotations

import pytest

from batchgen.core.catalog.kinds import kind_of, kinds_of
from batchgen.core.catalog.model import Model, Parameter, ParameterType
from batchgen.core.jobs.spec import Mode, ModelKind
from batchgen.core.media.formats import AUDIO, FILE, IMAGE, MODEL, TEXT, VIDEO


def model(output, *names):
    parameters = {name: Parameter(name, ParameterType.STRING) for name in names}
    return Model("a", "A", "", Mode.QUEUED, None, None, output, parameters, {})


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
    assert kind_of(model(output, *names)) is kind
    assert kinds_of([model(output, *names)]) == ({} if kind is ModelKind.UNKNOWN else {"a": kind})
