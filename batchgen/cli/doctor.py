"""`batchgen doctor`."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from batchgen.cli.common import print_json
from batchgen.cli.completion import RUN

if TYPE_CHECKING:
    from batchgen.app.doctor.findings import Diagnosis

_EXAMPLE = """Example:

\b
  batchgen doctor                    # key, network, credits, clock, disk, versions
  batchgen doctor runs/demo          # and the record of a run
  batchgen doctor jobs/demo.yaml --json"""


@click.command("doctor", epilog=_EXAMPLE, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("run", required=False, type=RUN)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(run: str | None, *, as_json: bool) -> int:
    """Check what a run needs, and say what to do; RUN is a run directory or a manifest.

    Looks at the key, the way to the service, the account, the clock, the disk, the limits and the
    versions, and with RUN at its record. Costs nothing: the only call is the free one for the
    credits. Exit code 1 where anything fails; warnings leave it 0.
    """
    import anyio

    from batchgen.app.doctor.checks import examine
    from batchgen.app.doctor.findings import exit_code_of

    found: list[Diagnosis] = []

    def tell(*lines: Diagnosis) -> None:
        found.extend(lines)
        for line in () if as_json else lines:
            _print(line)

    anyio.run(examine, run, tell)
    code = exit_code_of(found)
    if as_json:
        print_json({"exit_code": int(code), "checks": [asdict(line) for line in found]})
    else:
        click.echo(_verdict(found))
    return code


def _print(line: Diagnosis) -> None:
    click.echo(f"{line.level:<4}  {line.name:<11}  {line.what}")
    if line.remedy:
        click.echo(f"{'':19}→ {line.remedy}")


def _verdict(found: list[Diagnosis]) -> str:
    from batchgen.app.doctor.findings import Level

    counts = Counter(line.level for line in found)
    if counts[Level.FAIL]:
        return f"{counts[Level.FAIL]} to mend, {counts[Level.WARN]} to know of"
    return f"ready; {counts[Level.WARN]} to know of" if counts[Level.WARN] else "ready"
