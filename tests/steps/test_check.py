"""What is said about a workflow before it runs."""

import time

import pytest

from engine.model.codec import document_as_data, document_from_data, parse_document, read_document
from engine.steps.builtin import builtin_steps
from engine.steps.catalog import Catalog
from engine.steps.check import check_document
from engine.steps.spec import FieldSpec, StepSpec

CATALOG = Catalog(
    [
        *builtin_steps(),
        StepSpec(
            name="demo.call",
            title="Call",
            fields=(
                FieldSpec(name="mode", type="choice", choices=(("get", "Get"), ("send", "Send")), default="get"),
                FieldSpec(name="body", required=True, help="What to send.", show_when={"mode": ["send"]}),
                FieldSpec(name="size", type="integer", minimum=1, maximum=10),
                FieldSpec(name="pause", type="duration"),
                FieldSpec(name="zone", type="timezone"),
                FieldSpec(name="headers", type="object"),
            ),
        ),
    ]
)


def a_text(nodes: str = "", edges: str = "", more: str = "") -> str:
    """Return a document that starts by hand (line 4), with these nodes (from line 5 on) and edges."""
    return f"treadle: 1\nname: Demo\nnodes:\n  start: {{use: trigger.manual}}\n{nodes}edges: [{edges}]\n{more}"


def problems(text: str) -> list[tuple[str, int | None, str | None, str | None, str | None]]:
    """Return code, line, node, field and hint of everything that is wrong."""
    parsed = parse_document(text)
    assert not parsed.problems
    return [(found.code, found.line, found.node, found.field, found.hint) for found in check_document(parsed, CATALOG)]


def fields(text: str) -> list[tuple[str, str | None, str | None]]:
    """Return code, field and hint of what is wrong with a node that has these fields."""
    found = problems(a_text(f"  a: {{use: demo.call, with: {{{text}}}}}\n", "start -> a"))
    assert all((line, node) == (5, "a") for _, line, node, _, _ in found)
    return [(code, field, hint) for code, _, _, field, hint in found]


def test_a_workflow_without_fault():
    """Nothing is said about it."""
    nodes = """\
  big: {use: data.filter, with: {where: "item.total > 100 && nodes.start.item.ok"}}
  call:
    use: demo.call
    with: {mode: "{{ item.mode }}", size: 3, pause: 5m, zone: Europe/Vienna, headers: {x-id: "{{ item.id }}"}}
    on_error: route
  sorry: {use: data.set, with: {fields: {text: "\\"failed: \\" + item.error.message"}}}
"""
    assert [] == problems(a_text(nodes, "start -> big, big -> call, call.error -> sorry"))


def test_unknown_steps_name_the_nearest():
    """A slip of the keys is answered with the right word, a foreign family with its members."""
    nodes = "  a: {use: data.fliter}\n  b: {use: filter}\n  c: {use: smoke.rings}\n"
    assert [
        ("unknown_step", 5, "a", "use", "Did you mean “data.filter”?"),
        ("unknown_step", 6, "b", "use", "Did you mean “data.filter”?"),
        ("unknown_step", 7, "c", "use", None),
    ] == problems(a_text(nodes, "start -> a, start -> b, start -> c"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("sise: 1", [("unknown_field", "sise", "Did you mean “size”?")], id="an unknown field"),
        pytest.param("mode: send", [("missing", "body", "What to send.")], id="a missing field"),
        pytest.param("mode: get", [], id="a field that is not shown is not missing"),
        pytest.param('mode: "{{ item.mode }}"', [], id="nor one that may not be shown"),
        pytest.param("mode: sent", [("bad_value", "mode", "Did you mean “send”?")], id="a choice that is none"),
        pytest.param("size: 0", [("bad_value", "size", None)], id="a number out of bounds"),
        pytest.param("size: 1.5", [("bad_value", "size", None)], id="half a piece"),
        pytest.param("size: many", [("bad_value", "size", None)], id="a word for a number"),
        pytest.param('size: "{{ item.size }}"', [], id="a number that will be known later"),
        pytest.param("zone: Europe/Wien", [("bad_value", "zone", "Write it like Europe/Vienna or UTC.")], id="no time zone"),
        pytest.param(
            "pause: soon", [("bad_value", "pause", "A duration is written like 30s, 5m, 1h30m or 2d.")], id="no duration"
        ),
        pytest.param("headers: [1]", [("bad_value", "headers", None)], id="a list for an object"),
        pytest.param(
            'headers: {a: "{{ uper(item.x) }}"}', [("expression", "headers", "Did you mean “upper”?")], id="deep inside"
        ),
        pytest.param('headers: {a: "{{ item. }}"}', [("expression", "headers", None)], id="an expression that breaks off"),
    ],
)
def test_fields(text, expected):
    """Each field is held against its form, constants by the very conversion the engine does."""
    found = fields(text)
    assert [entry[:2] for entry in expected] == [entry[:2] for entry in found]
    assert all(hint is None or hint == said for (_, _, hint), (_, _, said) in zip(expected, found, strict=True))


