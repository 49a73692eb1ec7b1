"""Telling the watcher which gates and models closed and opened, each once."""

from __future__ import annotations

from batchgen.core.gates import Gates
from batchgen.ports import Progress


class Teller:
    """Remembers what was told."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._gates: set[str] = set()
        self._models: set[str] = set()

    def tell(self, gates: Gates) -> None:
        """Say what is new since the last time."""
        for kind, gate in gates.closed.items():
            if kind not in self._gates:
                self._gates.add(kind)
                self._progress.said("gate_closed", gate.reason, {"gate": str(kind)})
        for name in self._gates - gates.closed.keys():
            self._gates.discard(name)
            self._progress.said("gate_opened", "", {"gate": name})
        for model, reason in gates.closed_models.items():
            if model not in self._models:
                self._models.add(model)
                text = f"{model} takes no jobs in this run, they stay pending ({reason})"
                self._progress.said("model_closed", text, {"model": model})
