"""`batchgen completion`, and what is offered where a run or a model is wanted."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import CompletionItem, get_completion_class

from batchgen.core.common.exit_codes import ExitCode
from batchgen.errors import UserError

VARIABLE = "_BATCHGEN_COMPLETE"
"""Set by the script in the shell: then `batchgen` prints what could come next."""
_HOME = {
    "bash": '# Into ~/.bashrc:  eval "$(batchgen completion bash)"',
    "zsh": '# Into ~/.zshrc, behind compinit:  eval "$(batchgen completion zsh)"',
    "fish": "# Once:  batchgen completion fish > ~/.config/fish/completions/batchgen.fish",
}
"""Where the script goes, as a comment before it."""

_EXAMPLE = """Example:

\b
  eval "$(batchgen completion bash)"             # for this shell
  batchgen completion bash | head -1             # where it goes, for good"""


@click.command(
    "completion", epilog=_EXAMPLE, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.argument("shell", type=click.Choice(list(_HOME)))
def command(shell: str) -> int:
    """Print the script that lets SHELL complete commands, options, runs and models."""
    from batchgen.cli.main import cli

    kind = get_completion_class(shell)
    if kind is None:
        raise UserError(
            f"this click knows nothing of {shell}\n    python -m pip install --upgrade click"
        )
    click.echo(_HOME[shell])
    click.echo(kind(cli, {}, "batchgen", VARIABLE).source())
    return ExitCode.COMPLETED


class RunType(click.ParamType):  # type: ignore[type-arg]  # not generic in click 8.1
    """A run directory or a manifest; what the text means is found out by the command."""

    name = "run"

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002  click's signature
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        """Directories that hold a run; where none begins so, whatever file does."""
        found = [CompletionItem(path) for path in _runs(incomplete)]
        return found or [CompletionItem(incomplete, type="file")]


class SlugType(click.ParamType):  # type: ignore[type-arg]  # the same
    """A model of the catalogue, or any other."""

    name = "model"

    def __init__(self, *, or_file: bool = False) -> None:
        self._or_file = or_file

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002  click's signature
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        """The slugs that begin so; where none does, files, where they are possible."""
        from batchgen.app.models.catalogue import catalog_for

        slugs = catalog_for().slugs
        found = [CompletionItem(slug) for slug in slugs if slug.startswith(incomplete)]
        return found or [CompletionItem(incomplete, type="file")] * self._or_file


RUN, SLUG, SLUG_OR_FILE = RunType(), SlugType(), SlugType(or_file=True)


def _runs(incomplete: str) -> list[str]:
    """Run directories whose path begins so: those of `runs`, or of the folder that is typed."""
    typed = Path(incomplete)
    folder = typed if incomplete.endswith("/") else typed.parent
    folders = [folder, Path("runs")] if "/" not in incomplete else [folder]
    found = (path.parent for each in folders for path in sorted(each.glob("*/state.db")))
    return [text for text in dict.fromkeys(map(str, found)) if text.startswith(incomplete)]
