"""Promises about all documents and all texts, tried with many."""

import json
import random
from datetime import timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from engine.ids import NodeId
from engine.model.codec import (
    document_as_data,
    document_from_data,
    document_hash,
    parse_document,
    read_document,
    write_document,
)
from engine.model.limits import UNITS, Budget, Concurrency, Rate
from engine.model.problems import Problem
from engine.model.words import ID_PATTERN, PORT_PATTERN
from engine.model.workflow import Document, Edge, Node, RetryPolicy, Settings
from engine.model.write import write_yaml
from engine.model.yaml_reader import read_yaml, split_fast, split_slow

LOOKALIKES = [
    "", " ", "null", "~", "Null", "yes", "No", "on", "OFF", "true", "FALSE", "1", "1.0", "1e3", "0x1F", "0o17", "017",
    "1_000", ".5", ".inf", ".nan", "-", "--", "---", "...", "- a", "? a", "a: b", "a:b", "a #b", "#a", "&a", "*a", "!a",
    "!!str a", "|", ">", "%a", "@a", "`a", "{a", "[a", "]", "}", ",", "'", '"', "\\", "\\n", "2024-01-01", "12:30:45",
    "=", "<<", "a\nb", "a\n", "\na", "a\n\nb\n", "a\n\n", "  a\nb", "a\n  b", "a \nb", "\ta", "a\tb", "a\n\tb", "a\n ",
    "\r", "a\r\nb", "a\x85b", "a\u2028b", "\ufeffa", "a\ufeff", "\u200b", "\u202ea", "\x00", "\x1b[31m", "é", "e\u0301",
    "日本語", "😀", "a->b", "a -> b", "{{ item.x }}", "{{ item.x }}\nand {{ item.y }}\n", "x" * 300, "word " * 60,
    "\U0010ffff", "\ufffe", "a\n---\nb", "a\n...\n", "a\n# b",
]  # fmt: skip

no_surrogates = st.characters(exclude_categories=("Cs",))
texts = st.one_of(
    st.sampled_from(LOOKALIKES),
    st.text(no_surrogates, max_size=20),
    st.text(alphabet="ab \n\t:#-'\"\\{}[]|<>,;?&*!%()=@./", max_size=20),
)
numbers = st.one_of(
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, -0.0, 1.0, 1e16, 1e22, 1e-7, 5e-324, 1.7976931348623157e308]),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=12,
)
ids = st.one_of(
    st.sampled_from(["a", "b", "null", "true", "no", "fetch_2", "A"]), st.from_regex(ID_PATTERN, fullmatch=True)
).map(NodeId)
ports = st.one_of(st.sampled_from(["out", "in", "error", "true", "0"]), st.from_regex(PORT_PATTERN, fullmatch=True))
durations = st.timedeltas(timedelta(0), timedelta(days=36_500))
limits = durations.filter(bool)
nodes = st.builds(
    Node,
    id=ids,
    use=texts.filter(bool),
    title=st.none() | texts,
    note=st.none() | texts,
    connection=st.none() | texts,
    fields=st.dictionaries(texts, values, max_size=4),
    retry=st.none()
    | st.builds(
        RetryPolicy,
        attempts=st.integers(1, 1000),
        first=durations,
        factor=st.floats(1, 100),
        longest=durations,
        total=st.none() | durations,
    ),
    timeout=st.none() | limits,
    on_error=st.sampled_from(["stop", "route", "ignore"]),
    on_uncertain=st.sampled_from(["ask", "retry", "skip"]),
    run_on_empty=st.booleans(),
    disabled=st.booleans(),
)
counts = st.integers(1, 10**15)
keyed = st.builds(
    Concurrency,
    limit=st.integers(1, 100_000),
    key=texts,
    total=st.none() | st.integers(1, 100_000),
    when_full=st.sampled_from(["queue", "drop_newest", "cancel_oldest"]),
)
budgets = st.builds(
    Budget,
    items=st.none() | counts,
    bytes=st.none() | counts,
    minutes=st.none() | st.floats(0.01, 1_000_000),
    calls=st.none() | counts,
)
rates = st.builds(
    Rate,
    count=st.integers(1, 999_999_999),
    per=st.sampled_from(list(UNITS.values())),
    host=texts.filter(bool),
    burst=st.integers(1, 1_000_000),
)
places = st.integers(-10_000_000, 10_000_000)


@st.composite
def documents(draw):
    """Documents of every kind, small."""
    made = {node.id: node for node in draw(st.lists(nodes, max_size=4))}
    return Document(
        name=draw(texts.map(lambda name: name.replace("\0", "")[:200]).filter(str.strip)),
        description=draw(st.none() | texts),
        nodes=made,
        edges=tuple(draw(st.lists(st.builds(Edge, ids, ids, ports, ports), max_size=4))),
        settings=draw(
            st.builds(
                Settings,
                timezone=texts.filter(bool),
                concurrency=st.none() | st.integers(1, 100_000) | keyed,
                priority=st.integers(-100, 100),
                budget=st.none() | budgets.filter(lambda budget: budget != Budget()),
                rates=st.lists(rates, max_size=2).map(tuple),
                timeout=st.none() | limits,
                on_failure=st.none() | texts,
            )
        ),
        layout=draw(st.dictionaries(st.sampled_from(sorted(made)), st.tuples(places, places))) if made else {},
    )


def exact(document: Document) -> str:
    """Return everything a document says, orders and types of values included."""
    return repr(document_as_data(document)) + repr(document.edges)


@given(documents())
def test_what_is_written_is_read_back(document):
    """Reading what was written gives the same document; writing it again the same bytes; the data form says the same."""
    text = write_document(document)
    again = read_document(text)
    assert document == again
    assert exact(document) == exact(again)
    assert text == write_document(again)
    assert exact(document) == exact(document_from_data(document_as_data(document)))
    assert document_hash(document) == document_hash(again)


