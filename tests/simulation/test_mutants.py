"""Every deliberate bug of the protocol is caught, and by whom is known."""

from __future__ import annotations

import pytest

from tests.simulation.mutant import Mutant, texts_of
from tests.simulation.mutants import MUTANTS, ROOT, SURVIVED, catchers, table

EVERY_DAY = frozenset(
    {"intent-after-post", "adoption-ignores-our-ledger", "another-body-after-a-restart"}
)
"""These show in `make test` that mutants are made and caught, by nights and by tests; `make sim`
lets all loose. That the judge finds each kind of guilt is in `test_oracle`."""


def test_the_place_of_every_mutant_stands_once():
    texts = texts_of(ROOT / "batchgen")
    for mutant in MUTANTS:
        path, mutated = mutant.applied_to(texts)
        assert texts[path] != mutated


def test_a_mutant_without_a_place_is_noticed(tmp_path):
    (tmp_path / "a.py").write_text("x = 1\nx = 1\n")
    with pytest.raises(ValueError, match="2 times"):
        Mutant("twice", "nothing", "x = 1", "x = 2").apply_in(tmp_path)
    with pytest.raises(ValueError, match="nowhere"):
        Mutant("never", "nothing", "y = 1", "y = 2").apply_in(tmp_path)


def test_mutants_have_names_of_their_own():
    names = {mutant.name for mutant in MUTANTS}
    assert len(names) == len(MUTANTS) >= 20
    assert names > EVERY_DAY


@pytest.mark.processes
@pytest.mark.parametrize(
    "mutant",
    [
        pytest.param(
            mutant, id=mutant.name, marks=[pytest.mark.hunt] * (mutant.name not in EVERY_DAY)
        )
        for mutant in MUTANTS
    ],
)
def test_every_mutant_is_caught(mutant):
    caught = catchers([mutant])
    assert caught[mutant.name] != SURVIVED
    assert f"| {mutant.name} | {mutant.breaks} | {caught[mutant.name]} |" in table(caught)
