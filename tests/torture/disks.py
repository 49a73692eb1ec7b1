"""Disks that are full, and disks that fail."""

import shutil
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

from tests.cli.disks import take_inodes
from tests.cli.processes import until
from tests.torture.ground import QUICK, Outcome, ground, kill_group, lived_for, missing, traced

FULL_ROUNDS = 2 if QUICK else 6
BROKEN_ROUNDS = 4 if QUICK else 24


@contextmanager
def _small_disk(megabytes, inodes=0):
    """A file system of its own, or None where mounting is not allowed; 0 inodes are any number."""
    path = Path(mkdtemp(prefix="torture-disk-"))
    options = f"size={megabytes}m,nr_inodes={inodes}"
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        path.rmdir()
        yield None
        return
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)
        path.rmdir()


def _fill(path):
    """Take every last byte."""
    for block in (2**20, 4096, 1):
        with suppress(OSError), path.open("ab", buffering=0) as file:
            while file.write(bytes(block)):
                pass


def full_at_the_acknowledgement():
    """Submits are out, the disk fills up, their answers come: none may be forgotten."""
    with _small_disk(90) as disk:
        if disk is None:
            return Outcome(skipped="mounting a small disk needs root")
        with ground("full", folder=disk, latency_s=1.5) as here:
            for number in range(FULL_ROUNDS):
                name = f"full-{number}"
                manifest = here.manifest(24, name)
                filler = disk / "filler"
                with here.place.start("run", manifest, "--patience", "3") as running:
                    wanted = here.chance.randint(1, 24)
                    until(lambda n=name, w=wanted: len(here.service.bills(f'"{n} number')) >= w)
                    _fill(filler)
                    ended = running.end(90)
                here.outcome.count += 1
                if ended.code != 3:
                    here.violate(f"{name}: exit {ended.code} on a full disk: {ended.text[-300:]}")
                filler.unlink()
                here.finish(manifest, name)
            return here.outcome


def without_inodes():
    """At a random moment no file can be made any more, while free bytes look fine."""
    jobs, rounds = 24, FULL_ROUNDS
    with _small_disk(1000, 60 + rounds * (jobs + 20)) as disk:
        if disk is None:
            return Outcome(skipped="mounting a small disk needs root")
        with ground("inodes", folder=disk, latency_s=1.0) as here:
            downloads = 0
            for number in range(rounds):
                name = f"inodes-{number}"
                stem = here.chance.choice(["{id}", "{model}/{id}/a/{id}"])
                manifest = here.manifest(jobs, name, output={"filename": stem})
                with here.place.start("run", manifest, "--patience", "3") as running:
                    wanted = here.chance.randint(1, jobs)
                    until(lambda n=name, w=wanted: len(here.service.bills(f'"{n} number')) >= w)
                    take_inodes(disk / "fillers")
                    for left in range(here.chance.randint(0, 3)):
                        (disk / "fillers" / str(left)).unlink(missing_ok=True)
                    ended = running.end(120)
                here.outcome.count += 1
                if ended.code not in {0, 3}:
                    here.violate(f"{name}: exit {ended.code} without inodes: {ended.text[-300:]}")
                before, downloads = downloads, here.service.download_count()
                if downloads - before > 3 * jobs:
                    here.violate(f"{name}: {downloads - before} downloads of {jobs} files")
                shutil.rmtree(disk / "fillers")
                here.finish(manifest, name)
                downloads = here.service.download_count()
            return here.outcome


def broken():
    """EIO where the state is written or synced: exit 3, and a clean way on."""
    if why := missing("strace"):
        return Outcome(skipped=why)
    with ground("broken") as here:
        hit = 0
        for number in range(BROKEN_ROUNDS):
            name = f"broken-{number}"
            manifest = here.manifest(12, name)
            state = here.place.path / "runs" / name / "state.db"
            call = here.chance.choice(["fsync,fdatasync", "pwrite64"])
            when = here.chance.randint(1, 25 if call == "pwrite64" else 8)
            error = here.chance.choice(["EIO", "ENOSPC"] if call == "pwrite64" else ["EIO"])
            filters = [
                "-o", "/dev/null", "-P", f"{state}", "-P", f"{state}-wal", "-e", f"trace={call}",
                "-e", f"inject={call}:error={error}:when={when}+",
            ]  # fmt: skip
            with traced(here.place, filters, "run", manifest) as process:
                if lived_for(process, 60):
                    here.violate(f"{name}: it does not end")
                    kill_group(process)
                    continue
            here.outcome.count += 1
            hit += process.returncode == 3
            # 2: it broke while the file was being made, before anything was submitted. 0: too late.
            if process.returncode not in {0, 2, 3}:
                here.violate(f"{name}: {error} at {call} {when}: exit {process.returncode}")
            here.finish(manifest, name)
        here.outcome.note = f"{hit} stopped with 3"
        return here.outcome
