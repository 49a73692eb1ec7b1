"""The other side of `throughput`: a bare aiohttp loop over the same four calls.

Nothing is durable, nothing is checked, nothing is limited: files are opened, written and closed in
the loop. `python -m bench.bare URL COUNT FOLDER`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp

AT_ONCE = 64


async def _worker(
    session: aiohttp.ClientSession, url: str, numbers: Iterator[int], folder: Path
) -> None:
    for number in numbers:
        parameters = {"prompt": f"a cup, number {number}"}
        async with session.post(f"{url}/v2/bench-model", json=parameters) as answer:
            request_id = (await answer.json())["request_id"]
        status = ""
        while status != "COMPLETED":
            async with session.get(f"{url}/v2/requests/{request_id}/status") as answer:
                status = (await answer.json())["status"]
        async with session.get(f"{url}/v2/requests/{request_id}") as answer:
            output = (await answer.json())["output"]
        async with session.get(output) as answer:
            data = await answer.read()
        with (folder / f"{number}.png").open("wb") as file:
            file.write(data)


async def main(url: str, count: int, folder: Path) -> None:
    folder.mkdir(parents=True)
    numbers = iter(range(1, count + 1))
    headers = {"x-api-key": "SG_0123456789abcdef"}
    async with aiohttp.ClientSession(headers=headers) as session:
        workers = [_worker(session, url, numbers, folder) for _ in range(AT_ONCE)]
        await asyncio.gather(*workers)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))
