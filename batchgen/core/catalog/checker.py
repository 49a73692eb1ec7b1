"""The check of one model's params, made for very many jobs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from batchgen.core.catalog.model import Model, Parameter, ParameterType
from batchgen.core.catalog.validation import Finding, check


class Checker:
    """Says what `check` says. Nearly every value is as declared, so a quick test comes first."""

    def __init__(self, model: Model) -> None:
        self._model = model
        parameters = model.parameters.values()
        self._required = frozenset(p.name for p in parameters if p.required)
        self._required_count = len(self._required)
        self._has_limits = any(p.maximum_with_image is not None for p in parameters)
        self._quick = {parameter.name: _quick_test(parameter) for parameter in parameters}

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """What the page of the model declares, by name."""
        return self._model.parameters

    def check(self, params: Mapping[str, Any]) -> tuple[Finding, ...]:
        """Everything to be said about `params`, errors first."""
        quick, required = self._quick, self._required
        missing = self._required_count
        for name, value in params.items():
            test = quick.get(name)
            if test is None or not test(value):
                return check(self._model, params)
            missing -= name in required
        return check(self._model, params) if missing or self._has_limits else ()


def _quick_test(parameter: Parameter) -> Callable[[Any], bool]:
    """A cheap test that passes only where there is nothing to say."""
    low = -math.inf if parameter.minimum is None else parameter.minimum
    high = math.inf if parameter.maximum is None else parameter.maximum
    if parameter.allowed:
        wants_text = parameter.type is ParameterType.STRING
        allowed = {value for value in parameter.allowed if wants_text and isinstance(value, str)}
        return lambda value: type(value) is str and value in allowed
    if parameter.type is ParameterType.STRING:
        return lambda value: type(value) is str
    if parameter.type is ParameterType.INTEGER:
        return lambda value: type(value) is int and low <= value <= high
    if parameter.type is ParameterType.BOOLEAN:
        return lambda value: type(value) is bool
    return lambda _value: False
