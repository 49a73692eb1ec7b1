"""Where a state file was at its last run: a directory that was moved is told from a copy."""

from __future__ import annotations

import json
import socket
from dataclasses import asdict, dataclass, replace
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
    `host` is the machine's id or, where it has none, its name; `home` is the inode of the file's
    directory, 0 where an earlier version did not write it down."""

    host: str
    boot: str
    device: int
    inode: int
    home: int = 0

    @classmethod
    def of(cls, path: Path) -> Self:
        """Where a file is now. Raises `OSError`."""
        found = path.stat()
        home = path.absolute().parent.stat().st_ino
        return cls(_host(), boot_id(), found.st_dev, found.st_ino, home)

    def dump(self) -> dict[str, str]:
        """As a note of the state."""
        return {WHEREABOUTS_NOTE: json.dumps(asdict(self))}

    def since(self, note: str | None) -> Standing:
        """What became of the file of a note; without a readable one it is taken for the same.

        A rename keeps the inode. Devices are numbered anew when a machine starts.
        """
        before = self._read(note)
        if before is None:
            return Standing.SAME
        is_one_boot = (self.host, self.boot) == (before.host, before.boot)
        if self.inode != before.inode or (is_one_boot and self.device != before.device):
            return Standing.COPIED
        return Standing.SAME if is_one_boot else Standing.RESTARTED

    def is_on_host(self, note: str | None) -> bool:
        """Whether the file of a note was on this machine."""
        before = self._read(note)
        return before is not None and before.host == self.host

    def is_at_home(self, note: str | None) -> bool:
        """Whether the file of a note stood in this very directory, and since the machine started;
        it may have been replaced by another one."""
        before = self._read(note)
        return bool(self.home) and before == replace(self, inode=before.inode if before else 0)

    @staticmethod
    def _read(note: str | None) -> Whereabouts | None:
        try:
            return Whereabouts(**json.loads(note or ""))
        except (TypeError, ValueError):
            return None


def _host() -> str:
    try:
        told = Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        told = ""
    return told or socket.gethostname()
