"""The workflow document as text: the canonical form, and what is said about texts that are wrong."""

import json
import time
from datetime import timedelta

import pytest

from engine.errors import InvalidDocument
from engine.ids import NodeId
from engine.model.codec import (
    document_as_data,
    document_from_data,
    document_hash,
    parse_document,
    read_document,
    read_fragment,
    write_document,
    write_fragment,
)
from engine.model.workflow import Document, Edge, Node, RetryPolicy, Settings

OVERDUE = """\
treadle: 1
name: Overdue orders
nodes:
  every_morning:
    use: trigger.schedule
    with: {cron: "0 7 * * MON-FRI", timezone: Europe/Vienna, missed: once}
  fetch:
    title: Fetch open orders
    use: http.request
    connection: shop
    with: {url: "https://shop.example/orders?since={{ yesterday() }}"}
    retry: {attempts: 5, first: 2s, factor: 2, max: 5m}
    timeout: 30s
    on_error: route
  overdue:
    use: data.filter
    with: {where: "item.due < today() && item.total > 100"}
  tell_the_team:
    use: http.request
    with:
      method: POST
      url: "https://chat.example/hooks/orders"
      body: |
        Fetching the orders failed:

        {{ item.error.message }}
edges:
  - every_morning -> fetch
  - fetch -> overdue
  - fetch.error -> tell_the_team
settings: {timezone: Europe/Vienna, concurrency: 4}
layout:
  every_morning: [0, 0]
"""


def problems(text: str | bytes) -> list[tuple[int | None, str, str | None]]:
    """Return line, code and hint of everything that is wrong."""
    return [(problem.line, problem.code, problem.hint) for problem in parse_document(text).problems]


def with_node(body: str) -> str:
    """Return a document whose node `a` has these lines, the first of which is line 5."""
    return "treadle: 1\nname: Demo\nnodes:\n  a:\n" + "".join(f"    {line}\n" for line in body.split("\n"))


def test_reads_the_example_of_the_design():
    """Everything that stands in the text stands in the document."""
    document = read_document(OVERDUE)
    fetch = document.nodes[NodeId("fetch")]

    assert "Overdue orders" == document.name
    assert ["every_morning", "fetch", "overdue", "tell_the_team"] == list(document.nodes)
    assert RetryPolicy(attempts=5, first=timedelta(seconds=2), factor=2, longest=timedelta(minutes=5)) == fetch.retry
    assert ("shop", timedelta(seconds=30), "route") == (fetch.connection, fetch.timeout, fetch.on_error)
    assert Edge(NodeId("fetch"), NodeId("tell_the_team"), "error", "in") == document.edges[2]
    assert Settings(timezone="Europe/Vienna", concurrency=4) == document.settings
    assert {NodeId("every_morning"): (0, 0)} == document.layout


def test_writes_exactly_what_it_reads():
    """The canonical text comes back byte for byte."""
    assert write_document(read_document(OVERDUE)) == OVERDUE


def test_other_ways_to_write_the_same_lead_to_the_canonical_text():
    """Order of keys, quotes, braces and comments are the writer's business, not the reader's."""
    loose = """
        # a comment
        {name: 'Demo', "treadle": 1, edges: [a->b , 'b.rejected  ->  a'], layout: {b: [1.0, -2]},
         nodes: {a: {with: {x: 0x10, y: ~}, use: "data.set"}, b: {use: data.filter, title: }}}
    """
    expected = """\
treadle: 1
name: Demo
nodes:
  a:
    use: data.set
    with: {x: 16, y: null}
  b:
    use: data.filter
edges:
  - a -> b
  - b.rejected -> a
layout:
  b: [1, -2]
"""
    assert expected == write_document(read_document(loose))


