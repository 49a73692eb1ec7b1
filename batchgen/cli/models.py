"""`batchgen models`."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from batchgen.cli.common import print_json, table
from batchgen.cli.completion import SLUG
from batchgen.core.catalog.model import Catalog, Model, Parameter
from batchgen.core.common.exit_codes import ExitCode
from batchgen.core.common.formatting import usd
from batchgen.errors import UserError

_EXAMPLE = """Example:

\b
  batchgen models
  batchgen models flux-kontext-pro"""


@click.command("models", epilog=_EXAMPLE, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("slug", required=False, type=SLUG)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(slug: str | None, *, as_json: bool) -> int:
    """Show the catalogue, or the parameters of the model SLUG.

    The service has hundreds of models more; any slug may stand in a manifest, unchecked.
    """
    from batchgen.providers.segmind import catalog

    known = catalog.load()
    if slug is None:
        if as_json:
            print_json([_as_json(model) for model in known])
        else:
            click.echo(_overview(known))
        return ExitCode.COMPLETED
    model = known.get(slug)
    if model is None:
        raise UserError(_unknown(slug, known))
    if as_json:
        print_json(_as_json(model))
    else:
        click.echo(_details(model))
    return ExitCode.COMPLETED


def _unknown(slug: str, known: Catalog) -> str:
    near = known.nearest(slug)
    hint = f"; did you mean {near!r}?" if near else ""
    return (
        f"{slug!r} is not in the catalogue{hint}\n    It may still be a model of the service: "
        "in a manifest it is passed on unchecked. `batchgen models` lists the known ones."
    )


def _overview(known: Catalog) -> str:
    rows = [
        (
            model.slug,
            _seconds(model.latency_s),
            usd(model.price_usd),
            model.output.name,
            model.summary,
        )
        for model in known
    ]
    return table(rows, ("MODEL", "LATENCY", "PRICE", "OUTPUT", ""))


def _details(model: Model) -> str:
    head = f"{model.slug} – {model.summary}"
    facts = (
        f"latency {_seconds(model.latency_s)}, price {usd(model.price_usd)}, "
        f"output {model.output.name}, page shows {model.page_api}"
    )
    rows = [
        (
            parameter.name,
            parameter.type + (" (required)" if parameter.required else ""),
            _default(parameter),
            _range(parameter),
        )
        for parameter in model.parameters.values()
    ]
    return f"{head}\n{facts}\n\n{table(rows, ('PARAMETER', 'TYPE', 'DEFAULT', 'VALUES'))}"


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"~{value:g} s"


def _default(parameter: Parameter) -> str:
    if not parameter.has_default:
        return "–"
    text = "null" if parameter.default is None else str(parameter.default)
    return text if len(text) <= 32 else text[:31] + "…"


def _range(parameter: Parameter) -> str:
    if parameter.allowed:
        cut = " …" if parameter.allowed_is_cut else ""
        return " ".join(str(value) for value in parameter.allowed) + cut
    if parameter.minimum is not None or parameter.maximum is not None:
        lowest = "" if parameter.minimum is None else f"{parameter.minimum:g}"
        highest = "" if parameter.maximum is None else f"{parameter.maximum:g}"
        return f"{lowest} to {highest}"
    return "–"


def _as_json(model: Model) -> dict[str, Any]:
    return dataclasses.asdict(model) | {"output": model.output.name}
