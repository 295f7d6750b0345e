"""Whatever prefix of a journal a crash leaves, the run comes to the same end, and nothing that was done is done again."""

import asyncio
import dataclasses
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.clock import ManualClock
from engine.ids import NodeId
from engine.model.items import Output
from engine.model.run import FactKind, RunStatus
from engine.model.workflow import Document, Edge, Node
from engine.run.compiling import compile_plan
from engine.run.env import RunEnv
from engine.run.executor import execute
from engine.run.folders import OneFolder
from engine.run.payloads import Payload, StoredOutputs, show
from engine.run.resume import Restored
from engine.steps.builtin import builtin_steps
from engine.steps.catalog import Catalog
from engine.steps.spec import FieldSpec, PortSpec, StepSpec
from tests.run.workshop import a_run

USES = ("prefix.pass", "prefix.part", "prefix.write", "prefix.each", "prefix.join", "data.set")


class ListJournal:
    """A journal in a list; what it is given is on disk at once."""

    def __init__(self, facts=()):
        self.facts = list(facts)

    def append(self, fact, *, epoch):
        assert fact.seq == (self.facts[-1].seq + 1 if self.facts else 0), "facts have no gaps"
        self.facts.append(fact)

    async def barrier(self):
        await asyncio.sleep(0)


def a_catalog(calls):
    def passes(batch):
        calls.append(batch.ctx.node_id)
        return Output(batch.items)

    def parts(batch):
        calls.append(batch.ctx.node_id)
        kept = [index for index, item in enumerate(batch.items) if item["n"] % 2]
        rest = [index for index, item in enumerate(batch.items) if not item["n"] % 2]
        return {
            "out": Output([batch.items[index] for index in kept], {"in": kept}),
            "other": Output([batch.items[index] for index in rest], {"in": rest}),
        }

    def joins(batch):
        calls.append(batch.ctx.node_id)
        left, right = batch.ports["in"], batch.ports["more"]
        origins = {"in": [*range(len(left)), *[-1] * len(right)], "more": [*[-1] * len(left), *range(len(right))]}
        return Output([*left, *right], origins)

    async def writes(batch):
        calls.append(batch.ctx.node_id)
        await asyncio.sleep(0)
        return Output([{**item, "n": item["n"] + 1} for item in batch.items])

    async def each(ctx, n=0, concurrency=2):
        if ctx.item_index == 0:
            calls.append(ctx.node_id)
        await asyncio.sleep(0)
        return [{"n": n}] * (n % 3)

    both = (PortSpec("out"), PortSpec("other"))
    fields = (
        FieldSpec(name="n", type="integer", default="{{ item.n }}"),
        FieldSpec(name="concurrency", type="integer", default=2),
    )
    return Catalog(
        [
            *builtin_steps(),
            StepSpec(name="prefix.pass", title="Pass", call=passes),
            StepSpec(name="prefix.part", title="Part", call=parts, ports_out=both),
            StepSpec(name="prefix.join", title="Join", call=joins, ports_in=(PortSpec("in"), PortSpec("more"))),
            StepSpec(name="prefix.write", title="Write", call=writes, effect="write"),
            StepSpec(name="prefix.each", title="Each", call=each, effect="write", mode="each", fields=fields),
        ]
    )


@st.composite
def documents(draw):
    """Draw a workflow of pure steps, effects, branches and joins."""
    count = draw(st.integers(2, 7))
    nodes = {"n0": Node(id="n0", use="trigger.manual")}
    edges = []
    for number in range(1, count):
        name, use = f"n{number}", draw(st.sampled_from(USES))
        fields = {"fields": {"n": "item.n * 2 + index", "was": "nodes.n0.items.map(i => i.n)"}} if use == "data.set" else {}
        nodes[name] = Node(id=name, use=use, fields=fields, on_uncertain="retry", run_on_empty=draw(st.booleans()))
        for source in draw(st.lists(st.integers(0, number - 1), min_size=1, max_size=2, unique=True)):
            port = draw(st.sampled_from(["out", "other"])) if nodes[f"n{source}"].use == "prefix.part" else "out"
            into = draw(st.sampled_from(["in", "more"])) if use == "prefix.join" else "in"
            edges.append(Edge(f"n{source}", name, port, into))
    return Document(name="Drawn", nodes=nodes, edges=tuple(edges))


def go(document, calls, facts=None):
    """Run the document, or what is left of it after these facts; return the ending and the whole journal."""
    clock, nothing = ManualClock(), None
    journal = ListJournal(facts or ())
    env = RunEnv(clock=clock, http=nothing, files=nothing, folders=OneFolder(Path()), journal=journal)
    run = dataclasses.replace(a_run(document, clock), start_node=NodeId("n0"))
    restored = Restored(list(facts)) if facts is not None else None
    plan = compile_plan(document, a_catalog(calls))
    ending = asyncio.run(execute(run, plan, env, items=[{"n": 1}, {"n": 2}, {"n": 3}], restored=restored))
    return ending, journal.facts


def outcome(facts):
    """Return how each step came out: skipped, or what left it by port with its origins."""
    found = {fact.node: "skipped" for fact in facts if fact.kind is FactKind.STEP_SKIPPED}
    opened = {}
    for fact in facts:
        if fact.kind is FactKind.STEP_SUCCEEDED:
            assert fact.node not in opened, "a step is done once"
            opened[fact.node] = StoredOutputs(Payload(fact.payload), lambda at: opened[at[0]][at[1]].items)
    for node, outputs in opened.items():
        found[node] = {
            port: (show(output.items), {name: str(origin) for name, origin in output.origins.items()})
            for port, output in outputs.items()
        }
    return found


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(documents(), st.data())
def test_any_prefix_leads_to_the_same_end(document, data):
    """
    A run resumed from any prefix of its journal gives what the uninterrupted run gave, and repeats no step of that prefix.
    """
    ending, facts = go(document, [])
    assert RunStatus.SUCCEEDED == ending.status
    expected = outcome(facts)
    for length in {0, len(facts), *data.draw(st.lists(st.integers(0, len(facts)), max_size=6))}:
        calls = []
        ending, again = go(document, calls, facts[:length])
        assert RunStatus.SUCCEEDED == ending.status
        assert expected == outcome(again)
        done = {fact.node for fact in facts[:length] if fact.kind is FactKind.STEP_SUCCEEDED}
        assert set() == done & set(calls)
