"""How much there is to upload: contents counted once each, with sixteen bytes a mention."""

from __future__ import annotations

from array import array

_BUCKET_COUNT = 256


class UploadVolume:
    """Takes contents by their SHA-256 (hex) and their size, as often as they are mentioned.

    64 bits of a hash tell them apart: that of a million contents one is missed has a chance of one
    in forty million.
    """

    def __init__(self) -> None:
        self._digests = tuple(array("Q") for _ in range(_BUCKET_COUNT))
        self._sizes = tuple(array("Q") for _ in range(_BUCKET_COUNT))

    def add(self, sha256: str, size: int) -> None:
        """One more mention of a content."""
        digest = int(sha256[:16], 16)
        self._digests[digest % _BUCKET_COUNT].append(digest)
        self._sizes[digest % _BUCKET_COUNT].append(size)

    def without(self, there: UploadVolume) -> tuple[int, int]:
        """Count and bytes of the contents that are not among those."""
        count = total = 0
        for digests, sizes, known in zip(self._digests, self._sizes, there._digests, strict=True):
            new = dict(zip(digests, sizes, strict=True))
            for digest in known:
                new.pop(digest, None)
            count += len(new)
            total += sum(new.values())
        return count, total
