"""The models as data, one file a model, and the check of parameters against them.

catalog = load()
model = catalog.get("flux-kontext-pro")
findings = check(model, {"prompt": "a cup"})
"""

from __future__ import annotations

from batchgen.core.catalog.model import Catalog, Model, Parameter, ParameterType
from batchgen.core.catalog.validation import Finding, Severity, check
from batchgen.providers.segmind.catalog.files import load

__all__ = [
    "Catalog",
    "Finding",
    "Model",
    "Parameter",
    "ParameterType",
    "Severity",
    "check",
    "load",
]
