"""Messages through apprise, and what a bad or slow receiver may not do to a run."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path

import pytest

from batchgen.core.jobs.events import EventKind as E
from batchgen.core.jobs.job import JobState as S
from batchgen.core.jobs.lifecycle import apply
from batchgen.core.manifest.notice_kinds import NoticeKind
from batchgen.core.progress.notifications import Notice
from batchgen.errors import UserError
from batchgen.observe.hook import Hook, run_hook
from batchgen.observe.notify import Named, Notifier, NotifySettings, check_addresses, passed_on
from batchgen.system.children import Child, run_child
from tests.core.builders import event, job
from tests.helpers.servers import serving

SECRET = "hunter2hunter2"
NOTICE = Notice(NoticeKind.FINISHED, "cups: finished", "4 done\n$0.20 spent")


async def answers(connection):
    while await connection.request():
        await connection.answer()


async def hangs(connection):
    await connection.until_closed()


@pytest.fixture
def told():
    return []


@pytest.fixture
def notifier(told, monkeypatch):
    def make(url="", sender=None, *, on=tuple(NoticeKind), timeout_s=20.0, gate_s=60.0):
        monkeypatch.setenv("NTFY_URL", url)
        monkeypatch.setenv("SEGMIND_API_KEY", "SG_00c0ffee00c0ffee")
        settings = NotifySettings(("NTFY_URL",), on, timeout_s, gate_s)
        return Notifier(Named("cups", "runs/cups"), settings, told.append, sender)

    return make


async def test_a_message_arrives_with_its_title_and_text(notifier, told):
    async with serving(answers) as server:
        url = f"json://user:{SECRET}@127.0.0.1:{server.port}/hook"
        async with notifier(url) as running:
            running.send(NOTICE)
            await running.finish()
    (request,) = server.requests
    message = json.loads(request.body)
    assert (message["title"], message["type"]) == ("cups: finished", "success")
    assert message["message"].splitlines() == ["4 done", "$0.20 spent"]
    assert told == []


async def test_a_receiver_that_is_gone_is_told_without_its_address(notifier, told):
    async with serving(answers) as server:
        port = server.port
    async with notifier(f"json://user:{SECRET}@127.0.0.1:{port}") as running:
        running.send(NOTICE)
        await running.finish()
    assert told == ["note: a notification could not be sent to NTFY_URL; the run goes on"]


async def test_a_receiver_that_hangs_is_not_waited_for(notifier, told):
    async with serving(hangs) as server:
        began = time.monotonic()
        async with notifier(f"json://127.0.0.1:{server.port}", timeout_s=0.5) as running:
            for _ in range(20):
                running.send(NOTICE)  # more than may wait: it never blocks
            await running.finish()
        assert time.monotonic() - began < 15
    assert len(told) == 1


class Outbox:
    """A sender that keeps what it is to send."""

    def __init__(self):
        self.titles = []

    async def __call__(self, order, timeout_s):
        self.titles.append(order["title"])
        return []


async def test_what_is_left_at_the_end_is_given_up_in_time(notifier, told):
    async def never(order, timeout_s):
        await asyncio.Event().wait()

    async with asyncio.timeout(30), notifier(sender=never, timeout_s=0.1) as running:
        running.send(NOTICE)
        await running.finish()
    assert told == ["note: a notification could not be sent in time; the run goes on"]


async def test_what_is_not_wanted_is_not_sent(notifier):
    outbox = Outbox()
    async with notifier(sender=outbox, on=(NoticeKind.BUDGET,)) as running:
        running.send(NOTICE)
        running.changed([apply(job(S.AMBIGUOUS), event(E.SET_ASIDE))])
        await running.finish()
    assert outbox.titles == []


async def test_each_thing_is_told_once(notifier):
    outbox = Outbox()
    async with notifier(sender=outbox) as running:
        aside = apply(job(S.AMBIGUOUS), event(E.SET_ASIDE))
        running.changed([aside, aside, apply(job(S.FETCHING), event(E.SAVED))])
        for _ in range(2):
            running.said("budget_warning", "warning: 8.00 of max_spend 10.00 USD are spent", {})
            running.said("model_closed", "veo: no such model. …", {"model": "veo"})
        running.said("credits", "short", {})
        running.send(NOTICE)
        await running.finish()
    assert outbox.titles == [
        "cups: a job needs a decision",
        "cups: 80% of max_spend are used up",
        "cups: a model takes no jobs",
        "cups: finished",
    ]


async def test_a_gate_is_told_when_it_stays_closed(notifier):
    outbox = Outbox()
    async with notifier(sender=outbox, gate_s=0.05) as running:
        running.said("gate_closed", "HTTP 503", {"gate": "outage"})
        running.said("gate_closed", "", {"gate": "disk"})
        running.said("gate_opened", "", {"gate": "disk"})
        running.said("gate_closed", "", {"gate": "stop"})
        async with asyncio.timeout(30):
            while not outbox.titles:
                await asyncio.sleep(0.01)
    assert outbox.titles == ["cups: the service does not answer"]


async def test_addresses_are_looked_at_before_anything_is_done(monkeypatch):
    monkeypatch.delenv("NTFY_URL", raising=False)
    with pytest.raises(UserError, match=r"NTFY_URL is not set.\n.*--no-notify"):
        await check_addresses(["NTFY_URL"])
    monkeypatch.setenv("GOOD", "json://127.0.0.1:1, json://127.0.0.1:2")
    monkeypatch.setenv("NTFY_URL", f"nonsense-{SECRET}")
    with pytest.raises(UserError, match="what NTFY_URL holds") as raised:
        await check_addresses(["GOOD", "NTFY_URL"])
    assert SECRET not in str(raised.value)


def test_a_sender_sees_its_addresses_and_never_the_key():
    environ = {"SEGMIND_API_KEY": "SG_x", "NTFY_URL": "a", "OTHER_URL": "b", "https_proxy": "c"}
    assert passed_on(["NTFY_URL"], environ) == {"NTFY_URL": "a", "https_proxy": "c"}


PYTHON = (sys.executable, "-c")


async def child(code, *, timeout_s=30.0, **options):
    return await run_child(Child((*PYTHON, code), dict(os.environ), timeout_s, **options))


async def test_a_child_is_heard_and_its_code_is_known():
    code = "import sys; print(sys.stdin.read()[::-1]); sys.exit(3)"
    assert await child(code, stdin=b"abc") == (3, b"cba\n")


async def test_a_child_that_does_not_read_is_no_trouble():
    assert await child("pass", stdin=b"x" * 1_000_000) == (0, b"")


async def test_a_child_that_takes_too_long_ends_with_what_it_started(tmp_path):
    """It holds its ears shut against SIGTERM, and so does its own child."""
    marks = tmp_path / "marks"
    # A shell has begun within milliseconds, where an interpreter may need the whole of its time.
    code = f"trap '' TERM; sleep 600 & echo $$ $! > '{marks}'; wait"
    assert (await run_child(Child(("sh", "-c", code), dict(os.environ), 1.0)))[0] is None
    async with asyncio.timeout(30):
        while any(alive(pid) for pid in pids(marks)):
            await asyncio.sleep(0.02)
    assert len(pids(marks)) == 2


def pids(marks):
    return marks.read_text().split() if marks.exists() else []


def alive(pid):
    """Neither gone nor only waiting to be buried."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


async def hook(code, folder, timeout_s=30.0):
    return await run_hook(Hook((*PYTHON, code), folder, timeout_s), {"BATCHGEN_DONE": "4"})


async def test_a_command_prints_to_stderr_and_knows_the_facts(tmp_path, capfd):
    code = "import os; print(os.environ['BATCHGEN_DONE'], os.getcwd())"
    assert await hook(code, tmp_path) is None
    out, err = capfd.readouterr()
    assert (out, err) == ("", f"4 {tmp_path}\n")


async def test_what_goes_wrong_with_a_command_is_told(tmp_path):
    assert (await hook("raise SystemExit(3)", tmp_path)).startswith(
        "on_finish ended with exit code 3"
    )
    assert "was ended after 0.2 s" in await hook("import time; time.sleep(600)", tmp_path, 0.2)
    missing = await run_hook(Hook(("./missing.sh",), tmp_path, 1.0), {})
    assert missing == "on_finish could not be started: ./missing.sh: No such file or directory"
