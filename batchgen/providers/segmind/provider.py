"""Segmind as the runner sees it: the port `Provider`, filled by the pure modules of this folder."""

from __future__ import annotations

from batchgen.core.jobs.capabilities import Capabilities
from batchgen.core.jobs.outcomes import CallKind, Response, Signal
from batchgen.core.net.http import CallOutcome
from batchgen.providers.segmind import history, receipts, requests, responses, treatments, uploads
from batchgen.providers.segmind.errors import signal_of

CAPABILITIES = Capabilities(retention_s=treatments.WINDOW_S, file_retention_s=treatments.FILES_S)


class Segmind:
    """Builds the calls, and reads what came of them. It sends nothing and remembers nothing."""

    capabilities = CAPABILITIES

    submit_call = staticmethod(requests.submit_call)
    status_call = staticmethod(requests.status_call)
    result_call = staticmethod(requests.result_call)
    record_call = staticmethod(requests.record_call)
    history_call = staticmethod(requests.history_call)
    upload_call = staticmethod(requests.upload_call)
    credits_call = staticmethod(requests.credits_call)

    read_submit = staticmethod(responses.read_submit)
    read_status = staticmethod(responses.read_status)
    read_result = staticmethod(responses.read_result)
    read_record = staticmethod(responses.read_record)
    read_confirmation = staticmethod(responses.read_confirmation)
    read_upload = staticmethod(uploads.read_upload)
    read_history = staticmethod(history.rows_of)
    read_credits = staticmethod(receipts.read_credits)

    @staticmethod
    def read_response(call: CallKind, outcome: CallOutcome, now: float) -> Response:
        """What came of a call that is about no job."""
        signal = signal_of(outcome)
        reason = "" if signal is Signal.OK else treatments.describe(signal, outcome)
        return Response(call, signal, now, reason)
