"""The check of one model's params, made for very many jobs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from batchgen.core.catalog.model import Model, Parameter, ParameterType
from batchgen.core.catalog.validation import Finding, check, is_web_address

_NUMBERS = {int, float}


class Checker:
    """Says what `check` says. Nearly every value is as declared, so a quick test comes first."""

    def __init__(self, model: Model) -> None:
        self._model = model
        parameters = model.parameters.values()
        self._required = frozenset(p.name for p in parameters if p.required)
        self._required_count = len(self._required)
        self._has_limits = any(p.maximum_with_image is not None for p in parameters)
        self.tests = {parameter.name: _quick_test(parameter) for parameter in parameters}
        """By parameter: a cheap test that passes only where there is nothing to say."""

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """What the page of the model declares, by name."""
        return self._model.parameters

    def check(self, params: Mapping[str, Any]) -> tuple[Finding, ...]:
        """Everything to be said about `params`, errors first."""
        tests, required = self.tests, self._required
        missing = self._required_count
        for name, value in params.items():
            test = tests.get(name)
            if test is None or not test(value):
                return check(self._model, params)
            missing -= name in required
        return check(self._model, params) if missing or self._has_limits else ()

    def tests_suffice(self, names: AbstractSet[str]) -> bool:
        """Whether nothing is to be said about params of these names whose tests all pass."""
        return self._required <= names <= self.tests.keys() and not self._has_limits


def _quick_test(parameter: Parameter) -> Callable[[Any], bool]:
    low = -sys.float_info.max if parameter.minimum is None else parameter.minimum
    high = sys.float_info.max if parameter.maximum is None else parameter.maximum
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
    if parameter.type is ParameterType.URI:
        return lambda value: type(value) is str and is_web_address(value)
    if parameter.type is ParameterType.NUMBER:
        return lambda value: type(value) in _NUMBERS and low <= value <= high
    return lambda _value: parameter.type is ParameterType.ANY
