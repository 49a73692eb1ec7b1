"""A state file that is older than what was done with it: backups, copies, snapshots, moves.

The service's own ledger says what was paid.
"""

import json
import shutil
import signal
import sqlite3
from collections import Counter
from contextlib import closing

import pytest

from tests.cli.processes import until

COUNT = 12
FIRST = 5


def bodies(service, name):
    """How often each job of a manifest was paid for."""
    return Counter(json.loads(bill["body"])["prompt"] for bill in service.bills(name))


def counts(there, run):
    return {
        state: count
        for state, count in there.inside("status", run, "--json").json["counts"].items()
        if count
    }


class Ground:
    """A manifest of `COUNT` jobs, of which the first few were run."""

    def __init__(self, there, service, name, **parts):
        self.there, self.service, self.name = there, service, name
        self.manifest = there.manifest(COUNT, name=name, **parts)
        self.run = there.path / "runs" / name
        self.backup = there.path / "backup"
        assert self.go("--limit", FIRST).code in {0, 1}
        assert self.paid == FIRST

    def go(self, *options):
        return self.there.inside("run", self.manifest, *options)

    @property
    def paid(self):
        return len(self.service.bills(self.name))

    @property
    def most_paid(self):
        return max(bodies(self.service, self.name).values())

    def counts(self, run=None):
        return counts(self.there, run or self.run)

    def save_state(self, *names):
        self.backup.mkdir()
        for name in names or ("state.db",):
            shutil.copy2(self.run / name, self.backup)

    def put_state_back(self):
        for path in self.run.glob("state.db*"):
            path.unlink()
        shutil.copytree(self.backup, self.run, dirs_exist_ok=True)

    def is_refused(self, *words):
        """By every command, with nothing submitted."""
        before = self.paid
        for command in ("run", "plan"):
            refused = self.there.inside(command, self.manifest)
            assert refused.code == 2, refused.text
            assert "is older than what was done with it" in refused.err
            assert "--adopt" in refused.err
            for word in words:
                assert word in refused.err, refused.err
        assert self.there.inside("status", self.run, "--json").json["newer"]
        assert "older than what was done" in self.there.inside("status", self.run).out
        assert "older than what was done" in self.there.inside("doctor", self.run).out
        assert self.paid == before

    def is_adopted(self, held, file_count=COUNT):
        """The jobs that were sent are set aside, and come home for nothing."""
        adopted = self.go("--adopt")
        assert adopted.code == 1, adopted.text
        assert f"{held} job(s) were sent before" in adopted.err
        assert self.paid == COUNT, bodies(self.service, self.name)
        assert self.counts() == {"done": COUNT - held, "unknown": held}
        assert self.go().code == 1  # nothing is asked, or refused, once more
        assert self.there.inside("retry", self.run, "--unknown").code == 0
        home = self.go()
        assert home.code == 0, home.text
        assert len(list((self.run / "outputs").glob("*.png"))) == file_count
        assert self.counts() == {"done": COUNT}
        assert self.paid == COUNT


@pytest.fixture
def ground(place, simulate):
    """Makes one, with a service of its own, whose history does not lag: nothing is waited for."""

    def make(name, config=None, **parts):
        service = simulate(**{"history_lag_s": 0, **(config or {})})
        parts.setdefault("reconcile", {"settle": 0})
        return Ground(place.at(service), service, name, **parts)

    return make


def test_a_backup_put_back_over_a_finished_run(ground):
    it = ground("finished")
    it.save_state()
    assert it.go().code == 0
    it.put_state_back()
    it.is_refused("run.log names 7 request(s)", "metadata.jsonl names 7", "7 job(s) that wait")
    it.is_adopted(held=COUNT - FIRST)


def test_a_backup_put_back_over_a_run_that_is_half_done(ground):
    it = ground("half-done")
    it.save_state()
    assert it.go("--limit", 3).code in {0, 1}
    it.put_state_back()
    it.is_refused("run.log names 3 request(s)")
    it.is_adopted(held=3)


