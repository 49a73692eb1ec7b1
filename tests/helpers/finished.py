"""Run directories with finished files, made without a service, as a run leaves them."""

from __future__ import annotations

import hashlib
import struct
import zlib
from contextlib import closing

from batchgen.core.common.json import canonical_json
from batchgen.core.jobs.events import EventKind as E
from batchgen.core.jobs.job import Job, Output, Receipt, SavedFile
from batchgen.core.jobs.lifecycle import apply
from batchgen.store.sqlite.importer import import_jobs
from batchgen.store.sqlite.ledger import Ledger
from batchgen.store.sqlite.schema import connect
from tests.core.builders import NOW, event
from tests.store.builders import spec

MIME = {"png": "image/png", "txt": "text/plain", "json": "application/json"}


def png(seed, size=0):
    """A picture of 2 × 2 pixels that no other seed makes, of some `size` bytes more."""
    pixels = b"".join(b"\0" + struct.pack(">I", seed)[1:] * 2 for _ in range(2))
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 2, 2, 8, 2, 0, 0, 0)),
        (b"tEXt", b"seed\0" + str(seed).encode() + b"." * size),
        (b"IDAT", zlib.compress(pixels)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def finished_run(path, jobs, outputs=None):
    """A run directory of finished jobs. `jobs` maps an id to its job: `files` are names and bytes,
    `params` what was sent, `fields` its row; `model` and `seed` if they matter; `unverified` if its
    files are not.

    Returns the hash of each file by its name.
    """
    outputs = outputs or path / "outputs"
    outputs.mkdir(parents=True, exist_ok=True)
    hashes = {}
    with closing(connect(path / "state.db", create=True)) as connection:
        ledger = Ledger(connection)
        specs = [
            spec(
                id_,
                canonical_json(job.get("params", {})),
                model=job.get("model", "flux-pro"),
                fields=job.get("fields", {}),
            )
            for id_, job in jobs.items()
        ]
        import_jobs(ledger, specs)
        keys = dict(connection.execute("SELECT id, key FROM jobs"))
        changes = []
        for one in specs:
            job = jobs[one.id]
            row = Job(keys[one.id], one.id, one.model, one.body, one.stem, price_usd=0.1)
            changes += _life(row, [_save(outputs, *file) for file in job["files"].items()], job)
        ledger.record(changes)
    for job in jobs.values():
        hashes |= {name: hashlib.sha256(data).hexdigest() for name, data in job["files"].items()}
    return hashes


def _save(outputs, name, data):
    target = outputs / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    extension = name.rpartition(".")[2]
    pixels = 2 if extension == "png" else 0
    kind = MIME.get(extension, f"application/{extension}")
    return SavedFile(0, name, len(data), hashlib.sha256(data).hexdigest(), kind, pixels, pixels)


def _life(job, files, told):
    """The changes from its submit to its last file."""
    verified = not told.get("unverified", False)
    receipt = Receipt(0.04, None, 2.5, 0.5, 3.0, told.get("seed"))
    found = tuple(Output(index, url=f"https://cdn.example/{index}") for index in range(len(files)))
    saved = tuple(
        SavedFile(n, f.name, f.size, f.sha256, f.media_type, f.width, f.height, verified)
        for n, f in enumerate(files)
    )
    for number, (kind, fields) in enumerate(
        (
            (E.INTENDED, {}),
            (E.ACKED, {"request_id": f"r-{job.key}"}),
            (E.FINISHED, {}),
            (E.RESULT, {"outputs": found, "receipt": receipt}),
            (E.SAVED, {"files": saved}),
        )
    ):
        change = apply(job, event(kind, NOW + number, job_key=job.key, **fields))
        job = change.after
        yield change
