"""Telling people who are not there, through apprise, without ever hurting or delaying a run."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import anyio

from batchgen.core.jobs.events import Change
from batchgen.core.jobs.job import JobState
from batchgen.core.manifest.notice_kinds import NoticeKind
from batchgen.core.progress.notifications import (
    Notice,
    budget_notice,
    gate_notice,
    held_notice,
    unknown_notice,
)
from batchgen.errors import UserError
from batchgen.system.children import Child, run_child

GATE_S = 60.0
"""A gate that is closed so long may need a person."""
CHECK_S = 30.0
"""To look at the addresses: apprise knows more than a hundred services, and loads slowly."""
_MOST_WAITING = 8
_PASSED_ON = frozenset(
    {"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "SSL_CERT_FILE", "SSL_CERT_DIR",
     "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}
)  # fmt: skip
"""Variables that a sender may need, in either case; the API key is none of them."""


@dataclass(frozen=True, slots=True)
class NotifySettings:
    """Where addresses are (names of environment variables), what is told, and seconds a message."""

    env: Sequence[str]
    on: Iterable[NoticeKind]
    timeout_s: float
    gate_s: float = GATE_S


def passed_on(names: Collection[str], environ: Mapping[str, str]) -> dict[str, str]:
    """What a sender gets to see of an environment: its addresses, and what reaches the network."""
    return {n: v for n, v in environ.items() if n in names or n.upper() in _PASSED_ON}


@dataclass(frozen=True, slots=True)
class Named:
    """A run as messages call it, and its directory as commands take it."""

    name: str
    path: str


Sender = Callable[[Mapping[str, object], float], Awaitable[list[str] | None]]
"""Sends an order within so many seconds: the variables whose addresses failed, or None for all."""


async def check_addresses(env: Sequence[str]) -> None:
    """Raise `UserError` where a variable is missing, or holds nothing that apprise understands.

    Names the variable, never what it holds.
    """
    given = dict(os.environ)
    for name in env:
        if not given.get(name, "").strip():
            raise UserError(
                f"notify: the environment variable {name} is not set.\n    export {name}=… (an "
                "address of apprise, such as ntfy://topic), or run with --no-notify"
            )
    failed = await send_by_child({"env": list(env)}, CHECK_S)
    if failed:
        raise UserError(
            f"notify: apprise does not understand what {', '.join(failed)} holds.\n    Compare it "
            "with https://github.com/caronc/apprise/wiki, or run with --no-notify"
        )


async def send_by_child(order: Mapping[str, object], timeout_s: float) -> list[str] | None:
    """The variables whose addresses failed; None when nobody could say in time."""
    names = order["env"]
    env = passed_on(names if isinstance(names, list) else [], os.environ)
    # -P: a file of the folder we stand in must not pass for a library.
    words = (sys.executable, "-P", "-m", "batchgen.observe.notify_child")
    stdin = json.dumps(order).encode()
    try:
        code, out = await run_child(Child(words, env, timeout_s, stdin=stdin))
    except OSError:
        return None
    return list(json.loads(out)) if code == 0 else None


class Notifier:
    """A `Progress` that sends messages from a task of its own; `tell` says once what went wrong."""

    def __init__(
        self,
        run: Named,
        settings: NotifySettings,
        tell: Callable[[str], None],
        sender: Sender | None = None,
    ) -> None:
        self._name = run.name
        self._run = run.path
        self._sender = sender or send_by_child
        self._settings = settings
        self._tell = tell
        self._wanted = frozenset(settings.on if settings.env else ())
        self._gates: dict[str, asyncio.TimerHandle] = {}
        self._told: set[str] = set()
        self._send, self._waiting = anyio.create_memory_object_stream[Notice](_MOST_WAITING)
        self._tasks = anyio.create_task_group()
        self._done = anyio.Event()

    async def __aenter__(self) -> Self:
        """Begin to listen."""
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._work)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End at once; `finish` is for whoever has a message left."""
        self._send.close()
        for timer in self._gates.values():
            timer.cancel()
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(None, None, None)

    async def finish(self) -> None:
        """Wait until what was sent is out, no longer than one and a half messages may take."""
        self._send.close()
        with anyio.move_on_after(1.5 * self._settings.timeout_s) as scope:
            await self._done.wait()
        if scope.cancelled_caught:
            self._complain("in time")

    def changed(self, changes: Iterable[Change]) -> None:
        """The first job that is set aside needs a decision."""
        for change in changes:
            if (
                change.after.state is JobState.UNKNOWN
                and change.before.state is not change.after.state
            ):
                self._once("unknown", unknown_notice(self._name, self._run))

    def said(self, name: str, text: str, fields: Mapping[str, object]) -> None:
        """The cap comes near, a model takes no jobs, or a gate stays closed."""
        gate = str(fields.get("gate", ""))
        if name == "budget_warning":
            self._once(name, budget_notice(self._name, text))
        elif name == "model_closed":
            self._once(f"model {fields.get('model')}", held_notice(self._name, text))
        elif name == "gate_closed":
            notice = gate_notice(self._name, gate, text)
            if notice is not None and gate not in self._gates:
                loop = asyncio.get_running_loop()
                self._gates[gate] = loop.call_later(self._settings.gate_s, self._once, gate, notice)
        elif name == "gate_opened" and gate in self._gates:
            self._gates.pop(gate).cancel()

    def send(self, notice: Notice) -> None:
        """Send a message when its turn comes, if it is of a wanted kind; never waits."""
        if notice.kind in self._wanted:
            try:
                self._send.send_nowait(notice)
            except (anyio.WouldBlock, anyio.ClosedResourceError):
                self._complain("any more: too many wait")

    def _once(self, what: str, notice: Notice) -> None:
        if what not in self._told:
            self._told.add(what)
            self.send(notice)

    async def _work(self) -> None:
        async with self._waiting:
            async for notice in self._waiting:
                order = {
                    "env": list(self._settings.env),
                    "title": notice.title,
                    "body": notice.body,
                    "kind": notice.kind.value,
                }
                failed = await self._sender(order, self._settings.timeout_s)
                if failed is None:
                    self._complain("in time")
                elif failed:
                    self._complain(f"to {', '.join(failed)}")
        self._done.set()

    def _complain(self, how: str) -> None:
        """Once: who does not answer now will not answer later."""
        if "complaint" not in self._told:
            self._told.add("complaint")
            self._tell(f"note: a notification could not be sent {how}; the run goes on")
