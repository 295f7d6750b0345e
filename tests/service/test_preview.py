"""Expressions tried while they are typed: on the last run's data, else on a trigger's sample."""

from datetime import timedelta

import pytest

from engine.errors import NotFound
from engine.ids import NodeId
from engine.model.changes import AddEdges, SetField
from engine.service import samples
from tests.run.workshop import an_edge, until
from tests.service.workbench import DOUBLE, WAITING, run_to_end

pytestmark = pytest.mark.anyio

LINEAGE = """treadle: 1
name: Lineage
nodes:
  start:
    use: trigger.manual
    with: {sample: [{name: sample, n: 0}]}
  big:
    use: data.filter
    with: {where: item.n > 1}
  by_name:
    use: data.sort
    with: {by: item.name}
  label:
    use: data.set
    with: {fields: {label: item.name}, keep: none}
  after:
    use: data.set
    with: {fields: {text: '"x"'}}
edges:
  - start -> big
  - big -> by_name
  - by_name -> label
  - label -> after
"""
GIVEN = [{"name": "cy", "n": 3}, {"name": "ada", "n": 1}, {"name": "bob", "n": 2}]


@pytest.fixture
async def lineage(studio):
    return (await studio.workflows.create(LINEAGE)).id


async def look(studio, workflow, source, node="after", **options):
    return await studio.preview.expression(workflow, NodeId(node), source, **options)


async def test_the_last_runs_data_with_its_real_lineage(studio, lineage):
    """
    `nodes.start.item` is the very item that the current one came from, through a filter, a sort and a step that kept nothing.
    """
    run = await run_to_end(studio, lineage, GIVEN)
    first = await look(studio, lineage, "item.label + ' ' + nodes.start.item.n")
    assert ("bob 2", 0, 2, run.id, None) == (first.value, first.index, first.total, first.run_id, first.error)
    second = await look(studio, lineage, "item.label + ' ' + nodes.start.item.n", index=1)
    assert ("cy 3", 1) == (second.value, second.index)
    assert 5 == (await look(studio, lineage, "sum(nodes.big.items.map(i => i.n))")).value
    assert [run.id, "Lineage"] == (await look(studio, lineage, "[run.id, workflow.name]")).value


@pytest.mark.parametrize(("index", "expected"), [(-5, 0), (99, 1)])
async def test_an_index_out_of_range_is_the_nearest(studio, lineage, index, expected):
    """
    The item that was looked at may be gone after the next run: the nearest one is taken.
    """
    await run_to_end(studio, lineage, GIVEN)
    assert expected == (await look(studio, lineage, "item", index=index)).index


async def test_a_template_keeps_the_type_of_a_lone_expression(studio, lineage):
    """
    Text around makes text; one lone expression stays what it is.
    """
    await run_to_end(studio, lineage, GIVEN)
    assert "Dear bob," == (await look(studio, lineage, "Dear {{ item.label }},", kind="template")).value
    assert [1, 2] == (await look(studio, lineage, "{{ [1, 2] }}", kind="template")).value


async def test_before_the_first_run_the_triggers_sample_is_taken(studio, lineage):
    """
    Nothing has run: the sample of the trigger before the node is what there is, and no run is named.
    """
    preview = await look(studio, lineage, "item.name", "big")
    assert ("sample", 1, None) == (preview.value, preview.total, preview.run_id)
    further = await look(studio, lineage, "item.name", "label")
    assert ("sample", None) == (further.value, further.error)


async def test_with_nothing_to_try_it_on(studio):
    """
    Without a run and without a sample there are no items, and that is told by the total.
    """
    workflow = await studio.workflows.create(
        "treadle: 1\nname: Bare\nnodes:\n  a:\n    use: data.set\n    with: {fields: {x: '1'}}\n"
    )
    preview = await look(studio, workflow.id, "1 + 1", "a")
    assert (2, 0, None) == (preview.value, preview.total, preview.run_id)


async def test_a_draft_that_changed_since_the_run(studio, lineage):
    """
    Fields changed, a node added, a line drawn: the data that the last run left is laid under the draft as it now is.
    """
    run = await run_to_end(studio, lineage, GIVEN)
    draft = await studio.drafts.open(lineage)
    await draft.apply(SetField("label", "fields", {"label": "upper(item.name)"}), "ada")
    added = await draft.add_step("data.filter", (0, 0), author="ada", connect_from=(NodeId("by_name"), "out"))
    await draft.apply(AddEdges((an_edge(f"{added} -> after"),)), "ada")
    preview = await look(studio, lineage, "nodes.start.item.name + item.n", added)
    assert ("bob2", 2, run.id) == (preview.value, preview.total, preview.run_id)


