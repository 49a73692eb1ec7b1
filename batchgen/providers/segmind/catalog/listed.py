"""The user's folder of models: one data file a model, made by `batchgen models --update`.

There are hundreds, so a file is read when its model is asked for. Whatever is wrong with one, it is
told once and the model is as unknown as it was before: it can be made anew at any time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import yaml

from batchgen.core.catalog.facts import ModelFacts
from batchgen.core.common.text import printable
from batchgen.core.manifest.model_file import parse_model_file
from batchgen.core.manifest.text.locations import ManifestText
from batchgen.errors import ManifestError
from batchgen.providers.segmind.catalog.files import LOADER
from batchgen.providers.segmind.model_list import is_file_name

SUFFIX = ".yaml"
MAX_FILE_BYTES = 2**20
UPDATE = "batchgen models --update"
_BROKEN = (OSError, ValueError, TypeError, yaml.YAMLError, ManifestError, RecursionError)


class ListedModels(Mapping[str, ModelFacts]):
    """What the files of a folder say, by slug. `warn` hears of each that cannot be read, once."""

    def __init__(self, folder: Path, warn: Callable[[str], None]) -> None:
        self._folder = folder
        self._warn = warn
        self._found: dict[str, ModelFacts | None] = {}
        try:
            with os.scandir(folder) as entries:
                self._stamps = dict(_stamps(entries))
        except (FileNotFoundError, NotADirectoryError):
            self._stamps = {}
        except OSError as error:
            self._stamps = {}
            warn(f"warning: {folder} cannot be read: {error.strerror}; mend that, then `{UPDATE}`")

    @property
    def stamp(self) -> str:
        """Another text whenever any of the files was written anew."""
        return repr(sorted(self._stamps.items()))

    def __getitem__(self, slug: str) -> ModelFacts:
        if slug not in self._stamps:
            raise KeyError(slug)
        if slug not in self._found:
            self._found[slug] = self._read(slug)
        found = self._found[slug]
        if found is None:
            raise KeyError(slug)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._stamps)

    def __len__(self) -> int:
        return len(self._stamps)

    def _read(self, slug: str) -> ModelFacts | None:
        path = self._folder / f"{slug}{SUFFIX}"
        try:
            value = yaml.load(_text(path), Loader=LOADER)  # noqa: S506  a safe loader
            facts = parse_model_file(value, ManifestText(str(path)))
            if facts.slug != slug:
                raise ValueError("it tells of another model")
        except _BROKEN as error:
            reason = getattr(error, "strerror", None) or "it is not as it was written"
            told = printable(f"{path} cannot be read: {reason}", 1_000)
            self._warn(f"warning: {told}; it is left out, and `{UPDATE}` makes it anew")
            return None
        return facts


def _stamps(entries: Iterator[os.DirEntry[str]]) -> Iterator[tuple[str, tuple[int, int]]]:
    for entry in entries:
        slug = entry.name.removesuffix(SUFFIX)
        if slug != entry.name and is_file_name(slug) and entry.is_file():
            seen = entry.stat()
            yield slug, (seen.st_size, seen.st_mtime_ns)


def _text(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise ValueError("too large")
    return data.decode("utf-8")