@given(st.dictionaries(texts, values, max_size=5))
@example({"a": ["\n", {"b": "x\n"}], "x" * 1200: {"c": [[], {}, [["deep"], "x" * 120]]}})
def test_both_splitters_read_what_the_writer_writes(data):
    """libyaml and ruamel.yaml agree on canonical text, and so does ruamel's own loader, which knows nothing of us."""
    text = write_yaml(data)
    fast, slow = read_yaml(text, events=split_fast), read_yaml(text, events=split_slow)
    assert repr(data or None) == repr(fast.value or None)
    assert (repr(fast.value), fast.positions) == (repr(slow.value), slow.positions)
    loaded = YAML(typ="safe", pure=True).load(text)
    # Keys there are numbers where they look like some; ours are always texts.
    assert repr([*data.values()]) == repr([*(loaded or {}).values()])


SEED = """\
treadle: 1
name: Overdue orders
description: |
  Two lines,
  and {{ more }}
nodes:
  every_morning:
    use: trigger.schedule
    with: {cron: "0 7 * * MON-FRI", timezone: Europe/Vienna, missed: once}
  fetch:
    title: Fetch open orders
    use: http.request
    with:
      url: "https://shop.example/orders?since={{ yesterday() }}"
      headers: [1, 2.5, null, true, {a: b}]
    retry: {attempts: 5, first: 2s, factor: 2, max: 5m}
    timeout: 30s
    on_error: route
edges:
  - every_morning -> fetch
  - fetch.error -> every_morning
settings: {timezone: Europe/Vienna, concurrency: 4}
layout:
  every_morning: [0, 0]
"""
JSON_SEED = json.dumps(document_as_data(read_document(SEED)), indent=1)
SCRAPS = [
    *LOOKALIKES, "{", "}", "[", "]", ": ", "- ", "\n", "\n  ", "\n\n", '"', "'", "&x ", "*x", "!!map ", "{{", "}}",
    "? ", "nodes:", "  fetch:", "->", "\x00", "\xff", "\ud800", "[" * 70, "{a: " * 70, "- " * 70, "9" * 500, "1e9999",
    "\t", "%YAML 1.2\n---\n", "---", '"\\ud83d"', '"\\x"', "<<: ", "null", "treadle: 2",
]  # fmt: skip


def mutate(text: str, chance: random.Random) -> str:
    """Return the text with a few characters or lines lost, doubled, swapped or put in."""
    for _ in range(chance.randint(1, 4)):
        at, to = sorted(chance.randrange(len(text) + 1) for _ in "12")
        lines = text.split("\n")
        line = chance.randrange(len(lines))
        kind = chance.randrange(8)
        if kind == 0:
            text = text[:at] + text[min(to, at + 9) :]
        elif kind == 1:
            text = text[:at] + chance.choice(SCRAPS) + text[at:]
        elif kind == 2:
            text = text[:at] + chance.choice(SCRAPS) + text[min(to, at + 5) :]
        elif kind == 3:
            text = text[:at] + text[at : at + 1] * 3 + text[at:]
        elif kind == 4:
            text = "\n".join([*lines[:line], *lines[line + 1 :]])
        elif kind == 5:
            text = "\n".join([*lines[:line], lines[line], *lines[line:]])
        elif kind == 6:
            text = "\n".join([*lines[:line], chance.choice(["  ", " ", "\t"]) + lines[line], *lines[line + 1 :]])
        else:
            other = chance.randrange(len(lines))
            lines[line], lines[other] = lines[other], lines[line]
            text = "\n".join(lines)
    return text


def hold_the_promise(text: str | bytes) -> bool:
    """Check that a text is a document or has problems, and that whatever was read of it can be written and read again."""
    parsed = parse_document(text)
    assert all(isinstance(problem, Problem) and problem.text and problem.code for problem in parsed.problems)
    if parsed.document is None:
        assert parsed.errors
        return False
    canonical = write_document(parsed.document)
    again = parse_document(canonical)
    assert parsed.document == again.document
    if not parsed.errors:
        assert not again.problems
    return not parsed.errors


@pytest.mark.parametrize("seed", [pytest.param(SEED, id="yaml"), pytest.param(JSON_SEED, id="json")])
def test_a_damaged_text_is_a_document_or_has_problems(seed):
    """Four thousand mutations: some are still valid, most are not, none is anything but that."""
    chance = random.Random(2)
    valid = sum(hold_the_promise(mutate(seed, chance)) for _ in range(2000))
    assert 20 < valid < 1900


@given(st.data())
@settings(max_examples=200)
def test_damaged_bytes_are_a_document_or_have_problems(data):
    """The same for bytes, which need not be text at all."""
    raw = bytearray(SEED.encode())
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    hold_the_promise(bytes(raw))


@given(
    st.recursive(
        values, lambda inner: st.dictionaries(st.sampled_from([*SEED.split(), "a", "use", "with"]), inner), max_leaves=20
    )
)
def test_any_data_is_a_document_or_has_problems(data):
    """Structures that have nothing to do with a workflow are described, not tripped over."""
    hold_the_promise(write_yaml({"treadle": 1, "nodes": data, "edges": data, "settings": data, "layout": data}))
    hold_the_promise(
        write_yaml({"treadle": 1, "name": "x", "nodes": {"a": data, "b": {"use": data, "with": data, "retry": data}}})
    )


@given(st.text(max_size=60))
def test_any_text_is_a_document_or_has_problems(text):
    """Even one that nobody would write."""
    hold_the_promise(text)
    hold_the_promise("{" + text)
    hold_the_promise('{"' + text)
