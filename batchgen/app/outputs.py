"""What is done with the place of the outputs: a folder, or a bucket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from batchgen.app.console import say
from batchgen.app.manifest_file import ManifestFile
from batchgen.core.dataset.columns import Record
from batchgen.errors import DiskError
from batchgen.outputs.reading import place_of, with_place
from batchgen.ports import JobStore, Outputs
from batchgen.system.run_directory import RunDirectory, default_directory

if TYPE_CHECKING:  # an HTTP client is half of the time that a plan would take to load
    from batchgen.outputs.downloads import Downloader


def default_run_directory(manifest: ManifestFile, run_dir: Path | None) -> RunDirectory:
    """`--run-dir`, or `runs/<name>` below the current directory; its outputs where they belong."""
    directory = RunDirectory(run_dir) if run_dir else default_directory(manifest.manifest.name)
    place = place_of(manifest.manifest.output.dir, manifest.path.parent, directory)
    return with_place(directory, place)


@asynccontextmanager
async def opened_outputs(
    directory: RunDirectory, run_id: str, downloader: Downloader, staged: AbstractSet[str]
) -> AsyncIterator[Outputs]:
    """The port that brings outputs to where they belong.

    `run_id` as bound; of what an earlier process left, only the `staged` files are kept. Raises
    `DiskError`.
    """
    if directory.bucket is None:
        from batchgen.outputs.local import FileOutputs

        async with FileOutputs(
            directory.outputs, directory.staging, downloader, directory.rejected
        ) as files:
            await files.remove_orphans(staged)
            yield files
        return
    from batchgen.outputs.remote.outputs import RemoteOutputs
    from batchgen.outputs.remote.store import connect

    store = connect(directory.bucket)
    async with RemoteOutputs(store, run_id, directory, downloader) as objects:
        await objects.remove_orphans(staged)
        yield objects


async def set_aside(directory: RunDirectory, names: Sequence[str]) -> None:
    """Move finished files out of the way of those that replace them."""
    if directory.bucket is None:
        directory.set_aside(names)
        return
    from batchgen.app.publishing import set_aside as set_objects_aside
    from batchgen.outputs.remote.faults import StoreError

    try:
        await set_objects_aside(directory.bucket, names)
    except StoreError as error:
        # The new files take other names then; the old ones are in no metadata.jsonl any more.
        say(f"note: replaced files keep their places: {error}")


async def write_metadata(directory: RunDirectory, state: JobStore, title: str) -> bool:
    """Whether the dataset files are as they should be; what they hold is in the state all the same.

    They are written unless they were made from the same before.
    """
    from batchgen.core.dataset.card import METADATA_NOTE
    from batchgen.datasets.metadata_note import note_text
    from batchgen.outputs.remote.faults import StoreError
    from batchgen.store.sqlite.records import ExportQueries

    reader = ExportQueries(directory.state)
    try:
        note = partial(note_text, reader.dataset_stamp(), title, directory.place)
        if reader.note(METADATA_NOTE) == note(await _dataset_sizes(directory)):
            return True
        await _write_dataset_files(directory, reader.files(), title)
        written = note(await _dataset_sizes(directory))
    except (OSError, StoreError) as error:
        reason = (error.strerror or error) if isinstance(error, OSError) else error
        say(
            f"{directory.place}/metadata.jsonl cannot be written: {reason}; "
            "run again once that is mended, nothing is paid for again"
        )
        return False
    finally:
        reader.close()
    with suppress(DiskError):  # without the note they are written once more the next time
        await state.record((), {METADATA_NOTE: written})
    return True


async def _dataset_sizes(directory: RunDirectory) -> dict[str, int | None]:
    from batchgen.app.publishing import published_sizes
    from batchgen.datasets.metadata_note import sizes_in

    if directory.bucket is None:
        return sizes_in(directory.outputs)
    return await published_sizes(directory.bucket)


async def _write_dataset_files(
    directory: RunDirectory, records: Iterable[Record], title: str
) -> None:
    from batchgen.app.publishing import publish_metadata
    from batchgen.datasets.metadata import write_metadata as write_files

    if directory.bucket is None:
        write_files(directory.outputs, records, title)
    else:
        await publish_metadata(directory, directory.bucket, records, title)
