"""`doctor` against simulators that ail, and on this machine."""

import os
import shutil
import sqlite3
import threading
from contextlib import closing, contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from socket import socket

import pytest

from batchgen.app.doctor.machine import kind_of
from batchgen.store.sqlite.state import SqliteState
from tests.cli.processes import KEY, environment


def lines(ended):
    return {line["name"]: line for line in ended.json["checks"]}


def levels(ended):
    return {name: line["level"] for name, line in lines(ended).items()}


def test_all_is_well(place, service):
    there = place.at(service)
    ended = there.call("doctor")
    assert (ended.code, ended.err) == (0, "")
    shown = ended.out.splitlines()
    assert shown[-1] in ("ready", "ready; 1 to know of")
    assert [line.split()[1] for line in shown[:-1] if not line.startswith(" ")] == [
        *("key", "service", "network", "account", "clock", "credits"),
        *("disk", "file", "open", "versions", "libraries"),
    ]
    assert KEY not in ended.text
    told = lines(there.inside("doctor", "--json"))
    assert told["credits"]["level"] == told["clock"]["level"] == "ok"
    assert "SQLite" in told["versions"]["what"]


def test_without_a_key_there_is_the_rehearsal(place, service):
    env = environment(SEGMIND_BASE_URL=service.url)
    ended = type(place)(place.path, env).inside("doctor", "--json")
    assert ended.code == 1
    assert "rehearse with --simulate" in lines(ended)["key"]["what"]
    assert levels(ended)["network"] == "ok"
    assert "account" not in levels(ended)


@pytest.mark.parametrize(
    ("settings", "name", "level", "what"),
    [
        ({"keys": ["SG_aaaaaaaaaaaaaaaa"]}, "account", "fail", "refused (HTTP 401"),
        ({"faults": [{"where": "credits", "kind": "drop_before"}]}, "account", "fail", "no whole"),
    ],
)
def test_what_the_service_says_against_it(place, simulate, settings, name, level, what):
    ended = place.at(simulate(**settings)).inside("doctor", "--json")
    assert ended.code == 1
    assert lines(ended)[name]["level"] == level
    assert what in lines(ended)[name]["what"]
    assert lines(ended)[name]["remedy"]
    assert KEY not in ended.text


@pytest.mark.processes
def test_an_account_without_a_balance_record(place, simulate):
    """The key is good; what is missing is money, or the right workspace."""
    ended = place.at(simulate(credits_record=False)).call("doctor")
    assert ended.code == 0
    assert "the key is accepted; the account has no balance record" in ended.out
    assert "top up at Segmind, in the workspace" in ended.out


def test_an_address_with_nothing_of_the_service(place, simulate):
    told = lines(place.at(simulate(unrouted_paths=["/"])).inside("doctor", "--json"))["account"]
    assert told["level"] == "fail"
    assert "nothing of the service is at this address" in told["what"]
    assert "unset SEGMIND_BASE_URL" in told["remedy"]


def test_a_key_that_gets_lost_on_its_way(place, simulate):
    lost = {"error": "Missing Authorization or x-api-key in header"}
    rule = {"where": "credits", "kind": "answer", "status": 401, "body": lost}
    told = lines(place.at(simulate(faults=[rule])).inside("doctor", "--json"))["account"]
    assert "lost on its way" in told["remedy"]


def test_nobody_listens(place):
    with closing(socket()) as taken:
        taken.bind(("127.0.0.1", 0))  # and never listens
        env = environment(
            SEGMIND_API_KEY=f" {KEY}x",
            SEGMIND_BASE_URL=f"http://127.0.0.1:{taken.getsockname()[1]}",
        )
        ended = type(place)(place.path, env).inside("doctor", "--json")
    assert ended.code == 1
    assert levels(ended)["key"] == "warn"
    assert "no connection" in lines(ended)["network"]["what"]
    assert "account" not in levels(ended)


def test_a_name_that_nobody_has(place):
    """One that cannot be: no name server has to be asked."""
    env = environment(SEGMIND_API_KEY=KEY, SEGMIND_BASE_URL=f"https://{'x' * 64}.example")
    ended = type(place)(place.path, env).inside("doctor", "--json")
    assert (ended.code, levels(ended)["network"]) == (1, "fail")
    assert "its name does not resolve" in lines(ended)["network"]["what"]


def test_an_address_that_may_not_have_the_key(place):
    env = environment(SEGMIND_API_KEY=KEY, SEGMIND_BASE_URL="http://192.0.2.1")
    ended = type(place)(place.path, env).inside("doctor", "--json")
    assert (ended.code, levels(ended)["network"]) == (1, "fail")
    assert "base URL" in lines(ended)["network"]["what"]