@pytest.mark.parametrize("gone", ["run.log", "metadata", "outputs", "all but one file"])
def test_any_of_the_traces_is_enough(ground, gone):
    it = ground(f"traces-{gone}".replace(" ", "-"))
    it.save_state()
    assert it.go().code == 0
    it.put_state_back()
    if gone in {"run.log", "all but one file"}:
        (it.run / "run.log").unlink()
    if gone in {"metadata", "all but one file"}:
        (it.run / "outputs/metadata.jsonl").unlink()
    if gone == "outputs":
        shutil.rmtree(it.run / "outputs")
    if gone == "all but one file":
        for number in range(FIRST, COUNT - 1):
            (it.run / f"outputs/job-{number}.png").unlink()
    it.is_refused()
    it.is_adopted(COUNT - FIRST, COUNT - FIRST if gone == "outputs" else COUNT)


def test_the_newer_state_is_put_back_and_everything_is_well(ground):
    it = ground("remedy")
    it.save_state()
    assert it.go().code == 0
    shutil.copy2(it.run / "state.db", it.there.path / "newer.db")
    it.put_state_back()
    it.is_refused()
    shutil.copy2(it.there.path / "newer.db", it.run / "state.db")
    assert it.go().code == 0
    assert it.paid == COUNT


def test_a_state_put_back_together_with_its_old_log(ground):
    """The directory of a run that was killed, saved with everything SQLite left beside it."""
    it = ground("old-log", config={"latency_s": 0.5}, reconcile={"settle": 1})
    with it.there.start("run", it.manifest, "--concurrency", 2) as running:
        until(lambda: it.paid >= FIRST + 2)
        assert running.killed_after(0)
    it.save_state("state.db", "state.db-wal")
    assert it.go().code == 0
    it.put_state_back()
    it.is_refused("run.log names")
    assert it.go("--adopt").code == 1
    assert it.paid == COUNT
    assert it.most_paid == 1


@pytest.mark.parametrize("which", ["the file", "the log"])
def test_of_file_and_log_one_is_older_than_the_other(ground, which):
    """As tools leave it that copy one file after the other, or know only one of them."""
    it = ground(f"torn-{which[4:]}", config={"latency_s": 0.5}, reconcile={"settle": 1})
    with it.there.start("run", it.manifest, "--concurrency", 2) as running:
        until(lambda: it.paid >= FIRST + 2)
        it.save_state("state.db", "state.db-wal")
        until(lambda: it.paid >= FIRST + 4)
        assert running.killed_after(0)
    name = "state.db" if which == "the file" else "state.db-wal"
    shutil.copy2(it.backup / name, it.run / name)
    ended = it.go()
    if ended.code == 2:
        assert it.paid <= FIRST + 6
        ended = it.go("--adopt")
    assert ended.code in {0, 1, 2}, ended.text
    assert it.most_paid == 1


def test_both_copies_of_a_run_are_resumed(ground):
    it = ground("copied")
    shutil.copytree(it.run, it.there.path / "copy")
    assert it.go().code == 0
    copy = it.go("--run-dir", it.there.path / "copy")
    assert copy.code == 1, copy.text
    assert f"{COUNT - FIRST} job(s) were sent before" in copy.err
    assert it.paid == COUNT
    assert it.counts(it.there.path / "copy") == {"done": FIRST, "unknown": COUNT - FIRST}
    assert it.there.inside("retry", it.there.path / "copy", "--unknown").code == 0
    assert it.go("--run-dir", it.there.path / "copy").code == 0
    assert it.paid == COUNT


