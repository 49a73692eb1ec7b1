"""The models as data, one file a model, and the check of parameters against them.

catalog = load()
model = catalog.get("flux-kontext-pro")
findings = check(model, {"prompt": "a cup"})
"""

from __future__ import annotations

from batchgen.catalog.files import load
from batchgen.core.check import Finding, Severity, check
from batchgen.core.model import Catalog, Model, OutputKind, Parameter, ParameterType

__all__ = [
    "Catalog",
    "Finding",
    "Model",
    "OutputKind",
    "Parameter",
    "ParameterType",
    "Severity",
    "check",
    "load",
]
