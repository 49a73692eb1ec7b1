"""An empty directory to work in, and services to talk to."""

import pytest

from tests.cli.conftest import service, simulate
from tests.cli.processes import IMAGE

__all__ = ["service", "simulate"]

V1 = {"model": "flux-kontext-dev", "api": "v1", "params": dict(IMAGE)}
"""Jobs that a healthy simulator ends within milliseconds."""
FREE = {"requests_per_minute": None, "concurrency": 32}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The current directory, without a service."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEGMIND_API_KEY", raising=False)
    monkeypatch.delenv("SEGMIND_BASE_URL", raising=False)
    return tmp_path


@pytest.fixture
def talk(here, monkeypatch):
    """Has this process talk to a simulator."""

    def to(simulator):
        for name, value in simulator.env.items():
            monkeypatch.setenv(name, value)
        return simulator

    return to
