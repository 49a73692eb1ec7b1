"""What the service publishes of its models: the list with their parameters, and llms.txt.

The shape of the list is the one that other people's clients read; its oddities are kept.
"""

from __future__ import annotations

from typing import Any

from batchgen.core.catalog.model import Model, Parameter, ParameterType
from batchgen.core.media.formats import TEXT
from batchgen.providers.segmind.catalog import Catalog
from batchgen.providers.segmind.simulator.answers import HTML, json_reply
from batchgen.providers.segmind.simulator.config import SimulatorConfig
from batchgen.providers.segmind.simulator.messages import Reply

LIST_KEY = "Inference Segmind Model Information List With Details"
_PAGE = b"<!doctype html><html><head><title>Segmind</title></head><body>Models</body></html>"
_COMPONENTS = {
    ParameterType.STRING: "textarea",
    ParameterType.INTEGER: "slider",
    ParameterType.NUMBER: "slider",
    ParameterType.BOOLEAN: "switch",
    ParameterType.URI: "upload",
}
_BROKEN_ROWS: tuple[Any, ...] = (None, "flux", {"title": "no slug"}, {"slug": "../../etc/passwd"})
_BROKEN_LINES = ("| only one cell", "| x | no/slug | - | - | - | - |")


def model_list(config: SimulatorConfig, catalog: Catalog) -> Reply:
    """The answer to a GET of the list."""
    if config.catalog_form == "html":
        return Reply(200, {"content-type": HTML}, _PAGE)
    if config.catalog_form == "no_list":
        return json_reply(200, {LIST_KEY: "moved", "status": "success"})
    rows: list[Any] = [_row(config, slug, catalog.get(slug)) for slug in _slugs(config, catalog)]
    if config.catalog_form == "broken_rows":
        rows += _BROKEN_ROWS
    return json_reply(200, {LIST_KEY: rows})


def llms_text(config: SimulatorConfig, catalog: Catalog) -> Reply:
    """The answer to a GET of llms.txt."""
    if config.catalog_form == "html":
        return Reply(200, {"content-type": HTML}, _PAGE)
    lines = [
        "# Segmind",
        "",
        "> Models with their average cost and latency.",
        "",
        "## Models",
        "",
        "| Name | Slug | Description | Modality | Avg Cost | Avg Latency |",
        "|---|---|---|---|---|---|",
    ]
    if config.catalog_form == "no_list":
        lines = lines[:4]
    else:
        lines += [_line(config, slug, catalog.get(slug)) for slug in _slugs(config, catalog)]
    if config.catalog_form == "broken_rows":
        lines += _BROKEN_LINES
    text = "\n".join([*lines, ""])
    return Reply(200, {"content-type": "text/plain; charset=utf-8"}, text.encode())


def _slugs(config: SimulatorConfig, catalog: Catalog) -> list[str]:
    named = {*catalog.slugs, *config.extra_models, *config.models, *config.deprecated_models}
    return sorted(named - config.retired_models)


def _row(config: SimulatorConfig, slug: str, model: Model | None) -> dict[str, Any]:
    parameters = model.parameters.values() if model else ()
    return {
        "title": model.name if model else slug,
        "slug": slug,
        "type": _type(model),
        "description": model.summary if model else "",
        "is_visible": True,
        "is_new": False,
        "is_depreciated": slug in config.deprecated_models,
        "thumbnail_image": None,
        "default_image_output": None,
        "parameters": {p.name: _parameter(p, order) for order, p in enumerate(parameters)},
    }


def _type(model: Model | None) -> str:
    taken = "image" if model and model.takes_files else "text"
    returned = (model.output.name if model else "image").capitalize()
    return f"{taken}To{returned}"


def _parameter(parameter: Parameter, order: int) -> dict[str, Any]:
    component = "select" if parameter.allowed else _COMPONENTS.get(parameter.type, "text")
    return {
        "isRequired": parameter.required,
        "default": parameter.default,
        "min": parameter.minimum,
        "max": parameter.maximum,
        "options": [{"value": value, "label": str(value)} for value in parameter.allowed] or None,
        "component": component,
        "label": parameter.name.replace("_", " ").title(),
        "displayOrder": order,
        "description": parameter.description,
        "hidden": False,
        "affectsPricing": parameter.affects_price,
        "displayValue": None,
    }


def _line(config: SimulatorConfig, slug: str, model: Model | None) -> str:
    settings = config.models.get(slug)
    price_usd = settings.price_usd if settings else None
    latency_s = settings.latency_s if settings else None
    price_usd = price_usd if price_usd is not None else model.price_usd if model else None
    latency_s = latency_s if latency_s is not None else model.latency_s if model else None
    kind = "LLM" if model and model.output is TEXT else _type(model).replace("To", " to ").lower()
    cells = (
        model.name if model else slug,
        slug,
        model.summary if model else "-",
        kind,
        "-" if price_usd is None else f"${price_usd:.10f}".rstrip("0").rstrip("."),
        "-" if latency_s is None else _duration(latency_s),
    )
    return f"| {' | '.join(cells)} |"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{minutes:.0f}m {rest:.0f}s" if minutes else f"{rest:.1f}s"
