"""File systems of their own, to fill or to lock; only root can mount them."""

import subprocess
from contextlib import contextmanager

import pytest


@contextmanager
def small_disk(path, size):
    """A file system of so many bytes."""
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)]
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
