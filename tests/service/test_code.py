"""The code step in whole runs: prints, errors, lineage, routes, cancelling, and what the facade tells of the walls."""

import asyncio
import sys

import pytest

from engine.model.run import FactKind
from tests.run.workshop import until
from tests.service.workbench import run_to_end

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform == "win32", reason="there are no code steps on Windows")]


def coded(code, more="", **node):
    """Return a document whose second node runs code, with `data.set` behind it."""
    lines = "\n".join(f"        {line}" for line in code.splitlines())
    settings = "".join(f"\n    {name}: {value}" for name, value in node.items())
    return f"""treadle: 1
name: Coded
nodes:
  start:
    use: trigger.manual
    with:
      sample:
        - {{n: 1}}
        - {{n: 0}}
        - {{n: 2}}
  code:
    use: code.python{settings}
    with:
      code: |
{lines}{more}
  after:
    use: data.set
    with:
      fields: {{was: nodes.start.item.n}}
edges:
  - start -> code
  - code -> after
"""


async def run_code(studio, text, **options):
    await studio.workflows.create(text)
    return await run_to_end(studio, "Coded", **options)


async def out_of(studio, run, node="after", port="out"):
    return (await studio.runs.output(run.id, node, port)).items


async def test_items_keep_their_lineage(studio):
    """
    What the code makes of an item knows where it came from, also where it drops some and makes several of others.
    """
    run = await run_code(studio, coded("return [{'m': item['n']}] * item['n']"))
    assert "succeeded" == run.status.value, run.error
    assert [{"m": 1, "was": 1}, {"m": 2, "was": 2}, {"m": 2, "was": 2}] == await out_of(studio, run)


async def test_a_batch_that_is_sorted_keeps_its_lineage(studio):
    """
    Code over the batch that hands on the items it was given has not lost where they came from.
    """
    run = await run_code(studio, coded("return sorted(items, key=lambda item: item['n'])", "\n      per: batch"))
    assert [{"n": 0, "was": 0}, {"n": 1, "was": 1}, {"n": 2, "was": 2}] == await out_of(studio, run)


async def test_prints_stand_in_the_log_of_the_step(studio):
    """
    What the code prints is a line of its step, in a test of the draft too.
    """
    run = await run_code(studio, coded("print('item', item['n'])"), is_test=True)
    (step,) = [step for step in await studio.runs.steps(run.id) if step.node == "code"]
    assert ["item 1", "item 0", "item 2"] == [line["text"] for line in step.log]


async def test_an_error_stops_the_run_with_its_line(studio):
    """
    A run that fails in code says which line, with the carets below the place, and which item it was.
    """
    run = await run_code(studio, coded("x = 1\nreturn {'y': x / item['n']}"))
    assert ("failed", "code_failed") == (run.status.value, run.error["code"])
    assert "Line 2: ZeroDivisionError: division by zero" in run.error["message"]
    where = run.error["where"]
    assert (1, "return {'y': x / item['n']}", "             ^^^^^^^^^^^^^") == (where["item"], where["source"], where["caret"])


async def test_failed_items_leave_by_the_error_port(studio):
    """
    With `on_error: route` the items that fail go their own way, the others go on.
    """
    text = coded("return {'y': 1 / item['n']}", on_error="route").replace("edges:\n", "edges:\n  - code.error -> wrong\n")
    run = await run_code(studio, text.replace("  after:", "  wrong:\n    use: data.limit\n  after:"))
    assert "succeeded" == run.status.value, run.error
    assert [{"y": 1.0, "was": 1}, {"y": 0.5, "was": 2}] == await out_of(studio, run)
    (wrong,) = await out_of(studio, run, "wrong")
    assert (0, "code_failed", 1) == (wrong["n"], wrong["error"]["code"], wrong["error"]["where"]["line"])


async def test_inputs_come_from_expressions(studio):
    """
    Values of other steps reach the code as inputs, computed for each item.
    """
    more = "\n      inputs: {double: nodes.start.item.n * 2, when: 'today()'}"
    run = await run_code(studio, coded("return {'d': inputs['double'], 'when': inputs['when']}", more))
    assert [2, 0, 4] == [item["d"] for item in await out_of(studio, run)], run.error
    assert {10} == {len(item["when"]) for item in await out_of(studio, run)}


async def test_braces_in_code_are_code(studio):
    """
    Python's own double braces are no templates.
    """
    run = await run_code(studio, coded("return {'t': f\"{{{item['n']}}}\", 'u': '{{ item.n }}'}"))
    assert {"t": "{1}", "u": "{{ item.n }}", "was": 1} == (await out_of(studio, run))[0]


async def test_cancelling_a_run_kills_its_code(studio, treadle):
    """
    A run that is cancelled is over within a second, whatever its code is doing.
    """
    await studio.workflows.create(coded("print('at it')\nwhile True: pass"))
    run = await studio.runs.start("Coded")

    async def has_printed():
        return any(step.log for step in await studio.runs.steps(run.id))

    async with asyncio.timeout(10):
        while not await has_printed():
            await asyncio.sleep(0.01)
    async with asyncio.timeout(2):
        ended = await studio.runs.cancel(run.id)
    assert "cancelled" == ended.status.value
    await until(lambda: not treadle.code._busy)


async def test_a_time_limit_of_the_node_holds_too(studio):
    """
    The node's own time-out ends code as it ends any other step.
    """
    run = await run_code(studio, coded("while True: pass", timeout="300ms"))
    assert ("failed", "timed_out") == (run.status.value, run.error["code"])


@pytest.mark.parametrize(("network", "expected"), [("false", []), ("true", ["code"])])
async def test_only_code_with_a_network_has_effects(treadle, studio, network, expected):
    """
    Code without a network is free to run again; with one it counts as a write, and its intent is on disk first.
    """
    run = await run_code(studio, coded("return item", f"\n      network: {network}"))
    facts = await treadle.store.read(lambda work: work.runs.facts(run.id))
    assert expected == [fact.node for fact in facts if fact.kind is FactKind.STEP_STARTED]


async def test_packages_need_permission(studio):
    """
    A workflow cannot have packages installed unless the owner of this Treadle allows it.
    """
    run = await run_code(studio, coded("return item", "\n      packages: [left-pad]"))
    assert "not_allowed" == run.error["code"]
    assert "allow_packages = true" in run.error["hint"]


async def test_the_report(studio):
    """
    The facade tells what is allowed and which walls are up.
    """
    report = await studio.code.report()
    assert (True, False) == (report.is_allowed, report.allows_packages)
    assert "time" in {wall.name for wall in report.walls if wall.is_up}


async def test_files_go_through_code(studio, treadle):
    """
    A file that one step reads can be opened in code, and one that code makes goes on as a file.
    """
    run = await run_code(studio, coded("return {'file': File('n.txt', str(item['n']))}"))
    item = (await out_of(studio, run, "code"))[2]
    assert ("n.txt", 1) == (item["file"].name, item["file"].size)