def test_json_says_the_same():
    """A JSON text is a document too, and the plain values of a document are one."""
    document = read_document(OVERDUE)
    data = document_as_data(document)

    assert document == document_from_data(data)
    assert document == read_document(json.dumps(data))
    assert document == read_document(json.dumps(data, indent=4).encode())


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("12:30", "12:30"),
        ("2024-01-01", "2024-01-01"),
        ("1_000", "1_000"),
        ("true", True),
        ("True", True),
        ("~", None),
        ("", None),
        ("0o17", 15),
        ("1e3", 1000.0),
        (".5", 0.5),
        ('"5"', "5"),
        ("5", 5),
        ("-0.0", -0.0),
        ("1.2.3", "1.2.3"),
        ("+49", 49),
    ],
)
def test_bare_words_mean_what_yaml_1_2_says(written, value):
    """Norway stays a country, a time stays a text, and 0o17 is fifteen."""
    node = read_document(with_node(f"use: x.y\nwith:\n  v: {written}")).nodes[NodeId("a")]
    assert (type(value), value) == (type(node.fields["v"]), node.fields["v"])


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("no", '"no"'),
        ("1.0", '"1.0"'),
        ("2024-01-01", '"2024-01-01"'),
        ("", '""'),
        (" padded ", '" padded "'),
        ("a: b", '"a: b"'),
        ("Überfällige Aufträge", "Überfällige Aufträge"),
        ("1h30m", "1h30m"),
        ("Reads, sorts (by date) & sends", "Reads, sorts (by date) & sends"),
        ('item.status == "open" && date(item.due) < today()', 'item.status == "open" && date(item.due) < today()'),
        ('"Order " + item.id', "'\"Order \" + item.id'"),
        ('"It\'s " + item.id', '"\\"It\'s \\" + item.id"'),
        ("{{ item.x }}", '"{{ item.x }}"'),
        (["a", "b, c"], '[a, "b, c"]'),
        ([{"a": 1}], "\n        - {a: 1}"),
        (1.0, "1.0"),
        (1e22, "1.0e+22"),
        ("zero\u200bwidth \u202eright to left", '"zero\\u200bwidth \\u202eright to left"'),
        ("tab\there", '"tab\\there"'),
        ([], "[]"),
        ({"a": {"b": [1]}}, "\n        a: {b: [1]}"),
        ("two\nlines", "|-\n        two\n        lines"),
        ("  indented\nlines", '"  indented\\nlines"'),
    ],
)
def test_values_have_one_way_to_be_written(value, written):
    """What another YAML could misread is quoted, what the eye cannot see is escaped."""
    node = Node(id=NodeId("a"), use="x.y", fields={"v": value, "pad": "p " * 30 + "p"})
    text = write_document(Document(name="Demo", nodes={node.id: node}))
    lead = text.partition("v: ")[2] if "v: " in text else text.partition("v:")[2]
    assert lead.startswith(written)
    assert value == read_document(text).nodes[node.id].fields["v"]


def test_every_problem_is_reported_at_once_with_its_line_and_the_right_word():
    """One reading tells everything that is wrong, in the order of the lines."""
    text = """\
treadle: 1
name: Demo
nodes:
  fetch:
    uses: http.request
    with: {url: a, url: b}
    retry: 3
    timeout: 30
    on_error: rout
    disabled: yes
  tell-team: {use: chat.send}
edges:
  - fetch tell
settings: {time_zone: UTC, concurrency: 0}
layout:
  fetsch: [0, 0]
"""
    assert [
        (4, "missing", "Write “use: …”."),
        (5, "unknown_key", "Did you mean “use”?"),
        (6, "duplicate_key", "Keep one of the two."),
        (7, "wrong_type", "Write “retry: {attempts: 3}”."),
        (8, "wrong_type", "Write 30s for seconds."),
        (9, "bad_value", "Did you mean “route”?"),
        (10, "wrong_type", "Write true."),
        (11, "bad_id", "Write “tell_team”."),
        (13, "bad_edge", "Edges are written “source -> target” or “source.port -> target.port”."),
        (14, "unknown_key", "Did you mean “timezone”?"),
        (14, "bad_value", None),
        (16, "unknown_node", "Did you mean “fetch”?"),
    ] == problems(text)


