"""The command group: commands are imported when they are called, so `--help` stays instant."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

import click

from batchgen.app.console import say
from batchgen.core.common.exit_codes import ExitCode
from batchgen.errors import BatchgenError, InternalError, StoppedEarly, UserError
from batchgen.system.streams import ReaderGoneError, UnwritableError, lost_on_stdout, need_stdout
from batchgen.system.version import DISTRIBUTION

_COMMANDS = {
    "run": "Run a manifest; run again, it resumes.",
    "init": "Write a commented manifest for a model or a file of rows.",
    "plan": "Say what a manifest will come to; spends nothing.",
    "status": "Show how a run stands.",
    "report": "Make one page of a run, to look at and to pass on.",
    "serve": "Serve a live page of a run.",
    "retry": "Put jobs that ended without files back to pending.",
    "export": "Make a dataset of the finished files, or a table of the ledger.",
    "doctor": "Check what a run needs, and say what to do.",
    "models": "Show the catalogue of models and their parameters.",
    "schema": "Print the JSON Schema of the manifest, for editors.",
    "simulator": "Serve a local Segmind look-alike.",
    "completion": "Print what makes a shell complete commands, runs and models.",
}

_PRINTING = frozenset({"plan", "status", "models", "schema", "completion"})
"""Commands that do nothing but print: what cannot be printed is a fault of theirs."""


class LazyGroup(click.Group):
    """A group whose commands live in modules of their own: `batchgen.cli.<name>:command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """The commands in the order they are used."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import one command."""
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"batchgen.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, with the nearest command in the message."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            near = difflib.get_close_matches(args[0], _COMMANDS, n=1)
            if not near:
                raise
            raise click.UsageError(f"{error.message} Did you mean {near[0]!r}?", ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The list of commands, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


_EXAMPLE = """Example:

\b
  export SEGMIND_API_KEY=SG_...
  batchgen plan jobs/demo.yaml
  batchgen run jobs/demo.yaml"""


@click.group(
    cls=LazyGroup,
    epilog=_EXAMPLE,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(None, "--version", package_name=DISTRIBUTION, message="batchgen %(version)s")
def cli() -> None:
    """Bulk media generation on Segmind.

    A manifest of jobs in; every file, every dollar and every failure accounted for.

    Exit codes: 0 every job completed, 1 some jobs failed or need a decision, 2 wrong usage or
    manifest (nothing more is submitted), 3 stopped early and resumable, 130/143 by a signal.
    """
    if click.get_current_context().invoked_subcommand in _PRINTING:
        need_stdout()


def run_cli(arguments: Sequence[str]) -> int:
    """Run the command line; returns the exit code. Nothing a user causes ends in a traceback."""
    try:
        result = cli.main(list(arguments), prog_name="batchgen", standalone_mode=False)
        if lost := lost_on_stdout():
            say(f"note: stdout cannot be written ({lost}); the exit code is that of the work")
        return int(result) if isinstance(result, int) else ExitCode.COMPLETED
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return ExitCode.USAGE
    except (click.Abort, KeyboardInterrupt):
        say("stopped by SIGINT; the same command goes on from here")
        return ExitCode.INTERRUPTED
    except ReaderGoneError:
        return ExitCode.COMPLETED
    except (BatchgenError, BaseExceptionGroup, OSError) as error:
        return _report(error)


def _report(error: BaseException) -> int:
    """Say what is wrong; only a bug of ours shows where."""
    if isinstance(error, BaseExceptionGroup):
        _, others = error.split((BatchgenError, OSError))
        if others is None or len(error.exceptions) == 1:
            return _report(error.exceptions[0])  # of several at once, the first one tells enough
    if isinstance(error, UserError):
        say(f"error: {error}")
        return ExitCode.USAGE
    if isinstance(error, UnwritableError):
        say(f"error: {error}")
        return ExitCode.STOPPED
    if isinstance(error, StoppedEarly):
        say(f"stopped: {error}\n    the same command goes on from here")
        return ExitCode.STOPPED
    if isinstance(error, OSError) and error.errno:
        place = f"{error.filename}: " if error.filename else ""
        say(f"stopped: {place}{error.strerror}\n    mend that, and give the same command again")
        return ExitCode.STOPPED
    if isinstance(error, BatchgenError) and not isinstance(error, InternalError):
        say(f"error: {error}")
        return ExitCode.STOPPED
    if isinstance(error, InternalError):
        say(f"bug in batchgen, please report it: {error}")
        return ExitCode.INTERNAL
    raise error
