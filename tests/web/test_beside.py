"""`run --serve`: the page beside a run, and a run that goes on without it."""

import json
import socket
import sys

import pytest

from batchgen.cli.serve import DEFAULT_PORT
from tests.cli.processes import Simulator


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    simulator = Simulator(tmp_path_factory.mktemp("service"))
    yield simulator
    assert simulator.stop() == 0


def test_a_run_has_a_page_even_where_its_usual_port_is_taken(place, service):
    place.manifest(2, name="paged")
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", DEFAULT_PORT))
            taken.listen()
        except OSError:
            pass  # somebody else has it: that is what the test needs
        ended = place.at(service).inside("run", "batch.yaml", "--serve", "--json")
    assert ended.code == 0
    assert ended.json["counts"] == {"done": 2}
    assert "page: http://127.0.0.1:" in ended.err
    assert f":{DEFAULT_PORT}/" not in ended.err


def test_a_run_goes_on_without_its_page(place, service, monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    place.manifest(1, name="unpaged")
    ended = place.at(service).inside("run", "batch.yaml", "--serve")
    assert ended.code == 0
    assert "no page: /metrics is made by prometheus-client" in ended.err
    assert "pip install 'batchgen[serve]'" in ended.err
    assert json.loads((place.path / "runs/unpaged/outputs/metadata.jsonl").read_text())