def test_a_problem_names_node_and_field():
    """The canvas finds the node, the inspector the field."""
    (problem,) = parse_document(with_node("use: x.y\nwith:\n  when: [1, &here 2]")).problems
    assert ("a", "when", ("nodes", "a", "with", "when", 1), 7, 17) == (
        problem.node,
        problem.field,
        problem.path,
        problem.line,
        problem.column,
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", [(None, "wrong_type")], id="nothing"),
        pytest.param("just words", [(1, "wrong_type")], id="no mapping"),
        pytest.param("treadle: 2\nname: x", [(1, "version")], id="a newer format"),
        pytest.param("treadle: 1", [(1, "missing")], id="no name"),
        pytest.param("name: x", [(1, "missing")], id="no first line"),
        pytest.param("treadle: 1\nname: ' '", [(2, "bad_value")], id="an empty name"),
        pytest.param("treadle: 1\nname: x\n---\na: 1", [(3, "syntax")], id="two documents"),
        pytest.param("treadle: 1\nname: x\n nodes: {}", [(3, "syntax")], id="indentation"),
        pytest.param("treadle: 1\nname: {{ x }}", [(2, "wrong_type"), (2, "syntax")], id="braces without quotes"),
        pytest.param("treadle: 1\nname: !!python/object:os.system x", [(2, "tag")], id="a tag"),
        pytest.param("treadle: 1\nname: &a x\ndescription: *a", [(2, "anchor"), (3, "anchor")], id="anchor and alias"),
        pytest.param("treadle: 1\nname: x\n<<: {a: 1}", [(3, "anchor"), (3, "unknown_key")], id="a merge key"),
        pytest.param("treadle: 1\nname: x\ndescription: \x07", [(3, "character")], id="a bell"),
        pytest.param(b"treadle: 1\nname: \xff", [(2, "character")], id="no utf-8"),
        pytest.param('{"treadle": 1, "name": "x",}', [(1, "syntax")], id="a comma too many in json"),
        pytest.param('{"treadle": 1,\n "name": NaN}', [(2, "syntax")], id="not a number in json"),
        pytest.param('{"treadle": 1, "name": "x", "name": "y"}', [(1, "duplicate_key")], id="a key twice in json"),
        pytest.param('{"treadle": 1, "name": "\\ud800"}', [(1, "character")], id="half a character in json"),
        pytest.param("[" * 100, [(1, "too_deep")], id="deep json"),
        pytest.param("a: " + "[" * 100_000, [(1, "too_deep")], id="deep yaml"),
        pytest.param("treadle: 1\nname: x\nsettings: {concurrency: .nan}", [(3, "number")], id="nan"),
        pytest.param("treadle: 1\nname: x\nsettings: {concurrency: 1e999}", [(3, "number")], id="beyond every number"),
        pytest.param("treadle: 1\nname: x\nsettings: {concurrency: " + "9" * 9999 + "}", [(3, "number")], id="many digits"),
        pytest.param('treadle: 1\nname: "open', [(2, "syntax")], id="open quotes"),
        pytest.param("treadle: 1\nname: @x", [(2, "syntax")], id="a sign no text begins with"),
        pytest.param("treadle: 1\nname: x\nnodes: [a]", [(3, "wrong_type")], id="nodes as a list"),
        pytest.param("treadle: 1\nname: x\nnodes: {a: b}", [(3, "wrong_type")], id="a node as a text"),
        pytest.param("treadle: 1\nname: x\nedges: {a: b}", [(3, "wrong_type")], id="edges as a mapping"),
    ],
)
def test_texts_that_are_no_document(text, expected):
    """Each is answered with problems and their lines, none with anything else."""
    assert expected == [(line, code) for line, code, _ in problems(text)]
    with pytest.raises(InvalidDocument) as caught:
        read_document(text)
    assert len(expected) == len(caught.value.problems)


def test_a_lost_leading_zero_is_a_warning():
    """A postcode without quotes is read as a number, and that is said."""
    parsed = parse_document(with_node("use: x.y\nwith: {zip: 01099}"))
    assert ["warning"] == [problem.severity for problem in parsed.problems]
    assert parsed.document is not None


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("treadle: 1\nname: " + "x" * 10 * 1024 * 1024, id="10 MB"),
        pytest.param(
            "treadle: 1\nname: x\nnodes:\n" + "".join(f"  n{i}: {{use: a.b}}\n" for i in range(5001)), id="5,001 nodes"
        ),
        pytest.param("a: [" + "1," * 500_001 + "]", id="500,001 values"),
    ],
)
def test_limits_hold_before_anything_is_built(text):
    """Too large is said at once, and nothing else is."""
    parsed = parse_document(text)
    assert ["too_large"] == [problem.code for problem in parsed.problems]
    assert parsed.document is None


