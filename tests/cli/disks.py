"""File systems of their own, to fill or to lock; only root can mount them."""

import subprocess
from contextlib import contextmanager, suppress

import pytest


@contextmanager
def small_disk(path, size, inodes=0):
    """A file system of so many bytes, and inodes if they matter; 0 for as many as there may be."""
    path.mkdir()
    options = f"size={size},nr_inodes={inodes}"
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)]
    done = subprocess.run(mount, check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mounting a small disk needs root: {done.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def make_read_only(path):
    """From now on nothing can be written there."""
    subprocess.run(["mount", "-o", "remount,ro", str(path)], check=True)


def take_inodes(folder):
    """Make empty files there until no more can be made; what gives them back is removing them."""
    folder.mkdir(exist_ok=True)
    with suppress(OSError):
        for number in range(100_000):
            (folder / str(number)).touch()
