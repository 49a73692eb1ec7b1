"""Every deliberate bug of the protocol is caught, and by whom is known."""

from __future__ import annotations

import pytest

from tests.simulation.mutants import MUTANTS, ROOT, SURVIVED, catchers, table


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_place_of_a_mutant_still_stands_once(mutant):
    text = (ROOT / mutant.file).read_text()
    mutated = mutant.applied_to(text)
    assert mutated != text
    compile(mutated, mutant.file, "exec")


def test_mutants_have_names_of_their_own():
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 20


EVERY_DAY = 2
"""So many of five are let loose in `make test`; `make sim` has all of them."""


@pytest.mark.processes
@pytest.mark.parametrize(
    "mutant",
    [
        pytest.param(mutant, id=mutant.name, marks=[pytest.mark.hunt] * (place % 5 >= EVERY_DAY))
        for place, mutant in enumerate(MUTANTS)
    ],
)
def test_every_mutant_is_caught(mutant):
    caught = catchers([mutant])
    assert caught[mutant.name] != SURVIVED
    assert f"| {mutant.name} | {mutant.breaks} | {caught[mutant.name]} |" in table(caught)
