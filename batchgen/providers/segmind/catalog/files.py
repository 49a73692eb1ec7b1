"""The catalogue's data files, read once.

They ship with the package and are trusted: PyYAML's safe loader in C reads them in a millisecond.
It follows YAML 1.1, so values such as "16:9" stand in quotes there; a test holds the files against
the strict reader of manifests.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from batchgen.core.catalog.model import Catalog, Model, Parameter, ParameterType
from batchgen.core.jobs.spec import Mode
from batchgen.core.media.formats import FAMILIES

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@cache
def load() -> Catalog:
    """The catalogue that ships with batchgen; read at the first call, the same object after."""
    folder = files("batchgen.providers.segmind.catalog") / "models"
    texts = [entry.read_text("utf-8") for entry in folder.iterdir() if entry.name.endswith(".yaml")]
    return Catalog({model.slug: model for model in map(parse_model, texts)})


def parse_model(text: str) -> Model:
    """One data file as a model; KeyError, TypeError or ValueError where the file is broken."""
    data = yaml.load(text, Loader=_Loader)  # noqa: S506  a safe loader, in C where there is one
    parameters = {name: _parameter(name, values) for name, values in data["parameters"].items()}
    return Model(
        slug=data["slug"],
        name=data["name"],
        summary=data["summary"],
        page_api=Mode(data["page_api"]),
        latency_s=data["latency_s"],
        price_usd=data["price_usd"],
        output=FAMILIES[data["output"]],
        parameters=parameters,
        example=data["example"],
    )


def _parameter(name: str, values: Mapping[str, Any]) -> Parameter:
    known = dict(values)
    minimum, maximum = known.pop("range", (None, None))
    return Parameter(
        name=name,
        type=ParameterType(known.pop("type")),
        has_default="default" in known,
        minimum=minimum,
        maximum=maximum,
        allowed=tuple(known.pop("allowed", ())),
        **known,
    )