@pytest.mark.alone
def test_hundreds_of_problems_end_the_list():
    """Nobody reads the 501st, and looking for right words costs time."""
    keys = "".join(f"  k{i}: 1\n" for i in range(200_000))
    places = "".join(f"  m{i}: [0, 0]\n" for i in range(10_000))
    nodes = "".join(f"  n{i}: {{use: a.b}}\n" for i in range(5000))
    for text in (
        f"treadle: 1\nname: x\nsettings:\n{keys}",
        f"treadle: 1\nname: x\nnodes:\n{nodes}layout:\n{places}",
        "treadle: 1\nname: x\nname: &a x\n" + "name: &a x\n" * 600,
    ):
        started = time.process_time()
        parsed = parse_document(text)
        assert ("too_many", 501) == (parsed.problems[-1].code, len(parsed.problems))
        assert time.process_time() - started < 5


def test_five_thousand_nodes_are_read_and_written_back():
    """The largest workflow is an ordinary one."""
    nodes = "".join(f"  n{i}:\n    use: a.b\n" for i in range(5000))
    edges = "".join(f"  - n{i} -> n{i + 1}\n" for i in range(4999))
    text = f"treadle: 1\nname: Large\nnodes:\n{nodes}edges:\n{edges}"
    assert text == write_document(read_document(text))


def test_a_document_with_problems_is_read_as_far_as_it_goes():
    """The editor can show a draft that is not right yet."""
    parsed = parse_document("treadle: 1\nname: x\nnodes:\n  a: {use: a.b, retry: no}\n  b: {}\nedges: [a -> b, c]")
    assert parsed.document is not None
    assert (["a", "b"], 1) == (list(parsed.document.nodes), len(parsed.document.edges))
    assert parsed.document == parse_document(write_document(parsed.document)).document


def test_places_are_known():
    """Positions count from one; a path that was not written answers with the nearest thing around it."""
    parsed = parse_document(OVERDUE)
    assert (9, 10) == parsed.locate(("nodes", "fetch", "use"))
    assert (11, 17) == parsed.locate(("nodes", "fetch", "with", "url"))
    assert (11, 11) == parsed.locate(("nodes", "fetch", "with", "query"))
    assert (7, 3) == parsed.locate(("nodes", "fetch"))


def test_the_hash_names_what_a_workflow_does():
    """Moving a box makes no new version, changing a value does."""
    document = read_document(OVERDUE)
    moved = read_document(OVERDUE.replace("[0, 0]", "[40, 40]"))
    changed = read_document(OVERDUE.replace("30s", "31s"))
    assert document_hash(document) == document_hash(moved)
    assert document_hash(document) != document_hash(changed)


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), 2**70, "\ud800", {1: 2}, (1, 2), pytest.param({"a": object()}, id="an object"), timedelta(1)],
    ids=repr,
)
def test_what_no_text_can_say_is_not_written(value):
    """The writer refuses rather than writing something else."""
    node = Node(id=NodeId("a"), use="x.y", fields={"v": value})
    with pytest.raises(InvalidDocument) as caught:
        write_document(Document(name="Demo", nodes={node.id: node}))
    assert ("a", "v") == (caught.value.problems[0].node, caught.value.problems[0].field)


def test_a_value_that_holds_itself_is_refused():
    """A circle is deeper than any limit."""
    circle: list[object] = []
    circle.append(circle)
    node = Node(id=NodeId("a"), use="x.y", fields={"v": circle})
    with pytest.raises(InvalidDocument, match="nested"):
        write_document(Document(name="Demo", nodes={node.id: node}))


def test_a_fragment_carries_nodes_and_the_edges_among_them():
    """What is copied is document text, and a whole document can be pasted too."""
    document = read_document(OVERDUE)
    chosen = [document.nodes[NodeId("fetch")], document.nodes[NodeId("overdue")]]
    text = write_fragment(chosen, document.edges, {NodeId("fetch"): (10, 20), NodeId("every_morning"): (0, 0)})
    fragment = read_fragment(text)

    assert text.startswith("treadle: 1\nnodes:\n  fetch:\n")
    assert ({node.id: node for node in chosen}, (document.edges[1],), {NodeId("fetch"): (10, 20)}) == (
        fragment.nodes,
        fragment.edges,
        fragment.layout,
    )
    assert 4 == len(read_fragment(OVERDUE).nodes)
    with pytest.raises(InvalidDocument):
        read_fragment("some words from elsewhere")
