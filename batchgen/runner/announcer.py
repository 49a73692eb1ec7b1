"""Telling the watcher what changed beside the jobs, each thing once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from batchgen.core.jobs.events import Change
from batchgen.core.jobs.job import Outlook
from batchgen.core.jobs.placeholders import Uploaded
from batchgen.core.progress.finding_words import findings
from batchgen.core.progress.held_words import what_is_wrong
from batchgen.core.scheduling.gates.gates import Gates
from batchgen.core.scheduling.gates.refusals import Refusal
from batchgen.core.scheduling.state import SchedulerState
from batchgen.ports import Progress

RETOLD_S = 30.0


class Announcer:
    """Remembers what was told."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._gates: set[str] = set()
        self._models: dict[str, str] = {}
        """What was told of a model, by slug: that it was suspected, or closed."""
        self._limited_until = 0.0
        self._found: dict[str, str | int] = {}
        self._warned = False
        self._doubted = False

    def tell(self, scheduler: SchedulerState, now: float) -> None:
        """Say what is new since the last time."""
        self._tell_gates(scheduler.gates)
        self._tell_limits(scheduler, now)
        self._tell_findings(scheduler)
        self._tell_money(scheduler)

    def tell_uploads(self, uploaded: Sequence[Uploaded]) -> None:
        """Say which files are at the service now; displays count them."""
        for upload in uploaded:
            fields = {
                "path": upload.path,
                "bytes": upload.content.size,
                "sha256": upload.content.sha256,
                "url": upload.url,
            }
            self._progress.said("uploaded", "", fields)

    def tell_unverified(self, changes: Sequence[Change]) -> None:
        """Warn of the first file that is kept unverified; the log has them all."""
        for file in (file for change in changes for file in change.files if not file.verified):
            text = (
                f"warning: {file.name} is kept, but its bytes do not tell that it is whole, or "
                'what it is; look into it (`"verified": false` in metadata.jsonl)'
            )
            fields = {"file": file.name, "bytes": file.size, "sha256": file.sha256}
            self._progress.said("unverified", "" if self._doubted else text, fields)
            self._doubted = True

    def tell_credits(self, credits_usd: float, outlook: Outlook) -> None:
        """Compare what the account holds with what the pending jobs are reckoned to cost."""
        fields = {"credits_usd": credits_usd, "pending_usd": outlook.usd}
        short = outlook.usd > credits_usd
        text = (
            f"warning: the account holds {credits_usd:.2f} USD, the jobs that wait are reckoned at "
            f"{outlook.usd:.2f} USD: the run will stop when the credits are gone"
        )
        self._progress.said("credits", text if short else "", fields)

    def _tell_gates(self, gates: Gates) -> None:
        for kind, gate in gates.closed.items():
            if kind not in self._gates:
                self._gates.add(kind)
                self._progress.said("gate_closed", gate.reason, {"gate": str(kind)})
        for name in self._gates - gates.closed.keys():
            self._gates.discard(name)
            self._progress.said("gate_opened", "", {"gate": name})
        self._tell_models(gates.refusals.models)

    def _tell_models(self, models: Mapping[str, Refusal]) -> None:
        if not (models or self._models):
            return
        for model, refusal in models.items():
            if refusal.closed and self._models.get(model) != "closed":
                self._models[model] = "closed"
                what = what_is_wrong(refusal.signal, refusal.reason)
                text = f"{model}: {what}. Its jobs are on hold"
                self._progress.said("model_closed", text, {"model": model})
            elif model not in self._models:
                self._models[model] = "suspected"
                at = datetime.fromtimestamp(refusal.probe_at).astimezone().strftime("%H:%M:%S")
                text = f"{model} refused a job ({refusal.reason}); one more is tried at {at}"
                self._progress.said("model_refused", text, {"model": model})
        for model in self._models.keys() - models.keys():
            if self._models.pop(model) == "closed":
                text = f"{model} takes jobs again"
                self._progress.said("model_opened", text, {"model": model})

    def _tell_limits(self, scheduler: SchedulerState, now: float) -> None:
        until, told = scheduler.rate.blocked_until, self._limited_until
        if until <= now:
            return
        self._limited_until = max(until, told)
        if until < told + RETOLD_S:
            return  # a straggler of the same congestion
        at = datetime.fromtimestamp(until).astimezone().strftime("%H:%M:%S")
        text = f"limited until {at}: the service refuses more requests"
        allowed = scheduler.rate.allowed
        if scheduler.rate.ceiling is not None:
            text += f"; then at most {allowed} a minute for a while"
        fields = {"until": until, "requests_per_minute": allowed}
        self._progress.said("limited", text, fields)

    def _tell_findings(self, scheduler: SchedulerState) -> None:
        for one in findings(scheduler.rates, scheduler.result_polls):
            if self._found.get(one.what) != one.value:
                self._found[one.what] = one.value
                fields = {"what": one.what, "value": one.value}
                self._progress.said("found_out", one.text, fields)

    def _tell_money(self, scheduler: SchedulerState) -> None:
        money = scheduler.money
        if self._warned or not money.is_nearly_spent or money.cap_usd is None:
            return
        self._warned = True
        text = (
            f"warning: {money.committed_usd:.2f} of max_spend {money.cap_usd:.2f} USD "
            "are spent or reserved"
        )
        self._progress.said("budget_warning", text, {"committed_usd": money.committed_usd})
