"""A file system as a power cut would leave it: what was written, and what of that is durable.

The harshest reading of POSIX: bytes are durable once their own file was synced, a name once its
folder was. Between two syncs anything may have reached the platter, in any order, or nothing.
"""

from dataclasses import dataclass, field
from pathlib import PurePosixPath


@dataclass
class Inode:
    """One file. `pending` are writes and truncations since the last sync, in their order."""

    durable: bytearray = field(default_factory=bytearray)
    is_folder: bool = False
    pending: list = field(default_factory=list)
    """(sequence, offset, data), or (sequence, size, None) for a truncation."""


def apply(content, change):
    _, where, data = change
    if data is None:
        del content[where:]
        content.extend(bytes(where - len(content)))
        return
    content.extend(bytes(max(0, where - len(content))))
    content[where : where + len(data)] = data


@dataclass
class Disk:
    """Files by path. Every change gets a number; a sync covers the changes before its start."""

    inodes: dict = field(default_factory=dict)
    """path → Inode, as the running system sees it"""
    names: dict = field(default_factory=dict)
    """path → Inode, as the platter has it"""
    unsynced_names: list = field(default_factory=list)
    """(sequence, folder, path, Inode or None) since the last sync of that folder"""
    sequence: int = 0

    def _next(self):
        self.sequence += 1
        return self.sequence

    def _name(self, path, inode):
        if inode is None:
            self.inodes.pop(path, None)
        else:
            self.inodes[path] = inode
        folder = str(PurePosixPath(path).parent)
        self.unsynced_names.append((self._next(), folder, path, inode))

    def create(self, path):
        if path not in self.inodes:
            self._name(path, Inode())

    def make_folder(self, path):
        if path not in self.inodes:
            self._name(path, Inode(is_folder=True))

    def write(self, path, offset, data):
        if path in self.inodes:
            self.inodes[path].pending.append((self._next(), offset, data))

    def truncate(self, path, size):
        if path in self.inodes:
            self.inodes[path].pending.append((self._next(), size, None))

    def size(self, path):
        content = bytearray(self.inodes[path].durable)
        for change in self.inodes[path].pending:
            apply(content, change)
        return len(content)

    def link(self, old, new):
        if old in self.inodes:
            self._name(new, self.inodes[old])

    def rename(self, old, new):
        if old in self.inodes:
            inode = self.inodes[old]
            self._name(new, inode)
            self._name(old, None)

    def unlink(self, path):
        if path in self.inodes:
            self._name(path, None)

    def sync(self, path, before):
        """A sync that began after change `before` has come back: of a file, or of a folder."""
        if path in self.inodes:
            inode = self.inodes[path]
            for change in [c for c in inode.pending if c[0] <= before]:
                apply(inode.durable, change)
            inode.pending = [c for c in inode.pending if c[0] > before]
        covered = [n for n in self.unsynced_names if n[1] == path and n[0] <= before]
        for _, _, name, inode in covered:
            self._settle(name, inode)
        self.unsynced_names = [n for n in self.unsynced_names if n not in covered]

    def _settle(self, name, inode):
        if inode is None:
            self.names.pop(name, None)
        else:
            self.names[name] = inode

    def survivors(self, root, chance=None):
        """path → bytes after a cut: what was not synced is gone, or (by chance) here and there.

        Only below `root`, which is taken for durable; what is in a lost folder is lost.
        """
        names = dict(self.names)
        if chance is not None:
            for _, _, name, inode in self.unsynced_names:
                if chance.random() < 0.5:
                    names.pop(name, None) if inode is None else names.__setitem__(name, inode)
        contents = {}
        for name, inode in names.items():
            if inode.is_folder or not all(folder in names for folder in _folders(name, root)):
                continue
            content = bytearray(inode.durable)
            for change in inode.pending if chance is not None else ():
                if chance.random() < 0.5:
                    apply(content, change)
            contents[name] = bytes(content)
        return contents


def _folders(name, root):
    """The folders between `root` and a file."""
    return [
        str(f) for f in PurePosixPath(name).parents if f.is_relative_to(root) and str(f) != root
    ]
