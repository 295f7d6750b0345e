"""From the inbox to the worker: every firing finds the document of its version and the hands that run it."""

from __future__ import annotations

from engine.model.items import Batch
from engine.model.run import Run
from engine.protocols import Firing
from engine.run.worker import Worker
from engine.triggers.activation import Activation


class Launcher:
    """Hands the runs that triggers start to the worker; implements `engine.triggers.inbox.Runner`."""

    def __init__(self, worker: Worker, activation: Activation) -> None:
        self._worker, self._activation = worker, activation

    def submit(self, run: Run, *, batch: Batch | None = None, firing: Firing | None = None) -> None:
        """
        Take a run that is to start now.

        With a `batch` the run is not in the store yet: run, firing and first facts are written in one go. Without one it is
        queued in the store, and the worker is told to look there.
        """
        if batch is None:
            self._worker.ring()
            return
        payload = firing.payload if firing is not None else None
        self._worker.submit(run, self._activation.document(run.version_id), batch, payload=payload, firing=firing)