def test_expressions_are_read_where_they_stand():
    """Every expression of a field is checked; lines count within texts of several lines."""
    nodes = """\
  a: {use: data.set, with: {fields: {good: item.x, bad: item.x +, worse: "lenght(item.y)"}}}
  b:
    use: data.filter
    with:
      where: |
        item.a
        && itm.b
  c: {use: flow.switch, with: {cases: {"no port": item.x, ok: "{{ item.y }}"}}}
  d: {use: data.set, with: {fields: 3}}
"""
    found = problems(a_text(nodes, "start -> a, start -> b, start -> c, start -> d"))
    assert [
        ("expression", 5, "a", "fields"),
        ("expression", 5, "a", "fields"),
        ("expression", 11, "b", "where"),
        ("bad_port", 12, "c", "cases"),
        ("wrong_type", 13, "d", "fields"),
    ] == [entry[:4] for entry in found]
    assert "Did you mean “item”?" == found[2][4]


def test_expressions_speak_only_of_nodes_that_come_before():
    """Unknown nodes, later nodes, nodes beside and the node itself are told apart."""
    nodes = """\
  a: {use: data.set, with: {fields: {x: nodes.strat.item.x}}}
  b: {use: data.set, with: {fields: {x: nodes.c.item.x}}}
  c: {use: data.set, with: {fields: {x: nodes.c.item.x, y: nodes.a.item, z: nodes.start.item}}}
"""
    assert [
        ("reference", 5, "a", "fields", "Did you mean “start”?"),
        ("reference", 6, "b", "fields", "Draw a way from “c” to here."),
        ("reference", 7, "c", "fields", "What comes in is “item”."),
    ] == problems(a_text(nodes, "start -> a, a -> c, start -> b"))


def test_edges_know_their_ports():
    """Ports that depend on fields count too; each problem marks the node it is about."""
    nodes = """\
  way: {use: flow.switch, with: {cases: {small: item.n < 3}, otherwise: large}}
  yes: {use: flow.if, with: {when: item.ok}}
  join: {use: flow.merge}
  end: {use: flow.stop}
"""
    edges = """
  - start -> way
  - way.small -> yes
  - way.largest -> yes
  - yes -> join.a
  - yes.true -> join
  - yes.false -> end
  - end -> join.b
  - way.large -> start
  - way.small -> yes
  - yes.error -> end
  - yes.true -> nobody
"""
    text = a_text(nodes).replace("edges: []", f"edges:{edges}")
    assert [
        ("unknown_port", 12, "way", "Did you mean “large”?"),
        ("unknown_port", 13, "yes", "Name the port: yes.true or yes.false."),
        ("unknown_port", 14, "join", "Name the port: join.a or join.b."),
        ("unknown_port", 16, "end", None),
        ("unknown_port", 17, "start", "Draw the line the other way."),
        ("duplicate_edge", 18, "yes", "Remove one."),
        ("error_not_routed", 19, "yes", "Write “on_error: route” at node “yes”."),
        ("unknown_node", 20, "yes", None),
    ] == [(code, line, node, hint) for code, line, node, _, hint in problems(text) if code not in ("cycle", "missing")]


@pytest.mark.parametrize(
    ("nodes", "edges", "expected"),
    [
        pytest.param("  a: {use: data.limit}\n", "start -> a, a -> a", [("cycle", "a")], id="a node into itself"),
        pytest.param(
            "  a: {use: data.limit}\n  b: {use: data.limit}\n", "start -> a, a -> b, b -> a", [("cycle", "a")], id="a circle"
        ),
        pytest.param("  a: {use: data.limit}\n", "", [("unreachable", "a")], id="a node on its own"),
        pytest.param(
            "  a: {use: data.limit, on_error: route}\n",
            "start -> a",
            [("error_goes_nowhere", "a")],
            id="failures that get lost",
        ),
    ],
)
def test_shape(nodes, edges, expected):
    """Circles are errors; what never runs or gets lost is a warning."""
    assert expected == [(code, node) for code, _, node, _, _ in problems(a_text(nodes, edges))]


