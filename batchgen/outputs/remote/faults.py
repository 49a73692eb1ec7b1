"""What an object store says when it does not do what it was asked, in our words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from batchgen.core.common.text import printable
from batchgen.core.manifest.text.destination import Bucket, Scheme
from batchgen.errors import BatchgenError, StoppedEarly, UserError
from batchgen.system.proxies import without_passwords

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>([A-Za-z0-9_.]{1,60})</Code>")
_MESSAGE = re.compile(r"<Message>([^<]{1,200})</Message>")
_QUERY = re.compile(r"\?[^\s\"')]*")
"""Of a signed address it is the secret."""
_MISFITS = frozenset({"KeyTooLongError", "EntityTooLarge", "InvalidURI", "InvalidBlobName"})
"""Codes that speak of the one object and not of the store."""
_IDENTITY = re.compile(r"latest/api/token|latest/meta-data|metadata\.google|/metadata/identity")
"""Where a cloud tells its own machines who they are: asked when the environment names nobody."""
_REGION = "incorrectly configured region"
_TIMING = re.compile(r"^Generic \w+ error: | in [\d.]+[mnµ]?s\b")

_CREDENTIALS = {
    Scheme.S3: "export AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=… (and AWS_REGION, "
    "AWS_ENDPOINT_URL where it is not Amazon's)",
    Scheme.GS: "export GOOGLE_APPLICATION_CREDENTIALS=… (the file of a service account)",
    Scheme.AZ: "export AZURE_STORAGE_ACCOUNT_NAME=… AZURE_STORAGE_ACCOUNT_KEY=…",
}


class StoreFault(StrEnum):
    """Why a store did not do it."""

    AWAY = "away"
    """It does not answer, or only with errors of its own: the same may succeed later."""
    MISSING = "missing"
    """There is no such bucket."""
    FORBIDDEN = "forbidden"
    """The credentials are missing, refused, or not good for this."""
    MISFIT = "misfit"
    """It refuses an object of this name or size, and always will."""
    UNFIT = "unfit"
    """It cannot do what is needed here, whatever the object."""


class StoreError(BatchgenError):
    """One request to a store that failed. `detail` is fit to be shown."""

    def __init__(self, bucket: Bucket, fault: StoreFault, detail: str) -> None:
        self.bucket = bucket
        self.fault = fault
        self.detail = detail
        super().__init__(f"{bucket}: {detail}")

    def told(self) -> BatchgenError:
        """The same to somebody who waits for the start of a run: whose problem it is, and what to
        do. Nothing was submitted by then."""
        what = f"output.dir: {self}"
        match self.fault:
            case StoreFault.MISSING:
                return UserError(
                    f"{what}\n    make the bucket, or correct the name in the manifest"
                )
            case StoreFault.FORBIDDEN:
                return UserError(
                    f"{what}\n    {_CREDENTIALS[self.bucket.scheme]}; they need the "
                    "rights to read, write, list and delete below that prefix"
                )
            case StoreFault.AWAY:
                return StoppedEarly(f"{what}\n    nothing was submitted")
            case _:
                return UserError(f"{what}\n    choose another place for the outputs")


@contextmanager
def store_faults(bucket: Bucket) -> Iterator[None]:
    """Turn what `obstore` raises into `StoreError`.

    `FileNotFoundError` passes through: what it means depends on the request, as does
    `AlreadyExistsError`.
    """
    from obstore.exceptions import (  # noqa: PLC0415  the extra may be absent
        AlreadyExistsError,
        BaseError,
        NotSupportedError,
        PermissionDeniedError,
        UnauthenticatedError,
    )

    try:
        yield
    except AlreadyExistsError:
        raise
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise StoreError(bucket, StoreFault.FORBIDDEN, _detail(error)) from error
    except NotSupportedError as error:
        raise StoreError(bucket, StoreFault.UNFIT, _detail(error)) from error
    except TimeoutError as error:
        raise StoreError(bucket, StoreFault.AWAY, "it does not answer in time") from error
    except BaseError as error:
        raise StoreError(bucket, _fault(str(error)), _detail(error)) from error


def _fault(text: str) -> StoreFault:
    if _IDENTITY.search(text):
        return StoreFault.FORBIDDEN
    code = _CODE.search(text)
    if code and code[1] in _MISFITS:
        return StoreFault.MISFIT
    if _REGION in text:
        return StoreFault.FORBIDDEN
    status = _STATUS.search(text)
    if status and status[1] == "501":
        return StoreFault.UNFIT
    if status and status[1].startswith("4") and status[1] not in {"408", "409", "429"}:
        # 400 is what S3 says to a token that has expired and to a wrong region.
        return StoreFault.FORBIDDEN
    return StoreFault.AWAY


def _detail(error: Exception) -> str:
    """One line without addresses' queries, which may hold a signature, and without the XML."""
    text = str(error).partition("\n\nDebug source:")[0]
    if _IDENTITY.search(text):
        return "there are no credentials in the environment"
    status, code, message = (p.search(text) for p in (_STATUS, _CODE, _MESSAGE))
    if status is None:
        return printable(without_passwords(_TIMING.sub("", _QUERY.sub("", text))), 300)
    said = " ".join(part[1] for part in (code, message) if part)
    return printable(f"HTTP {status[1]}" + (f" {said}" if said else ""), 300)


def missing_bucket(bucket: Bucket) -> StoreError:
    """A write was answered with 404."""
    word = "container" if bucket.scheme is Scheme.AZ else "bucket"
    return StoreError(bucket, StoreFault.MISSING, f"there is no {word} {bucket.name!r}")