def test_what_the_history_does_not_show_yet_is_waited_for(ground):
    """Ctrl-C ends the wait, and the next run begins it again."""
    it = ground("lagging", config={"history_lag_s": 5}, reconcile={"settle": 600})
    copy = it.there.path / "copy"
    shutil.copytree(it.run, copy)
    assert it.go().code == 0
    with it.there.start("run", it.manifest, "--run-dir", copy) as waiting:
        until(lambda: '"gate": "older state"' in (copy / "run.log").read_text())
        waiting.send(signal.SIGINT)
        ended = waiting.end()
    assert ended.code == 130, ended.text
    told = "nothing is submitted until the account's history is read once more"
    assert told in ended.err
    assert "that is in 10 min 00 s, at " in ended.err
    assert it.paid == COUNT
    it.manifest.write_text(it.manifest.read_text().replace('"settle": 600', '"settle": 6'))
    home = it.go("--run-dir", copy)
    assert home.code == 1, home.text
    assert f"{COUNT - FIRST} job(s) were sent before" in home.err
    assert it.paid == COUNT, bodies(it.service, it.name)
    assert it.counts(copy) == {"done": FIRST, "unknown": COUNT - FIRST}


def test_a_copy_goes_on_where_nothing_newer_is_anywhere(ground):
    """To a new machine, for instance; the old place is not touched again."""
    it = ground("new-machine")
    shutil.copytree(it.run, it.there.path / "copy", copy_function=shutil.copy)
    shutil.rmtree(it.run)
    copy = it.go("--run-dir", it.there.path / "copy")
    assert copy.code == 0, copy.text
    assert "note:" not in copy.err
    assert it.paid == COUNT


SILENT = {"where": "history", "kind": "401"}


def test_a_copy_without_a_history_to_ask_is_not_run_unless_somebody_vouches_for_it(ground):
    it = ground("vouched")
    copy = it.there.path / "copy"
    shutil.copytree(it.run, copy)
    it.service.fail(SILENT)
    for _ in range(2):  # refused means refused, also the next time
        refused = it.go("--run-dir", copy)
        assert refused.code == 3, refused.text
        assert "this state is a copy" in refused.err
        assert "--adopt" in refused.err
        assert it.paid == FIRST
    vouched = it.go("--run-dir", copy, "--adopt")
    assert vouched.code == 0, vouched.text
    assert it.paid == COUNT


def test_newer_facts_are_not_adopted_without_the_history(ground):
    it = ground("adopted-blindly")
    it.save_state()
    assert it.go("--limit", 3).code in {0, 1}
    it.put_state_back()
    it.service.fail(SILENT)
    refused = it.go("--adopt")
    assert refused.code == 3, refused.text
    assert "history cannot be read" in refused.err
    assert it.paid == FIRST + 3
    it.service.fail()
    it.is_adopted(held=3)


def test_a_history_that_falters_is_asked_again(ground):
    it = ground("faltering")
    shutil.copytree(it.run, it.there.path / "copy")
    assert it.go("--limit", 3).code in {0, 1}
    it.service.fail({"where": "history", "kind": "http_503", "count": 2})
    copy = it.go("--run-dir", it.there.path / "copy")
    assert copy.code == 1, copy.text
    assert "3 job(s) were sent before" in copy.err
    assert it.paid == COUNT


def test_a_state_that_is_gone_before_anything_was_home(place, simulate):
    """No file tells of the paid jobs; the log does."""
    service = simulate(history_lag_s=0, latency_s=3000)
    there = place.at(service)
    manifest = there.manifest(2, name="gone-early")
    with there.start("run", manifest) as running:
        until(lambda: len(service.bills()) == 2)
        assert running.killed_after(0)
    run = there.path / "runs/gone-early"
    for path in [*run.glob("state.db*"), run / "run.lock"]:
        path.unlink()
    with (run / "run.log").open("a") as log:  # of v2 jobs it would name the ids by itself
        for bill in service.bills():
            line = {"event": "job_acked", "id": "job-0", "request_id": bill["request_id"]}
            log.write(json.dumps(line) + "\n")
    for command in ("run", "plan"):
        refused = there.inside(command, manifest)
        assert refused.code == 2, refused.text
        assert "run.log names 1 request(s)" in refused.err
    assert not (run / "state.db").exists()
    assert len(service.bills()) == 2


