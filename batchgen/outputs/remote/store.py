"""One bucket of an object store: whole objects, written once, compared before anything is believed.

A PUT is one request, and the store shows all of it or nothing. `create` never replaces an object:
the store itself refuses (`If-None-Match: *`), so neither two writers nor a repeated request can do
harm. Credentials come from the environment, as `obstore` documents, and go to the store alone.
"""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import anyio

from batchgen.core.manifest.text.destination import Bucket, Scheme
from batchgen.core.net.urls import is_loopback_host
from batchgen.errors import UserError
from batchgen.outputs.remote.faults import StoreError, StoreFault, missing_bucket, store_faults

if TYPE_CHECKING:
    from obstore import GetResult
    from obstore.store import ObjectStore

_T = TypeVar("_T")

HASH_ATTRIBUTE = "sha256"
"""Metadata of an object that holds its hash: what it is compared by."""


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """How patient one request is; all of them guesses. Times in seconds.

    A request may take `timeout_s` and what its bytes need at `min_bytes_per_s`. After a fault that
    may pass it is sent again, once for each of `delays_s`, with full jitter. `reread_count` is for
    who only reads: the client itself repeats so often.
    """

    timeout_s: float = 30.0
    min_bytes_per_s: float = 64 * 1024.0
    delays_s: tuple[float, ...] = (0.5, 2.0, 6.0)
    reread_count: int = 0


@dataclass(frozen=True, slots=True)
class ObjectContent:
    """The bytes of one object, and what they are: `media_type`, and hashes in hex."""

    data: Any
    """A buffer; of a big file a mapped one, which takes no memory of its own."""
    size: int
    sha256: str
    md5: str
    media_type: str = "application/octet-stream"

    @classmethod
    def of(cls, data: bytes, media_type: str = "application/octet-stream") -> ObjectContent:
        """Bytes in memory."""
        sha256 = hashlib.sha256(data).hexdigest()
        return cls(data, len(data), sha256, md5_of(data), media_type)


def md5_of(data: Any) -> str:
    """What most stores answer as the ETag of a PUT; no security hangs on it."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


class Store:
    """The objects below a bucket's prefix. Names are relative to it. Faults are `StoreError`s."""

    def __init__(
        self, bucket: Bucket, store: ObjectStore, settings: StoreSettings | None = None
    ) -> None:
        self.bucket = bucket
        self._store = store
        self._settings = settings or StoreSettings()

    async def create(self, name: str, content: ObjectContent) -> bool:
        """Write a whole object unless one of that name exists; False when it does.

        It may then be our own, of a request whose answer was lost.
        """
        import obstore  # noqa: PLC0415  an extra
        from obstore.exceptions import AlreadyExistsError  # noqa: PLC0415

        attributes = {"Content-Type": content.media_type, HASH_ATTRIBUTE: content.sha256}

        async def put() -> bool:
            try:
                answer = await obstore.put_async(
                    self._store,
                    name,
                    content.data,
                    mode="create",
                    use_multipart=False,
                    attributes=attributes,
                )
            except AlreadyExistsError:
                return False
            except FileNotFoundError as error:
                raise missing_bucket(self.bucket) from error
            if (answer["e_tag"] or "").strip('"').lower() != content.md5:
                # Not every store answers with the hash (encryption by key changes it, too).
                await self._confirm(name, content)
            return True

        return await self._patiently(put, content.size)

    async def _confirm(self, name: str, content: ObjectContent) -> None:
        found = await self._look(name)
        if found is None or found[0] != content.size:
            detail = f"{name}: what the store holds is not what was sent"
            raise StoreError(self.bucket, StoreFault.AWAY, detail)

    async def holds(self, name: str, size: int, sha256: str) -> bool:
        """Whether the object of that name has exactly this content.

        By the hash that was stored with it; one without is read.
        """

        async def compare() -> bool:
            found = await self._look(name)
            if found is None:
                # Told to exist a moment ago: two requests for one name met, and neither is done.
                raise StoreError(self.bucket, StoreFault.AWAY, f"{name} comes and goes")
            if found[0] != size:
                return False
            return (found[1] or await self._hash(name)) == sha256

        return await self._patiently(compare, size)

    async def _look(self, name: str) -> tuple[int, str] | None:
        """Size of an object, and the hash stored with it or an empty text; None without object."""
        import obstore  # noqa: PLC0415

        try:
            found = await obstore.get_async(self._store, name, options={"head": True})
        except FileNotFoundError:
            return None
        return found.meta["size"], str(found.attributes.get(HASH_ATTRIBUTE, ""))

    async def _hash(self, name: str) -> str:
        import obstore  # noqa: PLC0415

        digest = hashlib.sha256()
        found = await obstore.get_async(self._store, name)
        async for block in found.stream():
            digest.update(block)
        return digest.hexdigest()

    async def exists(self, name: str) -> bool:
        """Whether there is an object of that name."""

        return await self.size_of(name) is not None

    async def size_of(self, name: str) -> int | None:
        """The bytes of an object; None without one."""

        async def look() -> int | None:
            found = await self._look(name)
            return None if found is None else found[0]

        return await self._patiently(look)

    async def read(self, name: str) -> bytes | None:
        """All of an object, in memory; None without object (or bucket)."""
        import obstore  # noqa: PLC0415

        async def get() -> bytes | None:
            try:
                found = await obstore.get_async(self._store, name)
            except FileNotFoundError:
                return None
            return bytes(await found.bytes_async())

        return await self._patiently(get)

    def get(self, name: str) -> GetResult:
        """The beginning of an object, for a thread to read on. Raises `FileNotFoundError`."""
        import obstore  # noqa: PLC0415

        with store_faults(self.bucket):
            return obstore.get(self._store, name)

    async def replace(self, name: str, path: Path, media_type: str) -> None:
        """Write a whole object from a local file, whatever had that name; flat in memory."""
        size = (await anyio.Path(path).stat()).st_size
        import obstore  # noqa: PLC0415

        async def put() -> None:
            try:
                # A large file goes in parts, and appears with the request that ends them.
                await obstore.put_async(
                    self._store, name, path, attributes={"Content-Type": media_type}
                )
            except FileNotFoundError as error:
                raise missing_bucket(self.bucket) from error

        await self._patiently(put, size)

    async def move(self, name: str, target: str) -> bool:
        """Give an object another name, which must be free; False where there is none.

        Copied first: at no instant is it without a name.
        """
        import obstore  # noqa: PLC0415

        async def rename() -> bool:
            if await self._look(name) is None:
                return False
            await obstore.copy_async(self._store, name, target)
            await obstore.delete_async(self._store, name)
            return True

        return await self._patiently(rename)

    async def _patiently(self, work: Callable[[], Awaitable[_T]], size: int = 0) -> _T:
        """Do it in time, and again after a fault that may pass. Raises `StoreError`."""
        settings = self._settings
        limit_s = settings.timeout_s + size / settings.min_bytes_per_s
        for delay_s in (*settings.delays_s, None):
            try:
                with store_faults(self.bucket):
                    # anyio's own: cancelled from outside it stays a cancellation.
                    with anyio.fail_after(limit_s):
                        return await work()
            except StoreError as error:
                if error.fault is not StoreFault.AWAY or delay_s is None:
                    raise
            await anyio.sleep(delay_s * random.random())
        raise AssertionError("unreachable")


