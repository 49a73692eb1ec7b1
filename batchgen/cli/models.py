"""`batchgen models`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import click

from batchgen.app.console import say
from batchgen.cli.common import print_json, table
from batchgen.cli.completion import SLUG
from batchgen.core.catalog.model import Catalog, Model, Parameter, Source
from batchgen.core.common.exit_codes import ExitCode
from batchgen.core.common.formatting import usd
from batchgen.core.common.text import printable
from batchgen.errors import UserError

_EXAMPLE = """Example:

\b
  batchgen models
  batchgen models flux-kontext-pro
  batchgen models --search "video seedance"
  batchgen models --update                    # all models of the service, without a key"""
_MORE = (
    "Any other slug of the service is legal too, unchecked. `batchgen models --update` reads the\n"
    "service's own list of models; `--search TEXT` looks through it."
)
_LONGEST_SUMMARY = 60


@click.command("models", epilog=_EXAMPLE, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("slug", required=False, type=SLUG)
@click.option(
    "--search",
    "words",
    metavar="TEXT",
    help="Only models with all words of TEXT in their slug, name, summary or kind.",
)
@click.option(
    "--update",
    is_flag=True,
    help="Read the service's own list of models, with prices, into a folder of the user.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(slug: str | None, words: str | None, *, update: bool, as_json: bool) -> int:
    """Show the catalogue, or the parameters of the model SLUG.

    Any other slug may stand in a manifest too: the service has hundreds of models. With --update
    they are known here as well; what the service's list says is only ever a warning.
    """
    if (slug is not None) + (words is not None) + update > 1:
        raise UserError("SLUG, --search and --update are three different questions: give one")
    if update:
        return _update(as_json=as_json)
    from batchgen.app.models.catalogue import catalog_for

    known = catalog_for()
    if slug is None:
        found = [model for model in known if _is_found(model, words or "")]
        if as_json:
            print_json([_as_json(model) for model in found])
        elif words is None:
            click.echo(f"{_overview(known)}\n\n{_MORE}")
        elif found:
            click.echo(_table(found))
        else:
            say(f"no known model has {words!r:.100} in its slug, name, summary or kind\n{_MORE}")
        return ExitCode.COMPLETED
    model = known.get(slug)
    if model is None:
        raise UserError(_unknown(slug, known))
    if as_json:
        print_json(_as_json(model))
    else:
        click.echo(_details(model))
    return ExitCode.COMPLETED


def _update(*, as_json: bool) -> int:
    import anyio

    from batchgen.app.models.update import update_models

    done = anyio.run(update_models)
    for fault in done.faults:
        say(f"warning: {fault}")
    if done.learned is None:
        say(f"nothing was learned; what is in {done.folder} stays\n    try again later")
        return ExitCode.STOPPED
    if as_json:
        print_json({"folder": str(done.folder), **dataclasses.asdict(done.learned)})
    else:
        click.echo(f"{done.learned.text()}\nfiles: {done.folder}")
    return ExitCode.COMPLETED


def _is_found(model: Model, words: str) -> bool:
    text = f"{model.slug} {model.name} {model.summary} {kind_of(model)}".lower()
    return all(word in text for word in words.lower().split())


def _unknown(slug: str, known: Catalog) -> str:
    near = known.nearest(slug)
    hint = f"; did you mean {near!r}?" if near else ""
    return (
        f"{slug!r} is not in the catalogue{hint}\n    It may still be a model of the service: "
        "in a manifest it is passed on unchecked.\n    `batchgen models` lists the known ones, and "
        "`batchgen models --update` reads the service's own list."
    )


def _overview(known: Catalog) -> str:
    """Those that somebody vouches for; of hundreds of others, how many there are."""
    vouched = [model for model in known if not model.is_third_hand]
    count = len(known) - len(vouched)
    more = f"\nand {count:,} more of the service's own list" if count else ""
    return _table(vouched) + more


def _table(models: Sequence[Model]) -> str:
    rows = [
        (
            model.slug,
            _seconds(model.latency_s),
            usd(model.price_usd),
            kind_of(model),
            "deprecated" if model.is_deprecated else "",
            _clipped(model.summary),
        )
        for model in models
    ]
    shown = table(rows, ("MODEL", "LATENCY", "PRICE", "KIND", "", ""))
    dates = sorted({model.estimated for model in models if model.estimated and model.price_usd})
    between = " to ".join(dict.fromkeys([dates[0], dates[-1]])) if dates else ""
    return f"{shown}\n\nprices and latencies: estimates of {between}" if between else shown


def _clipped(text: str) -> str:
    return text if len(text) <= _LONGEST_SUMMARY else text[: _LONGEST_SUMMARY - 1] + "…"


def kind_of(model: Model) -> str:
    """What it makes, and of what, as far as that is known."""
    made = model.output.name
    return f"{made}, takes files" if model.takes_files else made


_SOURCES = {
    Source.PAGE: "its page",
    Source.LIST: "the service's list (what it says is only ever a warning)",
    Source.OWN: "your own file",
}


def _details(model: Model) -> str:
    head = f"{model.slug} – {model.summary}"
    old = "\ndeprecated: the service may take it away any day" if model.is_deprecated else ""
    facts = (
        f"latency {_seconds(model.latency_s)}, price {price_text(model)}, output "
        f"{model.output.name}, page shows {model.page_api}\nparameters: by {_SOURCES[model.source]}"
    )
    if not model.parameters:
        return f"{head}{old}\n{facts}; none known, so whatever is given goes out unchecked"
    rows = [
        (
            parameter.name,
            parameter.type + (" (required)" if parameter.required else ""),
            _default(parameter),
            _range(parameter),
            "changes the price" if parameter.affects_price else "",
        )
        for parameter in model.parameters.values()
    ]
    shown = table(rows, ("PARAMETER", "TYPE", "DEFAULT", "VALUES", ""))
    return f"{head}{old}\n{facts}\n\n{shown}"


def price_text(model: Model) -> str:
    """The price, and of when it is an estimate."""
    is_estimate = model.price_usd is not None and model.estimated
    return usd(model.price_usd) + (f" (estimate of {model.estimated})" if is_estimate else "")


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"~{value:g} s"


def _default(parameter: Parameter) -> str:
    if not parameter.has_default:
        return "–"
    text = printable("null" if parameter.default is None else str(parameter.default), 200)
    return text if len(text) <= 32 else text[:31] + "…"


def _range(parameter: Parameter) -> str:
    if parameter.allowed:
        cut = " …" if parameter.allowed_is_cut else ""
        return " ".join(printable(str(value), 60) for value in parameter.allowed) + cut
    if parameter.minimum is not None or parameter.maximum is not None:
        lowest = "" if parameter.minimum is None else f"{parameter.minimum:g}"
        highest = "" if parameter.maximum is None else f"{parameter.maximum:g}"
        return f"{lowest} to {highest}"
    return "–"


def _as_json(model: Model) -> dict[str, Any]:
    told = dataclasses.asdict(model) | {"output": model.output.name}
    told["price_is_estimate"] = model.price_usd is not None and model.estimated != ""
    return told
