"""The step for what no other step does: people's own Python, in a cage."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, Final, Literal

from engine.errors import BadInput, NotAllowed
from engine.expressions.values import to_json_value
from engine.model.items import SAME, Batch, File, Item, Output
from engine.steps.builtin.parts import Failures, finish, plain_values, values_of, without
from engine.steps.code import CodeJob
from engine.steps.contract import BatchCall, ItemFailures
from engine.steps.convert import FALSE
from engine.steps.define import ADVANCED, PLAIN, Between, Code, Expressions, Label, Options, step
from engine.steps.spec import Effect

LONGEST: Final = timedelta(hours=1)


def effect_of(fields: Mapping[str, Any]) -> Effect:
    """Return what a node with these fields can do outside: nothing, unless it was granted the network."""
    return "none" if str(fields.get("network") or "").strip().lower() in FALSE else "write"


@step(
    "code.python",
    "Python code",
    category="code",
    icon="code",
    keywords=("script", "function", "program", "custom", "numpy", "pandas"),
    effect="write",
    effect_for=effect_of,
    sample=[{"total": 12.5}],
)
async def python(
    batch: BatchCall,
    code: Annotated[
        Code,
        Label(
            "Code",
            "Change `item` or `return` a new one; or write `def main(item):`. Once for all items it is `items`. "
            "What is printed stands in the log.",
            "item['total'] = item['price'] * item['qty']",
        ),
        PLAIN,
    ],
    per: Annotated[
        Literal["item", "batch"],
        Label("Runs"),
        Options.of(item="Once per item", batch="Once for all items"),
        PLAIN,
    ] = "item",
    inputs: Annotated[
        Expressions | None, Label("Inputs", "Values from elsewhere; the code finds them in `inputs['name']`."), ADVANCED
    ] = None,
    packages: Annotated[
        list[str] | None,
        Label("Packages", "Beside the standard library, such as numpy==2.3.4. The owner of this Treadle has to allow them."),
        ADVANCED,
        PLAIN,
    ] = None,
    network: Annotated[
        bool,
        Label("May use the network", "Counts as a change outside: after a crash you are asked before it is done again."),
        PLAIN,
    ] = False,
    limit: Annotated[timedelta, Label("Time limit", "For all items together; what takes longer is ended."), PLAIN] = timedelta(
        seconds=30
    ),
    memory: Annotated[int, Label("Memory", "In MB."), Between(64, 16_384), ADVANCED, PLAIN] = 512,
) -> Output | Batch:
    """
    Runs Python in a process of its own, behind walls: no files, no network, no other programs, limits of time and memory.

    Per item, code that returns an object gives one item, a list gives several, None drops the item; without a `return` the
    changed `item` goes on. Files are `File` objects with `read()`, `text()` and `path`; `File(name, data)` makes a new one.
    Results are JSON; dates become text. Which walls this machine has stands on the settings page and in `treadle doctor`.
    """
    runner = batch.ctx.code
    if runner is None:
        raise NotAllowed("Code steps do not run here.", hint="Run the workflow in the studio.")
    if not timedelta(0) < limit <= LONGEST:
        raise BadInput("limit", "The time limit is more than nothing and at most one hour.")
    items, failed = batch.items, Failures()
    indexes: Sequence[int] | None = None
    given: Any = None
    if inputs:
        if per == "item":
            columns = {name: values_of(computed, items, failed) for name, computed in inputs.items()}
            items, indexes = without(items, failed)
            columns = {name: [values[index] for index in indexes] if indexes else values for name, values in columns.items()}
            given = [
                dict(zip(columns, row, strict=True))
                for row in zip(*(_plain(name, values) for name, values in columns.items()), strict=True)
            ]
        else:
            given = {name: _plain(name, [computed.value_over(items)])[0] for name, computed in inputs.items()}
    if per == "item" and not items:
        return finish(Output([], {"in": array("i")}), failed)  # type: ignore[no-any-return]
    job = CodeJob(
        source=code,
        per=per,
        items=items,
        inputs=given,
        limit=limit,
        memory_mb=memory,
        packages=tuple(str(one) for one in packages or ()),
        network=network,
        stops_at_failure=batch.ctx.stops_at_failure,
    )
    ctx = batch.ctx
    result = await runner.run(job, owner=ctx.workflow_id or ctx.run_id, log=ctx.log, files=ctx.files)
    if per == "batch":
        return result.items if result.origins is None else Output(result.items, {"in": array("i", result.origins)})
    output = _with_lineage(result.items, result.counts, indexes)
    for index, error in result.failed.items():
        failed[indexes[index] if indexes is not None else index] = error
    if failed:
        raise ItemFailures(dict(sorted(failed.items())), output)
    return output


def _plain(name: str, values: list[Any]) -> list[Any]:
    """Return values as JSON; raises `BadInput` for files, whose bytes come with the items only."""
    if any(isinstance(value, File) for value in values):
        raise BadInput("inputs", f"“{name}” is a file.", hint="The code finds the files of its items in the items.")
    return [to_json_value(value) for value in plain_values(values)]


def _with_lineage(items: list[Item], counts: Sequence[int] | None, indexes: Sequence[int] | None) -> Output:
    if counts is None:
        return Output(items, {"in": SAME if indexes is None else indexes})
    origins = array("i")
    for place, count in enumerate(counts):
        if count:
            origins.extend([indexes[place] if indexes is not None else place] * count)
    return Output(items, {"in": origins})
