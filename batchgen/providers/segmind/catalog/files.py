"""The catalogue's data files, read once.

They ship with the package and are trusted: PyYAML's safe loader in C reads them in a millisecond.
It follows YAML 1.1, so values such as "16:9" stand in quotes there; a test holds the files against
the strict reader of manifests.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from batchgen.core.catalog.facts import facts_of
from batchgen.core.catalog.model import Catalog, Model, Source

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@cache
def load() -> Catalog:
    """The catalogue that ships with batchgen; read at the first call, the same object after."""
    folder = files("batchgen.providers.segmind.catalog") / "models"
    texts = [entry.read_text("utf-8") for entry in folder.iterdir() if entry.name.endswith(".yaml")]
    return Catalog({model.slug: model for model in map(parse_model, texts)})


def parse_model(text: str) -> Model:
    """One data file as a model; KeyError, TypeError or ValueError where the file is broken."""
    data = yaml.load(text, Loader=LOADER)  # noqa: S506  a safe loader, in C where there is one
    return facts_of(data).over(None, Source.PAGE)
