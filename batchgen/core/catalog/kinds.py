"""What a model makes, from what is declared of it."""

from __future__ import annotations

from collections.abc import Iterable

from batchgen.core.catalog.model import Model
from batchgen.core.jobs.spec import ModelKind

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
    """What a model makes: as its page says, unless that says text and the parameters do not.

    A page may say text of a model that makes pictures; of one whose parameters tell nothing nobody
    knows.
    """
    if model.makes_media:
        return ModelKind.MEDIA
    is_of_media = not _OF_MEDIA.isdisjoint(model.parameters)
    is_of_text = not _OF_TEXT.isdisjoint(model.parameters)
    if is_of_media is is_of_text:
        return ModelKind.UNKNOWN
    return ModelKind.MEDIA if is_of_media else ModelKind.TEXT


def kinds_of(models: Iterable[Model]) -> dict[str, ModelKind]:
    """The kinds that are known, by slug."""
    kinds = {model.slug: kind_of(model) for model in models}
    return {slug: kind for slug, kind in kinds.items() if kind is not ModelKind.UNKNOWN}
