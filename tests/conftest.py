"""What holds for every test."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

# What somebody's own `batchgen models --update` wrote is nothing to a test.
os.environ["BATCHGEN_MODELS"] = "/nonexistent"

# A loaded machine generates slowly: that is no fault of a strategy, and no test asserts times.
# `make test` has minutes for everything: HYPOTHESIS=thorough looks at more examples.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("patient", PATIENT, max_examples=50)
settings.register_profile("thorough", PATIENT, max_examples=1_000)
settings.load_profile(os.environ.get("HYPOTHESIS", "patient"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two more than there are cores: the tests of the command line wait half of their time."""
    return (os.cpu_count() or 1) + 2


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected lives to the end: to look for garbage in it takes a tenth of all time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


COVERING = ("tests/core/", "tests/providers/", "tests/runner/")
"""The tests that count for the coverage of the core. It slows all others for nothing."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests begin first: one that begins last would be waited for by all workers."""
    for item in items:
        if not item.nodeid.startswith(COVERING):
            item.add_marker(pytest.mark.no_cover)
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
