"""What the state was last filled from, so that an unchanged manifest is not read again.

A note in the state file, written in the same transaction as the jobs it tells of.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from batchgen.sources.rows import FileSources, Stamp
from batchgen.system.version import installed_version

if TYPE_CHECKING:  # `status` reads notes, and need not load what reads manifests
    from batchgen.core.catalog.model import Catalog
    from batchgen.core.manifest.schema import Manifest

NAME = "import"


@dataclass(frozen=True, slots=True)
class ImportNote:
    """`text` is a digest of all that jobs are made from but their rows; `sources` by name.

    `digests` are SHA-256 of the sources, once they were read; `job_count` jobs are in the state.
    """

    text: str
    sources: Mapping[str, Stamp]
    digests: Mapping[str, str] = field(default_factory=dict)
    job_count: int = 0

    def dump(self) -> Mapping[str, str]:
        """As a note of the state file."""
        return {NAME: json.dumps(asdict(self))}

    def finished(self, job_count: int, files: FileSources) -> ImportNote:
        """The same with all jobs imported. Raises `SourceError`."""
        digests = {name: files.digest(name) for name in self.sources}
        return replace(self, job_count=job_count, digests=digests)

    def still_holds(self, known: ImportNote, files: FileSources) -> bool:
        """Whether what `known` was read from is what there is now.

        A source that only has another time is compared by content. Raises `SourceError`.
        """
        if self.text != known.text or self.sources.keys() != known.sources.keys():
            return False
        return all(
            stamp == known.sources[name]
            or (
                stamp.size == known.sources[name].size
                and known.digests.get(name) == files.digest(name)
            )
            for name, stamp in self.sources.items()
        )


def note_of(manifest: Manifest, catalog: Catalog, stamps: Mapping[str, Stamp]) -> ImportNote:
    """The note of a manifest before anything of it is imported.

    `stamps` are those of its sources before anybody read a row of them: what changes from then on
    must be seen.
    """
    text = hashlib.sha256(manifest.model_dump_json(include={"defaults", "jobs", "output"}).encode())
    text.update(catalog.stamp.encode())
    text.update(installed_version().encode())
    return ImportNote(text.hexdigest(), dict(stamps))


def read_note(text: str | None) -> ImportNote | None:
    """A note as it was dumped, or None.

    A note of another form means nothing, and one of an import that older versions left incomplete
    does not either: the manifest is read again.
    """
    if text is None:
        return None
    try:
        value = json.loads(text)
        if not value.pop("complete", True):
            return None
        value["sources"] = {name: Stamp(**stamp) for name, stamp in value["sources"].items()}
        return ImportNote(**value)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
