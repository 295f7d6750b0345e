"""Frames: steps that hold others, carried out by the engine: loop, try, compensate; and the way out of a loop, break."""

from __future__ import annotations

from typing import Annotated, Literal

from engine.errors import BadInput
from engine.model.items import Output
from engine.steps.contract import BatchCall, Computed, Loop
from engine.steps.define import ADVANCED, Between, Label, Options, ShowWhen, step
from engine.steps.spec import FrameSpec

CEILING = 1_000
"""How many passes a loop with a condition makes at most when it does not say."""


@step(
    "flow.loop",
    "Loop",
    category="flow",
    icon="repeat",
    keywords=("for each", "while", "until", "repeat", "batch", "iterate"),
    ports_in=("in", "next"),
    ports_out=("each", "done"),
    sample=[{"sku": "A-1"}, {"sku": "B-2"}],
    frame=FrameSpec("loop", "each", "next", "done"),
)
def loop(
    batch: BatchCall,
    over: Annotated[
        Literal["items", "batches", "condition"],
        Label("Over", "A pass for each item, for each batch of items, or one after the other while a condition holds."),
        Options.of(items="Each item", batches="Batches of items", condition="While a condition holds"),
    ] = "items",
    size: Annotated[int, Label("Items per batch"), Between(1), ShowWhen(over="batches")] = 100,
    condition: Annotated[
        Computed | None,
        Label(
            "While",
            "Asked before each pass about the items it would get: those that came in, then those that came back.",
            "loop.index < 10 && item.more",
        ),
        ShowWhen(over="condition"),
    ] = None,
    break_when: Annotated[
        Computed | None,
        Label("Break when", "Asked after each pass about the items that came back; no further pass begins.", "item.found"),
        ADVANCED,
    ] = None,
    concurrency: Annotated[int, Label("Passes at a time"), Between(1, 1_000), ShowWhen(over=("items", "batches"))] = 1,
    ceiling: Annotated[
        int | None,
        Label("At most", "More passes are an error. A loop with a condition makes at most 1,000 when this is empty."),
        Between(1),
        ADVANCED,
    ] = None,
    keep: Annotated[
        Literal["all", "last", "none"],
        Label("Keep", "What leaves by “done”: what all passes gave, the last one, or one item that counts them."),
        Options.of(all="What all passes gave", last="What the last pass gave", none="Only how many passes there were"),
    ] = "all",
) -> Loop:
    """
    Sends items through the steps at “each” again and again; what comes back to “next” is collected and leaves by “done”.

    In the body, `loop.index`, `loop.item` and `loop.items` speak of the pass. A pass that fails stops the run, or with
    “On error” leaves by the error port or is left out.
    """
    if over == "condition":
        if condition is None:
            raise BadInput("condition", "The loop has no condition to go on by.", hint="Write one under “While”.")
        return Loop(size=None, condition=condition, break_when=break_when, ceiling=ceiling or CEILING, keep=keep)
    each = size if over == "batches" else 1
    return Loop(size=each, break_when=break_when, concurrency=concurrency, ceiling=ceiling, keep=keep)


@step(
    "flow.break",
    "Break",
    category="flow",
    icon="logout",
    keywords=("loop", "end", "exit", "leave"),
    sample=[{"found": True}],
    frame=FrameSpec("break"),
)
def break_(batch: BatchCall) -> Output:
    """Lets the loop around it begin no further pass; this pass goes on to its end, and the items go on by “out”."""
    return Output(batch.items)


@step(
    "flow.try",
    "Try",
    category="flow",
    icon="shield",
    keywords=("catch", "error", "finally", "exception", "failure"),
    ports_in=("in", "next"),
    ports_out=("body", "done", "caught", "finally"),
    sample=[{"id": 7}],
    frame=FrameSpec("try", "body", "next", "done"),
)
def try_(batch: BatchCall) -> Output:
    """
    Holds the steps at “body”; when one of them fails, the run goes on at “caught” with the item and its `error`.

    What comes back to “next” leaves by “done” when nothing failed; “finally” gets the one or the other. Ending the run on
    purpose and cancelling it are not caught.
    """
    return Output(batch.items)


@step(
    "flow.compensate",
    "Compensate",
    category="flow",
    icon="undo",
    keywords=("saga", "undo", "roll back", "rollback"),
    ports_out=("out", "undo"),
    sample=[{"booking": "B-17"}],
    frame=FrameSpec("compensate", "undo", None, "out"),
)
def compensate(batch: BatchCall) -> Output:
    """
    Remembers how to undo what was done before it: should the run fail later, the steps at “undo” run with these items.

    Several are undone in reverse order. What a `flow.try` around it catches undoes what was done in its body.
    """
    return Output(batch.items)


FRAMES = (loop, break_, try_, compensate)
