"""Answers from outside to steps that wait: a decision, a filled-in form, a signal; each counts once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from engine.clock import Clock
from engine.errors import BadRequest, Conflict, NotFound
from engine.ids import NodeId, RunId, new_id
from engine.model.items import Batch
from engine.model.run import FactKind
from engine.model.waits import Signal, Waiting, Waking
from engine.protocols import Store
from engine.steps.form_fields import parse_fields, read_answers

from .payloads import encode_batch
from .worker import Worker

LONGEST_NOTE: Final = 10_000
LONGEST_NAME: Final = 200


class Over(Conflict):
    """What was asked is answered, too late, or its run is over."""

    code = "over"


class NotYet(Conflict):
    """The run has not come to the step that a link leads to."""

    code = "not_yet"


class WrongAnswers(BadRequest):
    """Fields of a form that are not filled in as they have to be; `wrong` says what, by name."""

    code = "wrong_answers"

    def __init__(self, wrong: Mapping[str, str]) -> None:
        first = next(iter(wrong))
        super().__init__(f"{first}: {wrong[first]}", hint="Correct it and send it again.", where={"fields": dict(wrong)})
        self.wrong = dict(wrong)


class Answers:
    """Takes answers; the run goes on once they are on disk, and that is what each method waits for."""

    def __init__(self, store: Store, worker: Worker, clock: Clock) -> None:
        self._store, self._worker, self._clock = store, worker, clock

    async def find(self, run_id: RunId, node: NodeId, scope: str = "") -> Waiting:
        """Return the step that waits there; raises `NotFound`, `NotYet` and `Over`."""

        def look(work: Any) -> tuple[Waiting | None, bool, bool]:
            run = work.runs.get(run_id)
            known = work.runs.facts(run_id, node=node)
            has_waited = any(fact.kind is FactKind.STEP_WAITING and fact.scope == scope for fact in known)
            return work.waits.find(run_id, node, scope), has_waited, run.status.is_final

        waiting, has_waited, is_final = await self._store.read(look)
        if waiting is not None and waiting.waking is None:
            return waiting
        if waiting is not None or has_waited or is_final:
            raise Over("This was answered already, or its time is over.", hint="The run's page shows what became of it.")
        raise NotYet("The run has not come to this step yet.", hint="Try again in a moment.")

    async def decide(
        self,
        waiting: Waiting,
        decision: str,
        *,
        by: str = "",
        note: str = "",
        answers: Mapping[str, Any] | None = None,
    ) -> None:
        """
        Press a button of an approval. Raises `BadRequest` for one that is not there, `WrongAnswers`, `Over` when somebody was
        faster.
        """
        details = waiting.wait.details
        if waiting.wait.kind != "approval":
            raise BadRequest("This step does not wait for an approval.", hint=f"It waits for a {waiting.wait.kind}.")
        buttons = details.get("buttons", {})
        if decision not in buttons:
            raise BadRequest(f"There is no button “{decision[:80]}”.", hint=f"The buttons are: {', '.join(buttons)}.")
        if len(by) > LONGEST_NAME or len(note) > LONGEST_NOTE or "\0" in by + note:
            raise BadRequest(f"A name has at most {LONGEST_NAME} characters, a note {LONGEST_NOTE}.")
        found = self._check(details, answers or {})
        told = {"decision": decision, "by": by.strip(), "note": note.strip()}
        await self._wake(waiting, "decided", told, [found] if found else [])

    async def fill(self, waiting: Waiting, answers: Mapping[str, Any]) -> None:
        """Fill in a form. Raises `WrongAnswers`, and `Over` when somebody was faster."""
        if waiting.wait.kind != "form":
            raise BadRequest("This step does not wait for a form.", hint=f"It waits for a {waiting.wait.kind}.")
        await self._wake(waiting, "filled", {}, [self._check(waiting.wait.details, answers)])

    async def resume(self, waiting: Waiting, items: Batch) -> None:
        """Wake one step that waits for a signal, as its link does. Raises `Over` when somebody was faster."""
        if waiting.wait.kind != "signal":
            raise BadRequest("This step does not wait for a signal.", hint=f"It waits for a {waiting.wait.kind}.")
        await self._wake(waiting, "signal", {"by": "link"}, items)

    async def signal(
        self, name: str, key: str = "", items: Batch | None = None, *, keep: timedelta | None = None, by: str = ""
    ) -> list[RunId]:
        """Wake every step that waits for a signal and return their runs; where none does, keep it for so long."""
        now = self._clock.now()
        try:
            until = now + keep if keep is not None else None
        except OverflowError:
            raise BadRequest("A signal cannot be kept for that long.") from None
        signal = Signal(
            id=new_id("sig", now),
            name=name,
            key=key,
            at=now,
            expires_at=until,
            note={"by": by} if by else {},
            payload=encode_batch(items) if items else None,
        )
        woken = await self._store.write(lambda work: work.signals.send(signal))
        self._worker.woken(woken)
        return woken

    async def _wake(self, waiting: Waiting, how: str, note: Mapping[str, Any], items: Batch) -> None:
        waking = Waking(how=how, at=self._clock.now(), note=note, payload=encode_batch(items) if items else None)
        if not await self._store.write(lambda work: work.waits.wake(waiting.run_id, waiting.node, waiting.scope, waking)):
            raise Over("Somebody was faster: this was answered already.", hint="The run's page shows what became of it.")
        self._worker.woken([waiting.run_id])

    @staticmethod
    def _check(details: Mapping[str, Any], answers: Mapping[str, Any]) -> dict[str, Any]:
        found, wrong = read_answers(parse_fields(details.get("fields")), answers)
        if wrong:
            raise WrongAnswers(wrong)
        return found


__all__ = ["Answers", "NotFound", "NotYet", "Over", "WrongAnswers"]
