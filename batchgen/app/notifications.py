"""Telling others how a run goes and ends: messages, and the command of `on_finish`."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec

import anyio
from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus

from batchgen.app.console import say
from batchgen.app.manifest_file import ManifestFile
from batchgen.core.common.exit_codes import ExitCode
from batchgen.core.manifest.notify import Notify
from batchgen.core.progress.notifications import Facts, called, end_notice, environment
from batchgen.errors import UserError
from batchgen.observe.hook import Hook, run_hook
from batchgen.observe.notify import Named, Notifier, NotifySettings, check_addresses
from batchgen.ports import Progress
from batchgen.system.run_directory import RunDirectory
from batchgen.system.signals import signals_received


@dataclass(slots=True)
class RunNotifications:
    """What a run tells. `facts` are what it came to; None until it has begun."""

    notifier: Notifier | None = None
    facts: Facts | None = None
    watchers: list[Progress] = field(default_factory=list)
    """Of the run: what goes wrong here is a line among theirs."""

    def watch(self, display: Progress) -> list[Progress]:
        """The watchers of the run: its display, and whoever tells others."""
        self.watchers = [display]
        return [display] if self.notifier is None else [display, self.notifier]

    def tell(self, text: str) -> None:
        """A line on stderr, above the bar where there is one."""
        for watcher in self.watchers:
            watcher.said("notify_failed", text, {})
        if not self.watchers:
            say(text)


@asynccontextmanager
async def telling_of(
    manifest: ManifestFile, directory: RunDirectory, *, simulated: bool, silent: bool
) -> AsyncIterator[RunNotifications]:
    """Tell others what happens inside, and at the end what `facts` say, if there are any.

    Inside, the run directory is taken and let go again: the command may use it. Raises `UserError`
    where messages could not be sent, before anything is done.
    """
    told = RunNotifications()
    if silent:
        yield told
        return
    async with AsyncExitStack() as stack:
        if manifest.manifest.notify.env:
            settings = await _checked(manifest.manifest.notify)
            name = called(manifest.manifest.name, simulated=simulated)
            notifier = Notifier(Named(name, str(directory.path)), settings, told.tell)
            told.notifier = await stack.enter_async_context(notifier)
        try:
            yield told
        except Exception:
            await _end(manifest, told)
            raise
        await _end(manifest, told)


async def _checked(wanted: Notify) -> NotifySettings:
    need("apprise", "notify: messages are sent by apprise")
    await check_addresses(wanted.env)
    return NotifySettings(tuple(wanted.env), tuple(wanted.on), wanted.timeout)


async def _end(manifest: ManifestFile, told: RunNotifications) -> None:
    """The last message, then the command. Ctrl-C spares one the rest, and changes nothing else.

    After a run that Ctrl-C has ended there is neither: somebody is there, and wants to go.
    """
    facts = told.facts
    if facts is None or facts.exit_code == ExitCode.INTERRUPTED:
        return
    async with anyio.create_task_group() as tasks:
        await tasks.start(_cancel_when_interrupted, tasks.cancel_scope)
        if told.notifier is not None:
            told.notifier.send(end_notice(facts))
            await told.notifier.finish()
        hook = manifest.manifest.on_finish
        if hook.words:
            command = Hook(hook.words, manifest.path.parent, hook.timeout)
            trouble = await run_hook(command, environment(facts))
            if trouble is not None:
                say(f"note: {trouble}; the run's own exit code stands")
        tasks.cancel_scope.cancel()


async def _cancel_when_interrupted(
    scope: anyio.CancelScope, *, task_status: TaskStatus[None] = TASK_STATUS_IGNORED
) -> None:
    with signals_received(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            say("not waited for: notifications and on_finish")
            scope.cancel()


def need(module: str, why: str) -> None:
    """Raise `UserError` where the library `module`, which PyPI calls the same, is not installed."""
    if find_spec(module) is None:
        raise UserError(f"{why}, which is not installed\n    python -m pip install {module}")
