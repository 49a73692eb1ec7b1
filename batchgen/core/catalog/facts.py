"""What one source says of a model, and models made of what several say.

The sources lie over one another: the page that ships with batchgen, the service's list in the
user's folder, and the user's own file beside the manifest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from batchgen.core.catalog.model import Model, Parameter, ParameterType, Source
from batchgen.core.jobs.spec import Mode
from batchgen.core.media.formats import FAMILIES, FILE, Family


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What one source says of a model, as `Model` has it; None where it says nothing."""

    slug: str
    name: str | None = None
    summary: str | None = None
    page_api: Mode | None = None
    latency_s: float | None = None
    price_usd: float | None = None
    estimated: str | None = None
    output: Family | None = None
    parameters: Mapping[str, Parameter] | None = None
    example: Mapping[str, Any] | None = None
    is_deprecated: bool | None = None

    def over(self, base: Model | None, source: Source) -> Model:
        """The model as this source has it, and as `base` has it where this one says nothing.

        The service's list tells of a model that has a page only what it costs, how long it takes
        and whether it is deprecated.
        """
        if base is None:
            empty = Model(self.slug, self.slug, "", Mode.QUEUED, None, None, FILE, {}, {})
            return self._laid_over(replace(empty, source=source))
        if source is Source.LIST:
            told = ModelFacts(
                self.slug,
                latency_s=self.latency_s,
                price_usd=self.price_usd,
                estimated=self.estimated,
                is_deprecated=self.is_deprecated,
            )
            return told._laid_over(base)
        return self._laid_over(base if self.parameters is None else replace(base, source=source))

    def _laid_over(self, base: Model) -> Model:
        changes = {
            name: value for name in self.__slots__ if (value := getattr(self, name)) is not None
        }
        if self.price_usd is not None:
            changes["estimated"] = self.estimated or ""
        return replace(base, **changes)


def facts_of(data: Mapping[str, Any]) -> ModelFacts:
    """A data file as it was parsed; KeyError, TypeError or ValueError where it is broken."""
    parameters = data.get("parameters")
    return ModelFacts(
        slug=data["slug"],
        name=data.get("name"),
        summary=data.get("summary"),
        page_api=Mode(data["page_api"]) if data.get("page_api") else None,
        latency_s=data.get("latency_s"),
        price_usd=data.get("price_usd"),
        estimated=data.get("estimated"),
        output=FAMILIES[data["output"]] if data.get("output") else None,
        parameters=None
        if parameters is None
        else {name: _parameter(name, values) for name, values in parameters.items()},
        example=data.get("example"),
        is_deprecated=data.get("deprecated"),
    )


def _parameter(name: str, values: Mapping[str, Any]) -> Parameter:
    known = dict(values)
    minimum, maximum = known.pop("range", None) or (None, None)
    return Parameter(
        name=name,
        type=ParameterType(known.pop("type", ParameterType.ANY)),
        has_default="default" in known,
        minimum=minimum,
        maximum=maximum,
        allowed=tuple(known.pop("allowed", ())),
        **known,
    )


class LayeredModels(Mapping[str, Model]):
    """Models by slug, each put together when it is first asked for.

    `listed` and `own` go over `pages`, in this order; `listed` may read its models lazily, and may
    turn out not to have one that it names.
    """

    def __init__(
        self,
        pages: Mapping[str, Model],
        listed: Mapping[str, ModelFacts],
        own: Mapping[str, ModelFacts],
    ) -> None:
        self._pages = pages
        self._layers = ((listed, Source.LIST), (own, Source.OWN))
        self._made: dict[str, Model | None] = {}
        self._slugs = frozenset([*pages, *listed, *own])

    def __getitem__(self, slug: str) -> Model:
        if slug not in self._made:
            model = self._pages.get(slug)
            for layer, source in self._layers:
                facts = layer.get(slug)
                model = model if facts is None else facts.over(model, source)
            self._made[slug] = model
        made = self._made[slug]
        if made is None:
            raise KeyError(slug)
        return made

    def __iter__(self) -> Iterator[str]:
        return iter(self._slugs)

    def __len__(self) -> int:
        return len(self._slugs)
