"""`repeat`: what makes the copies of a job differ.

Copies with equal bodies would be the same job, paid several times, and nothing could tell them
apart in the account's history. So each has a seed of its own, unless the params name `{repeat}`
themselves. A seed that is given is the first copy's and goes up by one; where the catalogue knows
that the model takes a seed and none is given, the first one follows from the job's id, so that it
is the same in every run. Of a model outside the catalogue, or whose parameters nobody vouches for,
nobody knows whether it takes one: there it has to be given.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from batchgen.core.catalog.model import Model, Parameter
from batchgen.core.catalog.validation import shown

COPY_NUMBER = "repeat"
"""The field that counts the copies of a job, from 1."""
SEED = "seed"
"""What the service's models call it."""
_SEEDS = 2**31
"""Seeds made here are below: what every model takes that takes one."""


class CopyError(ValueError):
    """A job that cannot be repeated; `remedy` does not depend on its values."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.remedy = remedy


def seed_of_copy(
    params: Mapping[str, Any], copy: int, name: str, slug: str, model: Model | None
) -> int:
    """The seed of one copy, counted from 1. Raises `CopyError`.

    `name` is the job's id without the number of the copy; `model` is None outside the catalogue.
    """
    given = params.get(SEED)
    if given is not None:
        if type(given) is not int:
            what = f"seed is {shown(given)}, and copies count up from a whole number"
            raise CopyError(what, "give a whole number; of a cell, with types: {seed: integer}")
        return given + copy - 1
    parameter = model.parameters.get(SEED) if model else None
    if parameter is None:
        is_sure = model is not None and bool(model.parameters) and not model.is_third_hand
        way = "leave repeat out" if is_sure else "give it a seed (params: {seed: 1})"
        knows = "takes no seed" if is_sure else "is not known to take a seed"
        knows = "is not in the catalogue" if model is None else knows
        what = f"{slug} {knows}: its copies would be equal jobs, paid several times"
        raise CopyError(what, f"{way}, or name {{{COPY_NUMBER}}} in a parameter")
    return _derived(name, slug, parameter, copy)


def _derived(name: str, slug: str, parameter: Parameter, copy: int) -> int:
    low = max(0, int(parameter.minimum or 0))
    high = _SEEDS - 1 if parameter.maximum is None else min(_SEEDS - 1, int(parameter.maximum))
    if low > high:  # a range of the service's list, which may be wrong
        low, high = 0, _SEEDS - 1
    text = f"{slug}\n{name}".encode("utf-8", "surrogatepass")
    first = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")
    return low + (first + copy - 1) % (high - low + 1)
