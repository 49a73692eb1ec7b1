"""`batchgen serve`."""

from __future__ import annotations

import os
import signal
from functools import partial
from typing import TYPE_CHECKING

import click

from batchgen.app.console import say
from batchgen.cli.common import run_of
from batchgen.cli.completion import RUN
from batchgen.core.common.exit_codes import ExitCode
from batchgen.errors import UserError

if TYPE_CHECKING:
    from batchgen.system.run_directory import RunDirectory
    from batchgen.web.server import ServeSettings

TOKEN_VARIABLE = "BATCHGEN_SERVE_TOKEN"  # noqa: S105  the name of a variable
DEFAULT_PORT = 8710
_LEAST_TOKEN = 16

_EXAMPLE = """Example:

\b
  batchgen serve runs/demo                    # on this machine only
  batchgen serve runs/demo --host 0.0.0.0     # for a phone in the same network: with a token"""


@click.command("serve", epilog=_EXAMPLE, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("run", type=RUN)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on. Beyond this machine everybody needs the token in the address "
    f"that is printed: a new one each time, or that of {TOKEN_VARIABLE}.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    help="0 takes any free one.",
)
@click.option(
    "--most",
    type=click.IntRange(1, 100_000),
    default=10_000,
    show_default=True,
    help="Show at most so many jobs, the newest; figures and charts are of all.",
)
def command(run: str, *, host: str, port: int, most: int) -> int:
    """Serve a live page of RUN, a run directory or its manifest, until interrupted.

    It reads only, also while the run works. /metrics is for Prometheus, /healthz for watchdogs.
    """
    import anyio

    from batchgen.web.server import ServeSettings, needs_token

    token = token_of_today() if needs_token(host) else ""
    settings = ServeSettings(say, host, port, token, most)
    return anyio.run(partial(_serve, run_of(run), settings))


def token_of_today() -> str:
    """The token of the environment, or a new one. Raises `UserError` for one that is too short."""
    import secrets

    given = os.environ.get(TOKEN_VARIABLE, "").strip()
    if given and (len(given) < _LEAST_TOKEN or not given.isascii() or not given.isprintable()):
        raise UserError(
            f"{TOKEN_VARIABLE} must be at least {_LEAST_TOKEN} plain characters\n"
            f"    export {TOKEN_VARIABLE}=$(openssl rand -hex 16), or unset it for a new one"
        )
    return given or secrets.token_urlsafe(24)


async def _serve(directory: RunDirectory, settings: ServeSettings) -> int:
    from batchgen.system.clock import SystemClock
    from batchgen.system.signals import signals_received
    from batchgen.web.server import serving

    async with serving(directory, settings, SystemClock()) as address:
        with signals_received(signal.SIGINT, signal.SIGTERM) as signals:
            # Told only now: whoever reads it may end it at once.
            click.echo(address)
            say("Ctrl-C ends it; the run does not notice")
            async for _ in signals:
                break
    return ExitCode.COMPLETED
