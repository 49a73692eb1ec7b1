"""Where finished files go, as a manifest may name it: a folder, or a bucket of an object store."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from batchgen.core.manifest.text.fields import fault

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")
"""Two letters at least: one letter and a colon is a drive."""
_BUCKET = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,220}[A-Za-z0-9])?")
_REMEDY = "write s3://bucket/prefix, gs://bucket/prefix, az://container/prefix, or a folder"
MAX_KEY_BYTES = 1024
"""Longest key that S3, Google Cloud Storage and Azure take, prefix included (their documents)."""


class Scheme(StrEnum):
    """The kinds of object stores."""

    S3 = "s3"
    """Amazon S3, and what speaks its protocol."""
    GS = "gs"
    """Google Cloud Storage."""
    AZ = "az"
    """Azure Blob Storage; a bucket is called a container there."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket, or the part of it whose keys begin with `prefix` and a slash."""

    scheme: Scheme
    name: str
    prefix: str = ""

    def __str__(self) -> str:
        """As it is written in a manifest."""
        return f"{self.scheme}://{self.name}" + (f"/{self.prefix}" if self.prefix else "")

    def fits(self, name: str) -> bool:
        """Whether a file of this name below the prefix has a key that the store takes."""
        return len(f"{self.prefix}/{name}".encode()) <= MAX_KEY_BYTES


def bucket_of(text: str) -> Bucket | None:
    """The bucket that a text names; None for a folder.

    Raises what pydantic collects for an address of another kind, and for one that says more than a
    bucket and a prefix: a secret does not belong there.
    """
    match = _SCHEME.match(text)
    if match is None:
        return None
    scheme, rest = match[1].lower(), text[match.end() :]
    if not rest.startswith("//") or scheme not in set(Scheme):
        remedy = f"{_REMEDY} (of such a name: ./{match[0]}…)"
        raise fault(f"{match[0]!r:.40} begins no place that outputs can go to", remedy)
    name, _, prefix = rest[2:].partition("/")
    if "@" in name or "?" in rest or "#" in rest:
        what = "the address of a bucket holds more than its name and a prefix"
        raise fault(what, "credentials come from the environment, never from the manifest")
    if not _BUCKET.fullmatch(name):
        raise fault(f"{name!r:.60} cannot be the name of a bucket", _REMEDY)
    return Bucket(Scheme(scheme), name, _prefix(prefix))


def _prefix(text: str) -> str:
    prefix = text.removesuffix("/")
    parts = prefix.split("/") if prefix else []
    if any(part in ("", ".", "..") or not part.isprintable() for part in parts):
        raise fault(f"{text!r:.60} cannot be a prefix", "write plain names with one / between them")
    return prefix


def checked_dir(text: str) -> str:
    """A folder or a bucket, unchanged. Raises what pydantic collects."""
    if bucket_of(text) is None and not text.isprintable():
        raise fault("the folder holds a character that cannot be printed", _REMEDY)
    return text