def connect(bucket: Bucket, settings: StoreSettings | None = None) -> Store:
    """The store of a bucket, as the environment tells to reach it; nothing is sent yet.

    Raises `UserError` without the extra, and where the environment makes no sense.
    """
    try:
        from obstore.exceptions import BaseError  # noqa: PLC0415
        from obstore.store import AzureStore, GCSStore, S3Store  # noqa: PLC0415
    except ImportError as error:
        raise UserError(
            f"output.dir: {bucket} needs the library obstore, which is not installed\n"
            "    python -m pip install obstore"
        ) from error
    makers: dict[Scheme, Callable[..., ObjectStore]] = {
        Scheme.S3: S3Store, Scheme.GS: GCSStore, Scheme.AZ: AzureStore
    }  # fmt: skip
    # Repeating is ours: only we know what may be repeated. Time limits, too, as they hang on sizes.
    options: dict[str, Any] = {"timeout": "12h", "connect_timeout": "10s"}
    if bucket.scheme is Scheme.S3 and _may_be_plain():
        options["allow_http"] = True
    try:
        store = makers[bucket.scheme](
            bucket.name,
            prefix=bucket.prefix or None,
            client_options=options,
            retry_config={"max_retries": settings.reread_count if settings else 0},
        )
    except (BaseError, ValueError, OSError) as error:
        with_detail = str(error).partition("\n\nDebug source:")[0]
        raise UserError(
            f"output.dir: {bucket} cannot be reached with the settings in the environment: "
            f"{with_detail}\n    correct the {_VARIABLES[bucket.scheme]} variables"
        ) from error
    return Store(bucket, store, settings)


_VARIABLES = {
    Scheme.S3: "AWS_…",
    Scheme.GS: "GOOGLE_…",
    Scheme.AZ: "AZURE_STORAGE_…",
}


def _may_be_plain() -> bool:
    """Whether the S3 endpoint is plain http and may be: unasked only on this very machine.

    Raises `UserError` where it may not.
    """
    address = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    parts = urlsplit(address)
    if parts.scheme != "http":
        return False
    allowed = os.environ.get("AWS_ALLOW_HTTP", "").lower() in {"1", "true", "yes"}
    if not allowed and not is_loopback_host(parts.hostname or ""):
        raise UserError(
            f"output.dir: {parts.hostname} is another machine, and plain http to it can be read by "
            "anybody on the way\n    use https in AWS_ENDPOINT_URL, or export AWS_ALLOW_HTTP=true"
        )
    return True
