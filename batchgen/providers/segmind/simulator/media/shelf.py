"""Which media a job has, how large they are, and at which paths of the CDN they stand."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from batchgen.core.media.formats import AUDIO, BY_EXTENSION, MODEL, TEXT, VIDEO
from batchgen.providers.segmind.catalog import Catalog
from batchgen.providers.segmind.simulator.config import ModelSettings, OutputShape, SimulatorConfig
from batchgen.providers.segmind.simulator.fault_rules import CdnHost
from batchgen.providers.segmind.simulator.ledger import Bill
from batchgen.providers.segmind.simulator.media.tiny import DRAWN
from batchgen.providers.segmind.simulator.messages import MediaRef, Urls

MAX_SIDE_PX = 1536
"""No picture is wider or higher, whatever is asked for."""

ONE_TIME = "once"
"""Query field of an address that is good for one download."""

_RATIO = re.compile(r"(\d{1,3}):(\d{1,3})")
_MAX_RATIO = 4.0
_PATH = re.compile(r"/outputs/([0-9a-f-]{32,36})/(\d{1,6})\.[a-z0-9]{2,4}")
_DRAWN: Mapping[str, str] = {
    name: extension for extension in DRAWN for name in BY_EXTENSION[extension].extensions
}
"""The extension of a picture by what may be asked for."""
_FORMATS: Mapping[OutputShape, str] = {
    OutputShape.VIDEO: "mp4",
    OutputShape.LAST_FRAME: "mp4",
    OutputShape.CHAT: "txt",
    OutputShape.TEXT: "txt",
    OutputShape.JSON: "txt",
}


_BY_FAMILY: Mapping[str, ModelSettings] = {
    TEXT.name: ModelSettings(shape=OutputShape.CHAT),
    VIDEO.name: ModelSettings(shape=OutputShape.VIDEO),
    AUDIO.name: ModelSettings(shape=OutputShape.VIDEO, format="wav"),
    MODEL.name: ModelSettings(format="stl"),
}
"""How models of these families answer; all others make pictures."""


@dataclass(frozen=True, slots=True)
class MediaIndex:
    """Turns bills into media references and addresses, with the origins of the CDN in them."""

    config: SimulatorConfig
    catalog: Catalog
    origins: Urls
    tokens: Iterator[int] = field(default_factory=itertools.count)
    """What makes addresses that are good for one download differ."""

    def shape(self, slug: str) -> OutputShape:
        """How a model's final body carries its media."""
        return settings_of(slug, self.config, self.catalog).shape

    def urls(self, bill: Bill) -> list[str]:
        """Where the outputs of a job stand, in their order."""
        return [self._url(ref) for ref in self.refs(bill)]

    def host(self, ref: MediaRef) -> CdnHost:
        """At which host of the CDN an output stands."""
        config, every = self.config, self.config.second_cdn_every
        name = f"{ref.request_id}/{ref.index}".encode()
        is_other = ref.model in config.second_cdn_models or (every and crc32(name) % every == 0)
        return CdnHost.CDN2 if self.origins.cdn2 and is_other else CdnHost.CDN

    def _url(self, ref: MediaRef) -> str:
        is_other = self.host(ref) is CdnHost.CDN2
        url = (self.origins.cdn2 if is_other else self.origins.cdn) + media_path(ref)
        return f"{url}?{ONE_TIME}={next(self.tokens)}" if self.config.one_time_urls else url

    def refs(self, bill: Bill) -> list[MediaRef]:
        """The outputs of a job, in their order."""
        return [self.ref(bill, index) for index in range(bill.output_count)]

    def ref(self, bill: Bill, index: int) -> MediaRef:
        """One output of a job."""
        params = bill.params()
        width, height = picture_size(params, self.config.megapixels)
        settings = settings_of(bill.model, self.config, self.catalog)
        given = settings.format or _FORMATS.get(settings.shape)
        if settings.shape is OutputShape.LAST_FRAME and index:
            given = "png"
        return MediaRef(
            request_id=bill.request_id,
            index=index,
            model=bill.model,
            params=params,
            seed=bill.seed,
            format=given or self._picture_format(bill.model, params),
            width=width,
            height=height,
        )

    def _picture_format(self, slug: str, params: Mapping[str, Any]) -> str:
        model = self.catalog.get(slug)
        declared = model.parameters.get("output_format") if model else None
        wanted = params.get("output_format") or (declared.default if declared else None)
        return _DRAWN.get(str(wanted).lower(), "png")


def settings_of(slug: str, config: SimulatorConfig, catalog: Catalog) -> ModelSettings:
    """What is set for a model; of one that nothing is set for, by what it makes."""
    known = catalog.get(slug)
    if slug in config.models or known is None:
        return config.settings(slug)
    return _BY_FAMILY.get(known.output.name, config.settings(slug))


def media_path(ref: MediaRef) -> str:
    """The path of an output on the CDN."""
    return f"/outputs/{ref.request_id}/{ref.index}.{ref.extension}"


def read_media_path(path: str) -> tuple[str, int] | None:
    """Request id and index of an output's path, or None if it is not one."""
    match = _PATH.fullmatch(path)
    return (match[1], int(match[2])) if match else None


def picture_size(params: Mapping[str, Any], megapixels: float) -> tuple[int, int]:
    """Width and height in pixels: the asked proportions, `megapixels` in area, even numbers.

    Proportions come from `aspect_ratio` ("16:9") or from `width` and `height`; anything else
    ("match_input_image", "") is a square.
    """
    ratio = min(max(_ratio(params), 1 / _MAX_RATIO), _MAX_RATIO)
    area = megapixels * 1_000_000
    width, height = (area * ratio) ** 0.5, (area / ratio) ** 0.5
    shrink = min(1.0, MAX_SIDE_PX / max(width, height))
    return max(2, round(width * shrink / 2) * 2), max(2, round(height * shrink / 2) * 2)


def _ratio(params: Mapping[str, Any]) -> float:
    match = _RATIO.fullmatch(str(params.get("aspect_ratio", "")))
    if match and int(match[1]) and int(match[2]):
        return int(match[1]) / int(match[2])
    width, height = params.get("width"), params.get("height")
    if type(width) is int and type(height) is int and width > 0 and height > 0:
        return min(max(width / height, 1e-3), 1e3)
    return 1.0
