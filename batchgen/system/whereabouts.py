"""Where a state file was at its last run: a directory that was moved is told from a copy."""

from __future__ import annotations

import json
import socket
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self

from batchgen.system.clock import boot_id

WHEREABOUTS_NOTE = "whereabouts"
"""The note of the state that holds a `Whereabouts`."""


class Standing(StrEnum):
    """What a state file is to the one of the last run, as far as machine and disk tell."""

    SAME = "same"
    """It is that file; its directory may have been moved or renamed."""
    RESTARTED = "restarted"
    """It may be that file. The machine was restarted since, or is another one: what was on its
    disks may be as it was before."""
    COPIED = "copied"
    """It is another file with the same content: a copy, or a backup that was put back."""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """A file on a machine. `boot` names the run of the machine, and is empty where it is not told;
    `host` is the machine's id or, where it has none, its name."""

    host: str
    boot: str
    device: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """Where a file is now. Raises `OSError`."""
        found = path.stat()
        return cls(_host(), boot_id(), found.st_dev, found.st_ino)

    def dump(self) -> dict[str, str]:
        """As a note of the state."""
        return {WHEREABOUTS_NOTE: json.dumps(asdict(self))}

    def since(self, note: str | None) -> Standing:
        """What became of the file of a note; without a readable one it is taken for the same.

        A rename keeps the inode. Devices are numbered anew when a machine starts.
        """
        try:
            before = Whereabouts(**json.loads(note or ""))
        except (TypeError, ValueError):
            return Standing.SAME
        is_one_boot = (self.host, self.boot) == (before.host, before.boot)
        if self.inode != before.inode or (is_one_boot and self.device != before.device):
            return Standing.COPIED
        return Standing.SAME if is_one_boot else Standing.RESTARTED


def _host() -> str:
    try:
        told = Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        told = ""
    return told or socket.gethostname()