def test_the_history_is_read_within_the_limits_of_the_run(ground):
    """Its page takes a slot of the window, as every call does."""
    it = ground(
        "slots", budget={"requests_per_minute": COUNT, "rate_limit_scope": "all", "concurrency": 32}
    )
    shutil.copytree(it.run, it.there.path / "copy")
    before = it.service.request_count()
    assert before == FIRST + 1  # and the credits
    with it.there.start("run", it.manifest, "--run-dir", it.there.path / "copy") as running:
        until(lambda: it.service.request_count() == COUNT)
        assert running.killed_after(1)
    assert it.service.request_count() == COUNT
    assert it.paid == COUNT - 2 - 2  # the credits twice, and two pages


@pytest.mark.parametrize("how", ["moved", "renamed"])
def test_a_directory_that_was_moved_goes_on_without_a_question(ground, how):
    it = ground(f"{how}-away")
    target = it.there.path / ("elsewhere/deep" if how == "moved" else f"runs/{how}")
    target.parent.mkdir(exist_ok=True)
    shutil.move(it.run, target)
    before = it.service.request_count()
    it.there.inside("plan", it.manifest, "--run-dir", target)
    ended = it.go("--run-dir", target)
    assert ended.code == 0, ended.text
    assert "note:" not in ended.err
    assert it.paid == COUNT
    assert it.service.request_count() - before <= COUNT - FIRST + 1  # the history was not asked


def test_a_copy_after_everything_ended(ground):
    it = ground("archive")
    assert it.go().code == 0
    shutil.copytree(it.run, it.there.path / "archive", copy_function=shutil.copy)
    before = it.service.request_count()
    assert it.go("--run-dir", it.there.path / "archive").code == 0
    assert it.paid == COUNT
    assert it.service.request_count() - before <= 1


def restart(state):
    """Let the last run have been before the machine was started."""
    with closing(sqlite3.connect(state)) as connection:
        connection.execute(
            "UPDATE notes SET value = json_set(value, '$.boot', 'before') "
            "WHERE name = 'whereabouts'"
        )
        connection.commit()


def test_a_snapshot_of_a_machine(ground):
    """The whole directory as it was, under its inodes: the history alone can tell."""
    it = ground("snapshot")
    saved = it.there.path / "saved"
    shutil.copytree(it.run, saved)
    content = (it.run / "state.db").read_bytes()
    assert it.go().code == 0
    for path in saved.rglob("*"):
        if path.is_file() and path.name != "state.db":
            shutil.copy2(path, it.run / path.relative_to(saved))
    for path in (it.run / "outputs").glob("*.png"):
        if not (saved / "outputs" / path.name).exists():
            path.unlink()
    (it.run / "state.db").write_bytes(content)  # the same inode
    restart(it.run / "state.db")
    ended = it.go()
    assert ended.code == 1, ended.text
    assert it.paid == COUNT
    assert it.counts() == {"done": FIRST, "unknown": COUNT - FIRST}


def test_equal_bodies_are_held_as_often_as_they_were_sent(place, simulate):
    """Six times the same body: two are known to the ledger, one more was sent since."""
    service = simulate(history_lag_s=0)
    there = place.at(service)
    manifest = there.manifest({f"job-{n}": {"prompt": "equal"} for n in range(6)}, name="equal",
                              reconcile={"settle": 0})  # fmt: skip
    run = there.path / "runs/equal"
    assert there.inside("run", manifest, "--limit", 2).code in {0, 1}
    shutil.copytree(run, there.path / "copy")
    assert there.inside("run", manifest, "--limit", 1).code in {0, 1}
    copy = there.inside("run", manifest, "--run-dir", there.path / "copy")
    assert copy.code == 1, copy.text
    assert counts(there, there.path / "copy") == {"done": 5, "unknown": 1}
    assert len(service.bills("equal")) == 6
