"""Who may start and who is skipped, against a reference that is slow and plain."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InvalidDocument
from engine.model.items import Output
from engine.model.workflow import Document, Edge, Node
from engine.run.compiling import PlanCache, compile_plan
from engine.run.progress import Progress
from engine.steps.catalog import Catalog
from engine.steps.spec import PortSpec, StepSpec
from tests.run.workshop import a_document, a_node

CATALOG = Catalog(
    [
        StepSpec(name="test.pass", title="Pass", ports_out=(PortSpec("out"), PortSpec("other"))),
        StepSpec(name="trigger.manual", title="Start", is_trigger=True, ports_in=()),
    ]
)


@st.composite
def documents(draw):
    """Draw a document without circles, and how many items leave each port of each node."""
    count = draw(st.integers(2, 9))
    nodes = {"n0": Node(id="n0", use="trigger.manual")}
    for number in range(1, count):
        use = draw(st.sampled_from(["test.pass", "test.pass", "test.pass", "trigger.manual"]))
        nodes[f"n{number}"] = Node(id=f"n{number}", use=use, run_on_empty=draw(st.booleans()))
    edges = []
    for target in range(1, count):
        if nodes[f"n{target}"].use == "trigger.manual":
            continue
        for source in draw(st.lists(st.integers(0, target - 1), max_size=3)):
            edges.append(Edge(f"n{source}", f"n{target}", draw(st.sampled_from(["out", "other"]))))
    gives = {node: {port: draw(st.integers(0, 2)) for port in ("out", "other")} for node in nodes}
    return Document(name="Drawn", nodes=nodes, edges=tuple(draw(st.permutations(edges)))), gives


def reference(document, gives):
    """Decide by the words of the design: which nodes run, and what arrives at each."""
    arrived, ran = {}, {}
    reached = {"n0"}
    for _ in document.nodes:
        reached |= {edge.target for edge in document.edges if edge.source in reached}
    for name in document.nodes:
        into = [edge for edge in document.edges if edge.target == name]
        batches = [
            [f"{edge.source}.{edge.source_port}.{index}" for index in range(gives[edge.source][edge.source_port])]
            for edge in into
            if ran[edge.source]
        ]
        arrived[name] = [item for batch in batches for item in batch]
        ran[name] = name == "n0" or (name in reached and (bool(arrived[name]) or document.nodes[name].run_on_empty))
    return ran, arrived


def carry(document, gives, take):
    """Carry a run to its end; `take` says which of the ready nodes settles next."""
    plan = compile_plan(document, CATALOG)
    progress = Progress(plan, "n0")
    ran, arrived, at_work = dict.fromkeys(document.nodes, False), {}, []
    while progress.ready or at_work:
        at_work.extend(progress.ready)
        progress.ready.clear()
        node = plan.nodes[at_work.pop(take(len(at_work)))]
        assert not ran[node.id], "a node runs once"
        ran[node.id] = True
        arrived[node.id] = [item["id"] for item in progress.gather(node).get("in", [])]
        outputs = {
            port: Output([{"id": f"{node.id}.{port}.{index}"} for index in range(count)])
            for port, count in gives[node.id].items()
        }
        progress.settle(node.index, outputs)
    skipped = [plan.nodes[index].id for index in progress.skipped]
    return ran, arrived, skipped, progress


@given(documents(), st.data())
def test_a_run_goes_as_the_design_says(drawn, data):
    """
    In whatever order steps end, the same nodes run with the same items in edge order, and all others are skipped.
    """
    document, gives = drawn
    ran, arrived, skipped, progress = carry(document, gives, lambda count: data.draw(st.integers(0, count - 1)))
    expected_ran, expected_arrived = reference(document, gives)
    assert expected_ran == ran
    assert {name: expected_arrived[name] for name in arrived if name != "n0"} == {
        name: items for name, items in arrived.items() if name != "n0"
    }
    assert sorted(name for name, was in ran.items() if not was) == sorted(skipped)
    assert all(progress.settled)


def test_a_long_row_of_skips():
    """
    A skip travels along five thousand nodes.
    """
    nodes = [a_node("n0", "trigger.manual"), *(a_node(f"n{number}") for number in range(1, 5000))]
    document = a_document(nodes, " -> ".join(node.id for node in nodes))
    gives = {node.id: {"out": 0} for node in nodes}
    assert 4999 == len(carry(document, gives, lambda count: 0)[2])


def test_a_circle_is_refused():
    """
    A plan never goes round; the error names the nodes.
    """
    document = a_document([a_node("a"), a_node("b"), a_node("c")], "a -> b -> c -> b")
    with pytest.raises(InvalidDocument, match=r"These nodes lead back to themselves: b, c\."):
        compile_plan(document, CATALOG)


def test_a_plan_is_made_once_per_version():
    """
    The same version gives the same plan, another document a new one.
    """
    cache, document = PlanCache(CATALOG), a_document([a_node("a")])
    plan = cache.get("v1", document)
    assert plan is cache.get("v1", a_document([a_node("a")]))
    assert plan is not cache.get("v1", a_document([a_node("b")]))


def test_the_manual_trigger_comes_first():
    """
    Without a word where to start, a run starts at the manual trigger, else at the first trigger.
    """
    other = StepSpec(name="trigger.schedule", title="Time", is_trigger=True, ports_in=())
    catalog = Catalog([*CATALOG, other])
    timed, manual = a_node("timed", "trigger.schedule"), a_node("manual", "trigger.manual")
    assert "manual" == compile_plan(a_document([timed, manual]), catalog).choose_start()
    assert "timed" == compile_plan(a_document([timed, a_node("a")]), catalog).choose_start()
    assert compile_plan(a_document([a_node("a")]), catalog).choose_start() is None
