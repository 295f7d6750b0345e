"""Many items become few: groups and what is computed over each of them."""

from __future__ import annotations

from array import array
from typing import Annotated

from engine.expressions.values import to_json_value
from engine.model.items import Item, Output
from engine.steps.builtin.parts import group, keys_of, plain_values
from engine.steps.contract import BatchCall
from engine.steps.define import Expressions, Label, step


@step(
    "data.summarize",
    "Summarize",
    icon="functions",
    keywords=("group", "aggregate", "sum", "count", "average", "pivot", "total"),
    sample=[{"customer": "ACME", "total": 240, "count": 2}],
)
def summarize(
    batch: BatchCall,
    by: Annotated[
        Expressions | None,
        Label(
            "Group by",
            "Expressions, with or without names: item.customer makes the field customer. All items are one group when empty.",
        ),
    ] = None,
    values: Annotated[
        Expressions | None,
        Label(
            "Values",
            "Names and expressions over the items of a group: sum(items.map(i => i.total)), count(items), items[0].name.",
        ),
    ] = None,
) -> Output:
    """
    Makes one item of each group, in the order the groups first appear: what it is grouped by, then the computed values.

    In `values`, `items` are the items of the group and `item` is its first. Without `by` there is one group, also when nothing
    came in. A null is a group of its own.
    """
    items = batch.items
    names, columns = list(by or {}), [plain_values(one.values(items)) for one in (by or {}).values()]
    if not columns:
        groups = [array("i", range(len(items)))]
    else:
        keyed = [keys_of(column, is_alone=True) for column in columns]
        groups = list(group(keyed[0] if len(keyed) == 1 else zip(*keyed, strict=True)).values())
    made: list[Item] = []
    for indexes in groups:
        members = items if len(indexes) == len(items) else [items[index] for index in indexes]
        row = {name: column[indexes[0]] for name, column in zip(names, columns, strict=True)}
        for name, computed in (values or {}).items():
            row[name] = to_json_value(computed.value_over(members, index=indexes[0] if indexes else 0))
        made.append(row)
    return Output(made, {"in": groups})
