"""Places to run in, and simulators that end with the test."""

from pathlib import Path

import pytest

from tests.cli.processes import Place, Simulator, SimulatorInside


@pytest.fixture
def place(tmp_path):
    path = tmp_path / "here"
    path.mkdir()
    return Place(path)


@pytest.fixture(scope="session")
def service(tmp_path_factory):
    """One healthy simulator for all tests, a process; they tell their jobs apart by the prompts."""
    simulator = Simulator(tmp_path_factory.mktemp("service"))
    yield simulator
    assert simulator.stop() == 0


@pytest.fixture
def simulate():
    """Starts simulators with settings of their own, in threads of this process."""
    started = []

    def start(**config):
        started.append(SimulatorInside(**config))
        return started[-1]

    yield start
    codes = [simulator.stop() for simulator in started]
    assert set(codes) <= {0}


@pytest.fixture(scope="session")
def repository():
    return Path(__file__).parents[2]
