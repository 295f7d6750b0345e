"""What Treadle knows about itself, for `/metrics` and `/readyz`."""

from __future__ import annotations

from app.web.metrics import Family, Labels, Metrics
from engine.model.run import RunStatus
from engine.run.worker import Worker
from engine.store import SqlStore
from engine.triggers.triggers import Triggers


def gather(store: SqlStore, worker: Worker, triggers: Triggers) -> Metrics:
    """Return metrics that tell of runs, the journal and triggers beside the requests they count."""
    metrics = Metrics()

    async def runs() -> list[Family]:
        counts = await store.read(lambda work: work.runs.count_by_status())
        by_status: dict[Labels, float] = {(("status", status.value),): float(counts.get(status, 0)) for status in RunStatus}
        steps: dict[Labels, float] = {
            (("status", "succeeded"),): float(worker.env.steps_done),
            (("status", "failed"),): float(worker.env.steps_failed),
        }
        return [
            Family("treadle_runs", "gauge", "Runs in the store, by status.", by_status),
            Family("treadle_steps_total", "counter", "Steps that came to their end since the start.", steps),
            _one("treadle_runs_going", "gauge", "Runs that this process carries now.", worker.running),
            _one("treadle_runs_in_line", "gauge", "Runs that wait for a slot.", worker.waiting),
        ]

    async def journal() -> list[Family]:
        facts = store.journal
        return [
            _one("treadle_journal_flushes_total", "counter", "Transactions of the writer since the start.", facts.flushes),
            _one("treadle_journal_records_total", "counter", "Records and changes on disk since the start.", facts.committed),
            _one("treadle_journal_waiting", "gauge", "Records and changes that are not on disk yet.", facts.waiting),
        ]

    async def active() -> list[Family]:
        return [
            _one("treadle_webhooks_active", "gauge", "Webhooks that are answered.", len(triggers.webhooks)),
            _one("treadle_schedules_active", "gauge", "Schedules that fire.", len(triggers.schedules)),
        ]

    for source in (runs, journal, active):
        metrics.add(source)
    return metrics


async def is_ready(store: SqlStore) -> bool:
    """Whether the store answers, and the writer keeps up."""
    await store.read(lambda work: work.values.get("ready"))
    return not store.journal.is_full


def _one(name: str, kind: str, help: str, value: float) -> Family:
    return Family(name, kind, help, {(): float(value)})
