"""What a bucket holds besides finished files: what describes them, and what they replaced."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from itertools import count
from pathlib import PurePosixPath

from batchgen.core.dataset.columns import Record
from batchgen.core.manifest.text.destination import Bucket
from batchgen.datasets.metadata import CARD_NAME, DATASET_NAMES, METADATA_NAME, write_metadata
from batchgen.outputs.remote.store import Store, connect
from batchgen.system.run_directory import REPLACED_NAME, RunDirectory


async def publish_metadata(
    directory: RunDirectory, bucket: Bucket, records: Iterable[Record], title: str
) -> int:
    """Write `metadata.jsonl` and the card to the bucket, each whole; the count of rows.

    They are made in the run directory first. `records` as for `write_metadata`. Raises `OSError`
    of the disk and `StoreError`.
    """
    store = connect(bucket)
    folder = directory.path / ".metadata"
    folder.mkdir(exist_ok=True)
    try:
        row_count = write_metadata(folder, records, title, str(bucket))
        await store.replace(METADATA_NAME, folder / METADATA_NAME, "application/x-ndjson")
        await store.replace(CARD_NAME, folder / CARD_NAME, "text/markdown")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return row_count


async def published_sizes(bucket: Bucket) -> dict[str, int | None]:
    """The bytes of the dataset files in a bucket, None for one that is missing.

    Raises `StoreError`.
    """
    store = connect(bucket)
    return {name: await store.size_of(name) for name in DATASET_NAMES}


async def set_aside(bucket: Bucket, names: Iterable[str]) -> None:
    """Move objects below `.replaced/`, as `RunDirectory.set_aside` does with files.

    Raises `StoreError`; what was not moved by then keeps its name.
    """
    store = connect(bucket)
    for name in names:
        await store.move(name, await _free_name(store, f"{REPLACED_NAME}/{name}"))


async def _free_name(store: Store, wanted: str) -> str:
    path = PurePosixPath(wanted)
    name = wanted
    for number in count(1):
        if not await store.exists(name):
            break
        name = str(path.with_stem(f"{path.stem}~{number}"))
    return name
