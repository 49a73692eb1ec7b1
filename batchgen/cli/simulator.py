"""`batchgen simulator`."""

from __future__ import annotations

import json
import signal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batchgen.core.common.exit_codes import ExitCode
from batchgen.errors import UserError

if TYPE_CHECKING:
    from batchgen.providers.segmind.simulator import SimulatorConfig

_EXAMPLE = """Example:

\b
  batchgen simulator --port 8700 --speed 10 --rate-limit 50
  # in another terminal:
  export SEGMIND_BASE_URL=http://127.0.0.1:8700 SEGMIND_API_KEY=SG_0123456789abcdef
  batchgen run jobs/demo.yaml"""


@click.command(
    "simulator", epilog=_EXAMPLE, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8700, show_default=True,
              help="Port of the API; 0 takes any free one.")  # fmt: skip
@click.option("--cdn-port", type=click.IntRange(0, 65535), default=0,
              help="Port of the CDN; by default any free one.")  # fmt: skip
@click.option("--speed", type=click.FloatRange(0.001), help="How many times faster than real.")
@click.option("--seed", type=int, help="Seed of everything that is left to chance.")
@click.option("--rate-limit", type=click.IntRange(1), help="Requests a minute; none by default.")
@click.option("--credits", "credits_usd", type=click.FloatRange(0), help="USD in the account.")
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="YAML or JSON file with every setting, faults included.",
)
@click.option(
    "--journal",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File in which accepted jobs outlive the simulator.",
)
def command(**options: Any) -> int:
    """Serve a local Segmind look-alike until interrupted; nothing it does costs anything.

    It speaks the v2 and v1 contract over real HTTP, with queue, latencies, rate limit, credits,
    retention, history, uploads and a CDN. What it did is told at /_simulator/ledger.
    """
    import anyio

    config = _config(options)
    return anyio.run(partial(_serve, config, options))


def _config(options: dict[str, Any]) -> SimulatorConfig:
    from pydantic import ValidationError

    from batchgen.providers.segmind.simulator import SimulatorConfig

    settings: dict[str, Any] = _read(options["config"]) if options["config"] else {}
    names = ("speed", "seed", "rate_limit", "credits_usd")
    settings |= {name: options[name] for name in names if options[name] is not None}
    try:
        return SimulatorConfig.model_validate(settings)
    except ValidationError as error:
        lines = [
            f"  {'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
            for item in error.errors()
        ]
        source = options["config"] or "the options"
        raise UserError("\n".join([f"{source}: not a simulator configuration", *lines])) from None


def _read(path: Path) -> dict[str, Any]:
    from batchgen.sources.yaml.document import read_document

    if path.suffix == ".json":
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"{path} cannot be read as JSON: {error}") from None
    else:
        value = read_document(path).value
    if not isinstance(value, dict):
        raise UserError(f"{path} must hold a mapping of settings")
    return value


async def _serve(config: SimulatorConfig, options: dict[str, Any]) -> int:
    from batchgen.providers.segmind.simulator.http.server import serve
    from batchgen.system.signals import signals_received

    async with serve(
        config,
        host=options["host"],
        api_port=options["port"],
        cdn_port=options["cdn_port"],
        journal=options["journal"],
    ) as running:
        click.echo(f"API {running.url}  CDN {running.cdn_url}")
        click.echo("export SEGMIND_API_KEY=SG_0123456789abcdef", err=True)
        click.echo(f"export SEGMIND_BASE_URL={running.url}", err=True)
        with signals_received(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                break
        ledger = running.service.ledger
        click.echo(f"{len(ledger.bills)} jobs accepted", err=True)
    return ExitCode.COMPLETED
