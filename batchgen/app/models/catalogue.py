"""The catalogue as it holds for a manifest: what ships with batchgen, over it what the service's
list said, over both the user's own files beside the manifest."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from batchgen.app.console import say
from batchgen.core.catalog.facts import LayeredModels, ModelFacts
from batchgen.core.catalog.model import Catalog
from batchgen.core.manifest.model_file import FOLDER, parse_model_file
from batchgen.core.manifest.text.locations import ManifestText
from batchgen.errors import ManifestError, Problem
from batchgen.providers.registry import DEFAULT, SERVICES
from batchgen.providers.segmind.catalog.listed import ListedModels
from batchgen.system.user_folder import models_folder

_SUFFIXES = frozenset({".yaml", ".yml"})
MAX_FILES = 2_000
_TELLS_SLUG = re.compile(rb"""^[ \t{]*["']?slug["']?[ \t]*:""", re.MULTILINE)
"""A folder of this name may hold somebody's own models, which are none of the service's."""


def catalog_for(folder: Path | None = None) -> Catalog:
    """The catalogue for a manifest in `folder`, or for no manifest.

    Of the service's list a model is read when it is asked for. Raises `ManifestError` with all that
    is wrong with the user's own files.
    """
    shipped = SERVICES[DEFAULT].load_catalog()
    listed = ListedModels(models_folder(), say)
    own, digest = _own_models(folder / FOLDER) if folder else ({}, "")
    if not listed and not own:
        return shipped
    pages = {model.slug: model for model in shipped}
    stamp = f"{shipped.stamp}\n{listed.stamp}\n{digest}"
    return Catalog(LayeredModels(pages, listed, own), stamp)


def _own_models(folder: Path) -> tuple[dict[str, ModelFacts], str]:
    """What the user's own files say, and a digest of their content."""
    from batchgen.sources.yaml.document import parse_document

    own: dict[str, ModelFacts] = {}
    problems: list[Problem] = []
    digest = hashlib.sha256()
    for path in _files(folder):
        try:
            data = path.read_bytes()
            if not _TELLS_SLUG.search(data):
                say(f"note: {path} has no `slug:`, so it tells of no model of the service")
                continue
            digest.update(f"{path.name}\0{len(data)}\0".encode("utf-8", "surrogateescape") + data)
            document = parse_document(data, str(path))
            source = ManifestText(str(path), document.positions)
            facts = parse_model_file(document.value, source)
            if facts.slug in own:
                what = f"another file of {folder} tells of {facts.slug} as well"
                problems.append(source.problem(("slug",), what, "keep one of them"))
            own[facts.slug] = facts
        except ManifestError as error:
            problems += error.problems
        except OSError as error:
            what = f"the file cannot be read: {error.strerror or error}"
            problems.append(Problem(what, "mend that, or move it away", str(path)))
    if problems:
        raise ManifestError(problems)
    return own, digest.hexdigest()


def _files(folder: Path) -> list[Path]:
    """The data files of a folder, by name; hidden ones are left out."""
    try:
        found = sorted(
            path
            for path in folder.iterdir()
            if path.suffix in _SUFFIXES and not path.name.startswith((".", "_")) and path.is_file()
        )
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        what = f"the folder cannot be read: {error.strerror or error}"
        raise ManifestError([Problem(what, "mend that, or move it away", str(folder))]) from error
    if len(found) > MAX_FILES:
        what = (
            f"the folder holds {len(found):,} files of models, and at most {MAX_FILES:,} are read"
        )
        raise ManifestError([Problem(what, "move some of them away", str(folder))])
    return found
