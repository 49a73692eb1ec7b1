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

from batchgen.app.manifest_file import load_manifest
from batchgen.app.options import RunOptions
from batchgen.app.run import OpenRun
from batchgen.app.service import ServiceAccess
from batchgen.app.session import opened
from batchgen.core.scheduling.latency import DEFAULT_LATENCY_S
from batchgen.system.run_directory import RunDirectory

KEY = "SG_0123456789abcdef"


async def main(manifest_path: Path, run_dir: Path, url: str, guess_s: float) -> int:
    """Run to the end; the exit code of the command."""
    manifest = load_manifest(manifest_path)
    speed = DEFAULT_LATENCY_S / guess_s
    service = ServiceAccess(KEY, url, "the bench", local=True, speed=speed)
    options = RunOptions()
    async with opened(manifest, RunDirectory(run_dir), service.name, options) as session:
        run = OpenRun(session, service, options)
        with run.display() as display:
            end = await run.to_the_end([display])
        return (await run.outcome(end)).code


if __name__ == "__main__":
    sys.exit(anyio.run(main, Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], float(sys.argv[4])))
