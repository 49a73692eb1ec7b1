"""Our side of `downloads`: the product's downloader and its outputs folder, without a run around.

`python -m bench.save_all URL COUNT FOLDER`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

from batchgen.core.jobs.job import Output
from batchgen.core.jobs.policies import Limits
from batchgen.outputs.downloads import Downloader, DownloadSettings
from batchgen.outputs.local import FileOutputs
from batchgen.ports import SaveOrder

AT_ONCE = Limits().save_concurrency
"""What a run saves at once; curl gets as many."""


async def _worker(outputs: FileOutputs, url: str, numbers: Iterator[int]) -> None:
    for number in numbers:
        output = Output(0, url=f"{url}/f/file-{number}.png")
        await outputs.save(SaveOrder(f"{number}-1", f"file-{number}", output))


async def main(url: str, count: int, folder: Path) -> None:
    numbers = iter(range(1, count + 1))
    settings = DownloadSettings(allow_private=True)
    async with (
        Downloader("bench", settings) as downloader,
        FileOutputs(folder / "outputs", folder / "staging", downloader) as outputs,
    ):
        await asyncio.gather(*(_worker(outputs, url, numbers) for _ in range(AT_ONCE)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))
