"""The calls of a run: which request asks the service for what. Nothing here sends."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

from batchgen.core.jobs.job import Job
from batchgen.core.jobs.spec import WORKFLOWS, Mode
from batchgen.core.net.http import MAX_MEDIA_BYTES, Call, Host
from batchgen.core.reconciliation.history import DAY_S, PAGE_ROWS, HistoryRead

SYNC_TIMEOUT_S = 600.0
"""How long a v1 call may take; the SDK's own deadline for a job."""
SUBMIT_TIMEOUT_S = 60.0
RESULT_TIMEOUT_S = 300.0
"""A final body may carry the media itself."""
UPLOAD_TIMEOUT_S = 300.0
"""The largest file at a megabit a second takes nearly as long."""


def submit_call(job: Job) -> Call:
    """The POST of a job, on the door that its API version or the name of its workflow tells."""
    if job.model.startswith(WORKFLOWS):
        path = f"/{WORKFLOWS}{quote(job.model.removeprefix(WORKFLOWS), safe='')}"
        return Call("POST", path, body=job.body, timeout_s=SUBMIT_TIMEOUT_S)
    path = f"/{job.api}/{quote(job.model, safe='')}"
    if job.api is Mode.BLOCKING:
        return Call(
            "POST", path, body=job.body, timeout_s=SYNC_TIMEOUT_S, max_bytes=MAX_MEDIA_BYTES
        )
    return Call("POST", path, body=job.body, timeout_s=SUBMIT_TIMEOUT_S)


def status_call(request_id: str) -> Call:
    """The GET of a request's state. Built from the id: URLs from replies are never followed."""
    return Call("GET", f"/v2/requests/{quote(request_id, safe='')}/status")


def result_call(request_id: str) -> Call:
    """The GET of a request's final body; some models answer the media itself."""
    return Call(
        "GET",
        f"/v2/requests/{quote(request_id, safe='')}",
        timeout_s=RESULT_TIMEOUT_S,
        max_bytes=MAX_MEDIA_BYTES,
    )


def record_call(request_id: str) -> Call:
    """The GET of one row of the account's history, of any age."""
    path = f"/inference-request/request-history/{quote(request_id, safe='')}"
    return Call("GET", path, host=Host.HISTORY)


def history_call(read: HistoryRead, now: float) -> Call:
    """The GET of the next page of a read of the account's history, newest first.

    Days are UTC; one more on either side covers clocks that disagree. The service allows 31 days.
    """
    latest_at = max(now, read.back_to)
    query = (
        ("page", str(read.page)),
        ("per_page", str(PAGE_ROWS)),
        ("from_date", _day(read.from_at)),
        ("to_date", _day(latest_at + DAY_S)),
        ("sort_by", "model_created"),
        ("sort_order", "desc"),
    )
    return Call("GET", "/inference-request/request-history", host=Host.HISTORY, query=query)


def upload_call(media_type: str, encoded: str) -> Call:
    """The POST of a file, `encoded` as base64: free, and answered with its address for good."""
    # Neither a media type nor base64 holds anything that JSON escapes: no need to look through it.
    body = f'{{"data_urls":["data:{media_type};base64,{encoded}"]}}'
    return Call("POST", "/upload-asset", host=Host.UPLOAD, body=body, timeout_s=UPLOAD_TIMEOUT_S)


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


def credits_call() -> Call:
    """The GET of the account's credits: free, so it serves as the probe."""
    return Call("GET", "/v1/get-user-credits")
