"""What a model makes, from what is declared of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from batchgen.core.catalog.model import Catalog, Model
from batchgen.core.jobs.spec import ModelKind
from batchgen.core.media.formats import FILE, TEXT

_OF_MEDIA = frozenset({
    "aspect_ratio", "width", "height", "num_images", "image_size", "megapixels", "output_quality",
    "negative_prompt", "guidance", "guidance_scale", "cfg_scale", "steps", "num_inference_steps",
    "num_frames", "fps", "frames_per_second", "duration", "resolution", "scheduler", "voice",
})  # fmt: skip
"""Parameters of models that make pictures, films and sounds."""
_OF_TEXT = frozenset({
    "messages", "max_tokens", "max_completion_tokens", "max_output_tokens", "temperature", "top_p",
    "system_prompt", "response_format", "reasoning_effort", "web_search",
})  # fmt: skip
"""Parameters of models that make texts."""


def kind_of(model: Model) -> ModelKind:
    """What a model makes: as its page, or the service's list, says, unless its parameters do not.

    A page may say text of a model that makes pictures; of one whose parameters tell nothing nobody
    knows. The list may be wrong about media as well.
    """
    is_of_media = not _OF_MEDIA.isdisjoint(model.parameters)
    is_of_text = not _OF_TEXT.isdisjoint(model.parameters)
    if model.output not in {TEXT, FILE}:
        is_doubted = model.is_third_hand and is_of_text and not is_of_media
        return ModelKind.UNKNOWN if is_doubted else ModelKind.MEDIA
    if is_of_media is is_of_text:
        return ModelKind.UNKNOWN
    return ModelKind.MEDIA if is_of_media else ModelKind.TEXT


class ModelKinds(Mapping[str, ModelKind]):
    """The kind of each model of a catalogue, where it is known; read when asked for."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._found: dict[str, ModelKind] = {}

    def __getitem__(self, slug: str) -> ModelKind:
        if slug not in self._found:
            model = self._catalog.get(slug)
            self._found[slug] = ModelKind.UNKNOWN if model is None else kind_of(model)
        if self._found[slug] is ModelKind.UNKNOWN:
            raise KeyError(slug)
        return self._found[slug]

    def __iter__(self) -> Iterator[str]:
        return (slug for slug in self._catalog.slugs if slug in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)
