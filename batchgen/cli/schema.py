"""`batchgen schema`."""

from __future__ import annotations

import click

from batchgen.cli.common import print_json
from batchgen.core.common.exit_codes import ExitCode

_EXAMPLE = """Example:

\b
  batchgen schema > manifest.schema.json
  # then, as the first line of a manifest:
  # yaml-language-server: $schema=manifest.schema.json"""


@click.command("schema", epilog=_EXAMPLE, context_settings={"help_option_names": ["-h", "--help"]})
def command() -> int:
    """Print the JSON Schema of the manifest, for editors."""
    from batchgen.core.manifest.schema import json_schema

    print_json(json_schema())
    return ExitCode.COMPLETED
