"""The whole product on a manifest, with a guess of the latency as the catalogue would have one.

`batchgen run` knows no guess for a model outside the catalogue and asks for the first results after
20 s; that wait says nothing about speed. Apart from the guess this is the command: the same
session, state, outputs, log, display and metadata.
`python -m bench.drive MANIFEST RUN_DIR BASE_URL GUESS_S`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import anyio

from batchgen.adapters.manifest_file import load_manifest
from batchgen.adapters.run_directory import RunDirectory
from batchgen.cli.places import write_metadata
from batchgen.cli.service import Service
from batchgen.cli.session import Overrides, display_for, opened
from batchgen.core.polling import DEFAULT_LATENCY_S

KEY = "SG_0123456789abcdef"


async def main(manifest_path: Path, run_dir: Path, url: str, guess_s: float) -> int:
    """Run to the end; the exit code of the command."""
    manifest = load_manifest(manifest_path)
    speed = DEFAULT_LATENCY_S / guess_s
    service = Service(KEY, url, "the bench", local=True, speed=speed)
    overrides = Overrides()
    async with opened(manifest, RunDirectory(run_dir), service.name) as session:
        with display_for(session, overrides.cap_usd(manifest)) as display:
            end = await session.run(service, overrides, [display])
        await write_metadata(session)
        return int(session.exit_code(end, dict(session.tally.counts)))


if __name__ == "__main__":
    sys.exit(anyio.run(main, Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], float(sys.argv[4])))