def test_a_workflow_that_nothing_starts():
    """It can be run by hand from a node, so this is a warning, and the only one."""
    text = "treadle: 1\nname: Demo\nnodes: {a: {use: data.limit}, b: {use: data.limit}}\nedges: [a -> b]"
    (found,) = check_document(parse_document(text), CATALOG)
    assert ("no_trigger", "warning") == (found.code, found.severity)


def test_settings():
    """The time zone of a workflow exists."""
    assert [("bad_value", 6, None, None, "Did you mean “Europe/Vienna”?")] == problems(
        a_text(more="settings: {timezone: Europe/Viena}\n")
    )


@pytest.mark.parametrize(
    ("cron", "expected"), [("0 7 * * MON-FRI", []), ("0 7 * *", ["cron"]), ("0 25 * * *", ["cron"]), ("@daily", [])]
)
def test_cron(cron, expected):
    """Times are read as the scheduler reads them."""
    text = f'treadle: 1\nname: Demo\nnodes: {{start: {{use: trigger.schedule, with: {{cron: "{cron}"}}}}}}'
    assert expected == [field for _, _, _, field, _ in problems(text)]


def test_a_schedule_has_times_or_a_pause():
    """One of the two, and not both."""

    def with_fields(text):
        return f"treadle: 1\nname: Demo\nnodes: {{start: {{use: trigger.schedule, with: {{{text}}}}}}}"

    assert [("missing", 3, "start", "cron", "Write “cron: …” or “every: …”.")] == problems(with_fields(""))
    assert [("bad_value", 3, "start", "every", "Remove one of the two.")] == problems(with_fields('cron: "@daily", every: 5m'))


def test_a_node_that_is_switched_off_only_warns():
    """What is wrong with it does not keep the workflow from running."""
    text = a_text("  a: {use: demo.call, disabled: true, with: {size: 0}}\n", "start -> a")
    assert ["warning"] == [found.severity for found in check_document(parse_document(text), CATALOG)]


def test_a_document_without_text_has_problems_without_lines():
    """The editor checks what it holds; nodes and fields are named all the same."""
    document = read_document(a_text("  a: {use: demo.call, with: {size: 0}}\n", "start -> a"))
    (found,) = check_document(document, CATALOG)
    assert (None, "a", "size") == (found.line, found.node, found.field)
    assert [] == check_document(parse_document("- no document"), CATALOG)


@pytest.mark.alone
def test_hundreds_of_problems_end_the_list():
    """A large document in which nothing fits is answered quickly."""
    nodes = "".join(f"  n{i}: {{use: data.filtre, with: {{where: nodes.m{i}.item}}}}\n" for i in range(4000))
    edges = "".join(f"  - m{i} -> n{i}\n" for i in range(4000))
    started = time.process_time()
    found = check_document(read_document(f"treadle: 1\nname: Demo\nnodes:\n{nodes}edges:\n{edges}"), CATALOG)
    assert ("too_many", 501) == (found[-1].code, len(found))
    assert time.process_time() - started < 5


@pytest.mark.alone
def test_a_thousand_nodes_are_checked_in_a_blink():
    """The editor checks after each change; expressions are remembered by their text."""
    data = document_as_data(read_document(a_text()))
    data["nodes"] |= {
        f"n{i}": {"use": "data.filter", "with": {"where": f"item.total > {i} && nodes.start.item.ok"}} for i in range(1000)
    }
    data["edges"] = ["start -> n0", *(f"n{i} -> n{i + 1}" for i in range(999))]
    document = document_from_data(data)
    assert [] == check_document(document, CATALOG)
    started = time.process_time()
    check_document(document, CATALOG)
    assert time.process_time() - started < 0.2


@pytest.mark.parametrize(
    ("node", "edges", "code"),
    [
        pytest.param("{use: flow.break}", ["start -> a"], "no_loop", id="break outside of a loop"),
        pytest.param(
            "{use: data.set, with: {fields: {x: loop.index}}}", ["start -> a"], "reference", id="loop outside of a loop"
        ),
        pytest.param("{use: flow.loop}", ["start -> a"], "empty_body", id="an empty body"),
        pytest.param("{use: flow.try}", ["start -> a", "start -> a.next"], "wrong_way_back", id="a wrong way back"),
    ],
)
def test_frames(node, edges, code):
    """
    What is wrong with a frame is told before it runs.
    """
    lines = "\n".join(f"  - {edge}" for edge in edges)
    text = f"treadle: 1\nname: x\nnodes:\n  start: {{use: trigger.manual}}\n  a: {node}\nedges:\n{lines}\n"
    assert code in {problem.code for problem in check_document(parse_document(text), CATALOG)}
