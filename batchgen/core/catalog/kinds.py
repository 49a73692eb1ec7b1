"""What a model makes, from what is declared of it."""

from __future__ import annotations

from collections.abc import Mapping

from batchgen.core.catalog.model import Catalog, Model, PerModel
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


def known_kinds(catalog: Catalog) -> Mapping[str, ModelKind]:
    """The kind of each model of a catalogue, where it is known."""

    def known(model: Model) -> ModelKind | None:
        kind = kind_of(model)
        return None if kind is ModelKind.UNKNOWN else kind

    return PerModel(catalog, known)
