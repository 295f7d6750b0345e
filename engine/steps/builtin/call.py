"""Calling another workflow, and handing back what it gave."""

from __future__ import annotations

from array import array
from typing import Annotated, Any, Literal

from engine.errors import StepCrashed, TreadleError
from engine.model.items import SAME, Batch, Output
from engine.steps.contract import BatchCall, ItemFailures, Wait
from engine.steps.define import PLAIN, Between, Label, Options, step, trigger


@trigger(
    "trigger.call",
    "When called by a workflow",
    icon="input",
    keywords=("sub-workflow", "child", "function", "input"),
    sample=[{"order": 17}],
)
def called(
    input: Annotated[
        dict[str, str] | None,
        Label(
            "Input",
            "The fields a caller has to bring, each with its kind: text, number, integer, boolean, list, object, any. With a "
            "question mark it may be missing.",
        ),
        PLAIN,
    ] = None,
) -> None:
    """Starts when another workflow calls this one (`flow.call`). What it declares here is checked before anything runs."""


@step(
    "flow.call",
    "Call a workflow",
    category="flow",
    icon="account_tree",
    keywords=("sub-workflow", "child", "run", "function", "reuse"),
    sample=[{"order": 17, "total": 12.5}],
)
async def call(
    batch: BatchCall,
    workflow: Annotated[str, Label("Workflow", "Its name.", "Send an invoice")],
    per: Annotated[
        Literal["batch", "item"],
        Label("One run for"),
        Options.of(batch="All items together", item="Each item"),
    ] = "batch",
    wait: Annotated[bool, Label("Wait for it", "Go on with what it gives; otherwise the items pass on at once.")] = True,
    concurrency: Annotated[
        int | None, Label("At a time", "How many of its runs go at a time; all of them when empty."), Between(1, 10_000)
    ] = None,
) -> Output | Wait:
    """
    Runs another workflow with these items, as a run of its own, and goes on with what its last steps gave.

    Its active version runs (in a test: its draft). When it fails, this step fails and names its run; cancelling this run
    cancels it as well. Waiting for it takes no memory.
    """
    calls, items = batch.ctx.calls, batch.items
    if calls is None:
        raise StepCrashed("This run cannot call others.", hint="Run it in Treadle.")
    if batch.ctx.woken is None:
        batches: list[Batch] = [[item] for item in items] if per == "item" else [items]
        if not batches:
            return Output([])
        await calls.start(workflow, batches, waits=wait, concurrency=concurrency)
        if not wait:
            return Output(items)
        details: dict[str, Any] = {"workflow": workflow, "runs": len(batches)}
        return Wait(kind="child", name=batch.ctx.run_id, key=calls.key, details=details)
    results = await calls.results()
    found: Batch = []
    origins = array("i")
    failed: dict[int, TreadleError] = {}
    for index, result in enumerate(results):
        if result.error is not None:
            failed[index] = result.error
            continue
        found += result.items
        origins.extend([index] * len(result.items))
    if per == "item":
        outputs = Output(found, {"in": origins})
        if failed:
            raise ItemFailures(failed, outputs)
        return outputs
    if failed:
        raise failed[0]
    return Output(found, {"in": [list(range(len(items)))] * len(found)})


@step(
    "flow.return",
    "Return",
    category="flow",
    icon="keyboard_return",
    keywords=("result", "output", "sub-workflow", "call"),
    sample=[{"ok": True}],
)
def return_(batch: BatchCall) -> Output:
    """
    What comes here is what this workflow gives to the one that called it, in the place of what leaves its last steps.

    The run goes on; in a run that nobody called the items just pass.
    """
    return Output(batch.items, {"in": SAME})


CALL = (call, return_)
