"""The other side of `sdk`: the service's own SDK in a pool of 64 threads, as its users run it.

`python -m bench.sdk_pool URL COUNT FOLDER`.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
from segmind import SegmindClient

THREADS = 64


def _one(client: SegmindClient, files: httpx.Client, folder: Path, number: int) -> None:
    job = client.submit_async("bench-model", prompt=f"a cup, number {number}")
    final = job.wait()
    data = files.get(final["output"]).raise_for_status().content
    (folder / f"{number}.png").write_bytes(data)


def main(url: str, count: int, folder: Path) -> None:
    folder.mkdir(parents=True)
    client = SegmindClient(api_key="SG_0123456789abcdef", base_url=f"{url}/v1")
    with httpx.Client() as files, ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(partial(_one, client, files, folder), range(1, count + 1)):
            pass


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