async def test_an_older_run_helps_where_the_newest_has_nothing(treadle, studio, lineage):
    """
    When the newest run never reached the node, the one before that did is taken.
    """
    reached = await run_to_end(studio, lineage, GIVEN)
    treadle.clock.advance(timedelta(seconds=1))
    newest = await run_to_end(studio, lineage, [{"name": "small", "n": 0}])
    assert reached.id == (await look(studio, lineage, "item")).run_id
    assert newest.id == (await look(studio, lineage, "item", "big")).run_id


async def test_a_run_that_still_goes_on(treadle, studio, outside):
    """
    What has left the steps so far can be looked at while the run goes on.
    """
    workflow = await studio.workflows.create(WAITING)
    run = await studio.runs.start(workflow.id, {"n": 8})
    await until(lambda: outside.seen("wait"))
    await treadle.store.journal.barrier()
    preview = await look(studio, workflow.id, "item.n", "wait")
    assert (8, run.id) == (preview.value, preview.run_id)
    outside.gate("gate").set()
    await studio.runs.wait(run.id, None)


async def test_an_error_points_into_the_source(studio, lineage):
    """
    The sentence, the hint, and the caret under the very place.
    """
    await run_to_end(studio, lineage, GIVEN)
    unknown = await look(studio, lineage, "uper(item.label)")
    assert unknown.value is None
    assert "upper" in f"{unknown.error} {unknown.hint}"
    source, marks = (await look(studio, lineage, "1 + item.missing * 2")).caret.splitlines()[:2]
    assert "* 2" == source[marks.index("^") :]
    cut_off = await look(studio, lineage, "item.")
    assert (True, 2) == (bool(cut_off.error), cut_off.total)
    ahead = await look(studio, lineage, "nodes.after.item", "big")
    assert "does not stand before" in ahead.error


async def test_a_draft_in_circles_has_no_data_but_words(studio, lineage):
    """
    While lines go in circles the preview says so, and suggestions go on with names and functions.
    """
    draft = await studio.drafts.open(lineage)
    await draft.apply(AddEdges((an_edge("after -> big"),)), "ada")
    preview = await look(studio, lineage, "item.n")
    assert (None, True) == (preview.value, bool(preview.error))
    assert "upper" in [one.label for one in await studio.preview.suggest(lineage, NodeId("after"), "upp", 3)]


async def test_a_node_that_is_not_there(studio, lineage):
    """
    An unknown node or workflow is an error of the caller, not of the expression.
    """
    with pytest.raises(NotFound):
        await look(studio, lineage, "1", "nobody")
    with pytest.raises(NotFound):
        await studio.preview.suggest(lineage, NodeId("nobody"), "1", 1)
    with pytest.raises(NotFound):
        await look(studio, "wf_none", "1")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param("item.", {"label"}, id="fields of the data at hand"),
        pytest.param("nodes.", {"start", "big", "by_name", "label"}, id="nodes before this one"),
        pytest.param("nodes.start.item.", {"name", "n"}, id="fields of another node's item"),
        pytest.param("it", {"item", "items"}, id="names in scope"),
        pytest.param("to", {"today"}, id="functions"),
        pytest.param("workflow.", {"id", "name"}, id="the workflow"),
    ],
)
async def test_suggestions_come_from_the_data(studio, lineage, source, expected):
    """
    What could stand at the cursor, known from what the last run left.
    """
    await run_to_end(studio, lineage, GIVEN)
    found = await studio.preview.suggest(lineage, NodeId("after"), source, len(source))
    assert expected <= {one.label for one in found}


async def test_typing_does_not_read_the_same_run_again(treadle, studio, lineage, monkeypatch):
    """
    However many runs have to be searched, their journals are read once, and a run with much data makes room for others.
    """
    for number in range(samples.RUNS_TO_SEARCH):
        treadle.clock.advance(timedelta(seconds=1))
        await run_to_end(studio, lineage, [{"name": "small", "n": 0, "number": number}])
    await look(studio, lineage, "item")
    read = []
    monkeypatch.setattr(samples, "stored_outputs", lambda facts: read.append(facts) or {})
    for source in ("i", "it", "ite", "item"):
        await look(studio, lineage, source)
    assert [] == read

    monkeypatch.undo()
    monkeypatch.setattr(samples, "KEPT_BYTES", 1)
    workflow = (await studio.workflows.create(DOUBLE)).id
    await run_to_end(studio, workflow)
    await look(studio, workflow, "item", "double")
    assert 1 == len(treadle._parts.samples._kept)