def test_a_proxy_that_is_away_is_told_without_its_password(place):
    with closing(socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        proxy = f"127.0.0.1:{taken.getsockname()[1]}"
        env = environment(
            SEGMIND_API_KEY=KEY,
            SEGMIND_BASE_URL="https://segmind.invalid",
            HTTPS_PROXY=f"http://me:secret@{proxy}",
        )
        ended = type(place)(place.path, env).inside("doctor", "--json")
    told = lines(ended)["network"]
    assert (ended.code, told["level"], "HTTPS_PROXY" in told["remedy"]) == (1, "fail", True)
    assert f"segmind.invalid through the proxy {proxy}: no connection" in told["what"]
    assert "secret" not in ended.text


def test_a_host_that_speaks_no_tls(place, service):
    env = environment(SEGMIND_API_KEY=KEY, SEGMIND_BASE_URL=service.url.replace("http:", "https:"))
    ended = type(place)(place.path, env).inside("doctor", "--json")
    assert (ended.code, "no TLS" in lines(ended)["network"]["what"]) == (1, True)
    assert "account" not in levels(ended)


@contextmanager
def clock_off_by(seconds, now):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response_only(200)
            self.send_header("Date", formatdate(now + seconds, usegmt=True))
            body = b'{"credits": 5.0}'
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(("seconds", "side"), [(3700, "behind"), (-3700, "ahead of")])
def test_a_clock_that_is_off(place, seconds, side, tmp_path):
    now = tmp_path.stat().st_mtime
    with clock_off_by(seconds, now) as url:
        env = environment(SEGMIND_API_KEY=KEY, SEGMIND_BASE_URL=url)
        ended = type(place)(place.path, env).inside("doctor", "--json")
    assert (ended.code, levels(ended)["clock"]) == (0, "warn")
    assert f"1 h 01 min {side} the service's" in lines(ended)["clock"]["what"]


def test_the_record_of_a_run(place, service, tmp_path):
    there = place.at(service)
    manifest = there.manifest(2, "recorded")
    ready = lines(there.inside("doctor", manifest, "--json"))
    assert "can be run" in ready["manifest"]["what"]
    assert "state" not in ready
    assert there.inside("run", manifest, "--limit", "1").code == 1
    told = lines(there.inside("doctor", "runs/recorded", "--json"))
    assert (told["state"]["level"], told["jobs"]["what"]) == ("ok", "1 pending, 1 done")
    assert "reckoned at $0.04" in told["credits"]["what"]

    run = there.path / "runs/recorded"
    (run / "run.lock").write_text("999999999\nrecording\n")
    (run / "state.db-wal").unlink(missing_ok=True)
    assert "is gone" in lines(there.inside("doctor", run, "--json"))["process"]["what"]
    (run / "state.db-wal").touch()
    assert "is gone" in lines(there.inside("doctor", run, "--json"))["process"]["what"]
    (run / "state.db-wal").write_bytes(bytes(64))
    assert "log is there" in lines(there.inside("doctor", run, "--json"))["process"]["what"]
    (run / "run.lock").write_text("")
    with SqliteState(run / "state.db"):
        told = lines(there.inside("doctor", run, "--json"))
    assert told["process"]["what"] == f"process {os.getpid()} works on it"

    state = run / "state.db"
    with closing(sqlite3.connect(state)) as connection:
        (page,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'jobs_by_state'"
        ).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    whole = state.read_bytes()
    state.write_bytes(whole[: (page - 1) * size] + b"\xff" * size + whole[page * size :])
    hurt = there.inside("doctor", run, "--json")
    assert (hurt.code, levels(hurt)["state"]) == (1, "fail")
    state.write_text("not a database, but long enough to be looked at")
    assert levels(there.inside("doctor", run, "--json"))["state"] == "fail"
    shutil.rmtree(run)
    assert there.inside("doctor", run).code == 2


def test_a_manifest_that_cannot_be(place, service):
    path = place.write("wrong.yaml", "version: 1\nname: wrong\njobs: []\n")
    ended = place.at(service).inside("doctor", path, "--json")
    assert (ended.code, levels(ended)["manifest"]) == (1, "fail")
    assert "batchgen plan" in lines(ended)["manifest"]["remedy"]


def test_file_systems_are_told_apart(tmp_path):
    assert kind_of(tmp_path)
    assert kind_of(tmp_path.__class__("/proc")) == "proc"
