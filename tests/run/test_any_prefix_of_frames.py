"""Whatever prefix a crash leaves of its journal, a run with frames comes to the same end, and repeats nothing."""

import asyncio
import dataclasses
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.clock import ManualClock
from engine.ids import NodeId
from engine.model.run import FactKind, RunStatus
from engine.model.workflow import Document, Edge, Node
from engine.run.compiling import compile_plan
from engine.run.env import RunEnv
from engine.run.executor import execute
from engine.run.folders import OneFolder
from engine.run.resume import Restored
from engine.steps.builtin import builtin_steps
from engine.steps.catalog import Catalog
from engine.steps.contract import Output
from engine.steps.spec import StepSpec
from tests.run.test_any_prefix import ListJournal
from tests.run.workshop import a_run

ENDS = (FactKind.SCOPE_DONE, FactKind.SCOPE_FAILED)


def a_catalog(calls):
    async def writes(batch):
        calls.append(batch.ctx.idempotency_key.partition(":")[2])
        await asyncio.sleep(0)
        return Output([{**item, "n": item["n"] + 1} for item in batch.items])

    def fails(batch):
        if any(item["n"] % 3 == 0 for item in batch.items):
            raise ValueError("three")
        return Output(batch.items)

    return Catalog(
        [
            *builtin_steps(),
            StepSpec(name="frames.write", title="Write", call=writes, effect="write"),
            StepSpec(name="frames.fail", title="Fail", call=fails),
        ]
    )


class _Drawn:
    """A document that grows: chains of steps, with frames that hold chains."""

    def __init__(self, draw):
        self.draw, self.nodes, self.edges = draw, {"start": Node(id="start", use="trigger.manual")}, []

    def node(self, use, **more):
        name = f"n{len(self.nodes)}"
        self.nodes[name] = Node(id=name, use=use, on_uncertain="retry", **more)
        return name

    def chain(self, source, port, depth, *, in_loop=False, in_undo=False):
        """Hang some steps on a port; return where the chain ends."""
        uses = ["write", "fail", "filter", "break", "saga"] if in_loop else ["write", "fail", "filter", "saga"]
        uses = [use for use in uses if not (in_undo and use in ("saga", "break"))]
        frames = ["loop", "while", "try"] if depth else []
        for use in self.draw(st.lists(st.sampled_from([*uses, *frames]), min_size=1, max_size=3)):
            match use:
                case "write" | "fail":
                    name = self.node(f"frames.{use}")
                case "filter":
                    name = self.node("data.filter", fields={"where": "item.n % 2 == 1"}, run_on_empty=self.draw(st.booleans()))
                case "break":
                    name = self.node("flow.break")
                case "saga":
                    name = self.node("flow.compensate")
                    self.chain(name, "undo", 0, in_undo=True)
                case _:
                    name = self.frame(use, depth, in_loop=in_loop, in_undo=in_undo)
                    self.edges.append(Edge(source, name, port))
                    source, port = name, self.draw(st.sampled_from(["done", "finally", "caught"])) if use == "try" else "done"
                    continue
            self.edges.append(Edge(source, name, port))
            source, port = name, "out"
        return source, port

    def frame(self, use, depth, *, in_loop, in_undo):
        if use == "try":
            name, port = self.node("flow.try"), "body"
        else:
            on_error = self.draw(st.sampled_from(["stop", "ignore"]))
            keep = self.draw(st.sampled_from(["all", "last", "none"]))
            fields = {"keep": keep, "over": "condition", "condition": "loop.index < 3 && items.length() > 0"}
            if use == "loop":
                size, beside = self.draw(st.integers(1, 2)), self.draw(st.integers(1, 3))
                fields = {"keep": keep, "over": "batches", "size": size, "concurrency": beside}
            name, port = self.node("flow.loop", fields=fields, on_error=on_error), "each"
        end, out = self.chain(name, port, depth - 1, in_loop=in_loop or use != "try", in_undo=in_undo)
        if self.draw(st.booleans()):
            self.edges.append(Edge(end, name, out, "next"))
        return name


@st.composite
def documents(draw):
    drawn = _Drawn(draw)
    drawn.chain("start", "out", 2)
    return Document(name="Drawn", nodes=drawn.nodes, edges=tuple(drawn.edges))


def go(document, calls, facts=None):
    """Run the document, or what is left of it after these facts; return the ending and the whole journal."""
    clock = ManualClock()
    journal = ListJournal(facts or ())
    env = RunEnv(clock=clock, http=None, files=None, folders=OneFolder(Path()), journal=journal)
    run = dataclasses.replace(a_run(document, clock), start_node=NodeId("start"))
    restored = Restored(list(facts)) if facts is not None else None
    plan = compile_plan(document, a_catalog(calls))
    ending = asyncio.run(execute(run, plan, env, items=[{"n": 1}, {"n": 2}, {"n": 3}], restored=restored))
    return ending, journal.facts


def settled(facts):
    """Return how each step and each pass came out: its kind, and what left by port."""
    kinds = (FactKind.STEP_SUCCEEDED, FactKind.STEP_SKIPPED, FactKind.STEP_FAILED, *ENDS)
    found = [((fact.node, fact.scope), (fact.kind, fact.summary.get("ports"))) for fact in facts if fact.kind in kinds]
    assert len(found) == len(dict(found)), "each settles once"
    return dict(found)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(documents(), st.data())
def test_any_prefix_leads_to_the_same_end(document, data):
    """
    A run resumed from any prefix of its journal ends as the uninterrupted run did, and repeats no step of that prefix.
    """
    ending, facts = go(document, [])
    expected = settled(facts)
    is_in_order = all(node.fields.get("concurrency", 1) == 1 for node in document.nodes.values())
    for length in {len(facts), *data.draw(st.lists(st.integers(0, len(facts)), max_size=8))}:
        calls = []
        again, more = go(document, calls, facts[:length])
        assert ending.status == again.status
        done = {
            f"{fact.scope}/{fact.node}:0" if fact.scope else f"{fact.node}:0"
            for fact in facts[:length]
            if fact.kind is FactKind.STEP_SUCCEEDED
        }
        assert set() == done & set(calls)
        assert len(calls) == len(set(calls))
        if is_in_order:  # passes side by side may have come less far, or farther, when something failed or broke
            assert expected == settled(more)
            assert ending.error == again.error
    assert ending.status in (RunStatus.SUCCEEDED, RunStatus.FAILED)
