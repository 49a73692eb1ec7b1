"""`run --serve`: the page beside a run, and a run that goes on without it."""

import socket
import sys

import pytest

from batchgen.cli.live_page import serve_page
from batchgen.cli.serve import DEFAULT_PORT
from batchgen.system.clock import SystemClock
from batchgen.system.run_directory import RunDirectory
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


async def test_a_run_goes_on_without_its_page(tmp_path, capsys):
    (tmp_path / "state.db").write_text("no database")
    went_on = False
    async with serve_page(RunDirectory(tmp_path), SystemClock()):
        went_on = True
    assert went_on
    assert "no page: " in capsys.readouterr().err


def test_without_the_library_of_prometheus_only_its_metrics_are_missing(
    place, service, monkeypatch
):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.delitem(sys.modules, "batchgen.web.metrics", raising=False)
    place.manifest(1, name="unmeasured")
    ended = place.at(service).inside("run", "batch.yaml", "--serve")
    assert ended.code == 0
    assert "page: http://127.0.0.1:" in ended.err
