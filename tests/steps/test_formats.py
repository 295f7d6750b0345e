"""JSON, JSON Lines, XML, YAML, HTML tables: read, written, and refused where they would harm."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BadInput
from engine.steps.contract import ItemFailures
from engine.steps.formats.json_text import read_json_lines, write_json_lines
from engine.steps.formats.source import Source
from engine.steps.formats.xml_text import read_xml, write_xml
from engine.steps.formats.yaml_text import read_yaml, write_yaml


def parsed(bench, text, **fields):
    return bench.out("data.parse", fields, [{"data": text}])


def failure(bench, text, **fields):
    with pytest.raises(ItemFailures) as caught:
        parsed(bench, text, **fields)
    return caught.value.failed[0]


@pytest.mark.parametrize(
    ("text", "fields", "expected"),
    [
        pytest.param('[{"a": 1}, {"a": 2}]', {}, [{"a": 1}, {"a": 2}], id="list"),
        pytest.param('{"a": 1}', {}, [{"a": 1}], id="object"),
        pytest.param("[1, null]", {}, [{"value": 1}, {"value": None}], id="plain entries"),
        pytest.param('{"d": {"o": [{"a": 1}]}}', {"format": "json", "path": "d.o"}, [{"a": 1}], id="path"),
        pytest.param('[{"x": [5]}]', {"format": "json", "path": "0.x"}, [{"value": 5}], id="path with a number"),
        pytest.param("null", {"format": "json"}, [], id="null"),
        pytest.param('\ufeff [{"a": "é"}]', {}, [{"a": "é"}], id="mark"),
    ],
)
def test_json(bench, text, fields, expected):
    """
    A list gives its entries, an object itself.
    """
    assert expected == parsed(bench, text, **fields)


def test_json_that_is_none_is_told_with_its_place(bench):
    """
    Line and column lead to the mistake; a path that leads nowhere names what is there.
    """
    assert "Line 2, column 7" in failure(bench, '{"a": 1,\n "b": oops}', format="json").message
    wrong = failure(bench, '{"data": []}', format="json", path="dta")
    assert ("There is nothing at “dta”.", "There is: data.") == (wrong.message, wrong.hint)


def test_data_that_was_read_already_passes_through(bench):
    """
    A webhook's JSON body is an object by now; it is taken as it is.
    """
    assert [{"a": 1}, {"a": 2}] == bench.out("data.parse", {}, [{"body": [{"a": 1}, {"a": 2}]}])
    assert [{"a": 1}] == bench.out("data.parse", {"from": "item.o", "path": "x"}, [{"o": {"x": {"a": 1}}}])


@pytest.mark.parametrize(
    ("item", "expected"), [({}, "gives nothing"), ({"data": 5}, "gives a number"), ({"data": True}, "not a text or a file")]
)
def test_what_is_neither_text_nor_file_is_refused(bench, item, expected):
    """
    The error says what the expression gave.
    """
    with pytest.raises(ItemFailures) as caught:
        bench.out("data.parse", {}, [item])
    assert expected in caught.value.failed[0].message


def test_one_broken_text_does_not_spoil_the_others(bench):
    """
    Each item is read by itself, and all know where they come from.
    """
    with pytest.raises(ItemFailures) as caught:
        bench.raw(
            "data.parse",
            {"format": "json"},
            [{"data": '[{"a": 1}]'}, {"data": '[{"a": 1}, oops'}, {"data": "[3, 4]"}, {"data": 5}],
        )
    assert [1, 3] == list(caught.value.failed)
    assert [{"a": 1}, {"value": 3}, {"value": 4}] == caught.value.outputs.items
    assert [0, 2, 2] == list(caught.value.outputs.origins["in"])


def test_the_fields_beside_can_be_kept(bench):
    """
    What was read lies over the item it was read from.
    """
    assert [{"data": "[{}]", "id": 7}] == bench.out("data.parse", {"keep": "all"}, [{"data": "[{}]", "id": 7}])


def test_json_lines(bench):
    """
    One line, one item; a broken line is named.
    """
    assert [{"a": 1}, {"value": 2}] == parsed(bench, '{"a": 1}\n\n2\n', format="jsonl")
    assert "Line 2 is no JSON" in failure(bench, '{"a": 1}\noops\n', format="jsonl").message


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("x.json", b'[{"a": 1}]', [{"a": 1}]),
        ("x.ndjson", b'{"a": 1}', [{"a": 1}]),
        ("x.yaml", b"- a: 1", [{"a": 1}]),
        ("x.xml", b"<l><e><a>1</a></e></l>", [{"a": "1"}]),
        ("x.html", b"<table><tr><th>a</th></tr><tr><td>1</td></tr></table>", [{"a": "1"}]),
        ("x.tsv", b"a\n1\n", [{"a": "1"}]),
        ("x", b'{"a": 1}\n{"a": 2}\n', [{"a": 1}, {"a": 2}]),
        ("x", b'{"a":\n 1}', [{"a": 1}]),
        ("x", b"<?xml version='1.0'?><l><e><a>1</a></e></l>", [{"a": "1"}]),
        ("x", b"<html><table><tr><th>a</th></tr><tr><td>1</td></tr></table></html>", [{"a": "1"}]),
        ("x", b"---\na: 1\n", [{"a": 1}]),
        ("x.txt", b"a;b\n1;2\n", [{"a": "1", "b": "2"}]),
        ("x.txt", b'[{"a": 1}]', [{"a": 1}]),
    ],
)
def test_formats_are_found_out(bench, name, data, expected):
    """
    By the name of the file, else by how it begins.
    """
    assert expected == bench.out("data.parse", {}, [{"file": bench.keep(data, name, "")}])


def test_the_media_type_tells_where_the_name_does_not(bench):
    """
    A download without a proper name still says what it is.
    """
    file = bench.keep(b"a: [1, 2]", "download", "application/yaml; charset=utf-8")
    assert [{"a": [1, 2]}] == bench.out("data.parse", {}, [{"file": file}])


XML = """<?xml version="1.0"?>
<orders xmlns="urn:shop"><order id="7"><sku>A</sku><sku>B</sku><note lang="en">hi</note><empty/></order></orders>"""


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        pytest.param(
            XML,
            "",
            [{"@id": "7", "sku": ["A", "B"], "note": {"@lang": "en", "#text": "hi"}, "empty": None}],
            id="elements of one name",
        ),
        pytest.param(XML, "order.sku", [{"value": "A"}, {"value": "B"}], id="path"),
        pytest.param("<a><b>1</b><c>2</c></a>", "", [{"b": "1", "c": "2"}], id="elements of several names"),
        pytest.param("<a>x</a>", "", [{"value": "x"}], id="text alone"),
        pytest.param("<a><b>1</b><b>2</b></a>", "", [{"value": "1"}, {"value": "2"}], id="plain elements"),
        pytest.param("<a>one <b>two</b> three</a>", "b", [{"value": "two"}], id="mixed"),
    ],
)
def test_xml(bench, text, path, expected):
    """
    Elements are fields, attributes have an at-sign, repeated elements are lists.
    """
    assert expected == parsed(bench, text, format="xml", path=path)


LAUGHS = "".join(f'<!ENTITY l{n} "{("&l" + str(n - 1) + ";") * 10 if n else "lol"}">' for n in range(10))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(f"<!DOCTYPE x [{LAUGHS}]><x>&l9;</x>", "declares entities", id="a billion laughs"),
        pytest.param(
            '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><x>&f;</x>', "declares entities", id="a file of ours"
        ),
        pytest.param("<a><b></a>", "no XML", id="broken"),
        pytest.param("", "no XML", id="empty"),
        pytest.param("<a>" * 300 + "</a>" * 300, "nested deeper", id="deep"),
        pytest.param('<?xml version="1.0" encoding="klingon"?><a/>', "no XML|cannot be decoded", id="unknown encoding"),
    ],
)
def test_harmful_and_broken_xml_is_refused(bench, text, expected):
    """
    Nothing is fetched, nothing explodes.
    """
    assert re.search(expected, failure(bench, text, format="xml").message)


def test_yaml(bench):
    """
    YAML 1.2: `no` is a word, dates are texts, several documents are several items, merge keys work.
    """
    assert [{"country": "no", "n": 1, "f": 1.5, "day": "2026-11-23", "x": None}] == parsed(
        bench, "country: no\nn: 1\nf: 1.5\nday: 2026-11-23\nx:\n", format="yaml"
    )
    assert [{"a": 1}, {"a": 2}] == parsed(bench, "a: 1\n---\na: 2\n", format="yaml")
    assert [{"b": {"x": 1}, "c": {"x": 1, "y": 2}}] == parsed(bench, "b: &b {x: 1}\nc: {<<: *b, y: 2}\n", format="yaml")
    assert [{"2": "a", "true": "b"}] == parsed(bench, "2: a\ntrue: b\n", format="yaml")
    assert [{"a": 2}] == parsed(bench, "d: {l: [{a: 2}]}\n", format="yaml", path="d.l")
    assert [] == parsed(bench, "", format="yaml")


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(BOMB, "grows far beyond", id="aliases that multiply"),
        pytest.param("a: &a [*a]\n", "grows far beyond|can be read", id="itself inside itself"),
        pytest.param("a: !!python/object/apply:os.system ['id']\n", "no YAML", id="a Python call"),
        pytest.param("a: 1\na: 2\n", "no YAML", id="a key twice"),
        pytest.param("a: [1\n", "no YAML", id="broken"),
        pytest.param("[" * 3000, "no YAML|can be read", id="deep"),
        pytest.param("a: !!binary aGk=\n", "no plain data", id="bytes"),
    ],
)
def test_harmful_and_broken_yaml_is_refused(bench, text, expected):
    """
    Aliases may repeat things, but not explode; nothing is called.
    """
    assert re.search(expected, failure(bench, text, format="yaml").message)


def test_huge_yaml_is_refused():
    """
    Past 5 MB there are better formats.
    """
    with pytest.raises(BadInput, match="larger than 5 MB"):
        list(read_yaml(Source(lambda: None, size=30_000_000)))


PAGE = """<html><body><table id="first"><tr><td>x</td></tr></table>
<table><caption>Prices</caption><thead>
<tr><th>Item</th><th colspan="2">Price</th></tr><tr><th></th><th>net</th><th>gross</th></tr></thead>
<tbody><tr><td rowspan="2">Pen &amp; ink</td><td>1,50</td><td> 1,80
</td></tr><tr><td>2</td><td></td></tr></tbody></table></body></html>"""


def test_html_tables(bench):
    """
    Spans are filled, headings joined, texts tidied; the table is named by number or by what stands in it.
    """
    expected = [
        {"Item": "Pen & ink", "Price net": 1.5, "Price gross": 1.8},
        {"Item": "Pen & ink", "Price net": 2, "Price gross": None},
    ]
    for table in (2, "2", "prices"):
        assert expected == parsed(
            bench, PAGE, format="html", table=table, types={"Price net": "number", "Price gross": "number"}, decimal=","
        )
    assert [{"column_1": "x"}] == parsed(bench, PAGE, format="html", header=False, table="first")


@pytest.mark.parametrize(
    ("text", "fields", "expected"),
    [
        (PAGE, {"table": 3}, "no table number 3; it has 2"),
        (PAGE, {"table": "weather"}, "holds “weather”"),
        ("", {}, "no table number 1; it has 0"),
        ("<table><tr><th>a</th></tr><tr><td>x</td></tr></table>", {"types": {"a": "number"}}, "Row 2: “x” in the column “a”"),
    ],
)
def test_html_says_what_is_missing(bench, text, fields, expected):
    """
    Which table, which row.
    """
    assert expected in failure(bench, text, format="html", **fields).message


def test_html_rows_may_be_ragged(bench):
    """
    More cells than headings get names, fewer are null; absurd spans are cut.
    """
    cells = ("<th>a</th><th>b</th>", "<td>1</td>", "<td>1</td><td>2</td><td>3</td>", '<td colspan="9999">x</td>')
    rows = parsed(bench, f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>", format="html")
    assert [{"a": "1", "b": None}, {"a": "1", "b": "2", "column_3": "3"}] == rows[:2]
    assert 1000 == len(rows[2])


def test_format_writes_what_parse_reads(bench):
    """
    JSON, JSON Lines and YAML keep every type; HTML and XML keep the texts.
    """
    items = [{"a": 1, "b": [True, None, {"c": "é"}], "d": "2026-11-23", "e": "no"}, {"a": 1.5}]
    for kind in ("json", "jsonl", "yaml"):
        text = bench.out("data.format", {"format": kind}, items)[0]["data"]
        assert items == parsed(bench, text, format=kind)
    assert '[{"a":1}]' == bench.out("data.format", {"format": "json", "indent": False}, [{"a": 1}])[0]["data"]
    html = bench.out("data.format", {"format": "html", "title": "A & B"}, [{"a": "<script>", "b": 2}])[0]["data"]
    assert "<script>" not in html
    assert [{"a": "<script>", "b": "2"}] == parsed(bench, html, format="html")
    assert "<caption>A &amp; B</caption>" in html


def test_format_tells_file_handles_as_people_see_them(bench):
    """
    A file in an item is described, never dumped.
    """
    file = bench.keep(b"abc", "a.txt", "text/plain")
    written = bench.out("data.format", {"format": "json"}, [{"file": file}])[0]["data"]
    assert [{"file": file.describe()}] == parsed(bench, written, format="json")
    yaml = bench.out("data.format", {"format": "yaml"}, [{"file": file}])[0]["data"]
    assert "a.txt" in yaml


def test_files_have_names_and_types(bench):
    """
    The ending is added once; the type is that of the format.
    """
    for name in ("r", "r.xml"):
        file = bench.out("data.format", {"format": "xml", "as": "file", "name": name}, [{"a": 1}])[0]["file"]
        assert ("r.xml", "application/xml") == (file.name, file.media_type)


def test_xml_refuses_names_it_does_not_allow():
    """
    A field with a blank cannot be an element.
    """
    for items, fields in (([{"two words": 1}], {}), ([], {"root": "1"}), ([{"@a b": 1}], {})):
        with pytest.raises(BadInput, match="cannot be the name"):
            write_xml(items, **fields)


def test_xml_takes_attributes_lists_and_texts_back():
    """
    What was read is written the same way; control characters are left out.
    """
    items = [{"@id": "7", "sku": ["A", "B"], "note": {"@lang": "en", "#text": "hi"}, "empty": None}]
    assert items == list(read_xml(Source.of_text(write_xml(items).decode())))
    assert [{"value": "ab"}] == list(read_xml(Source.of_text(write_xml([{"#text": "a\x00b"}]).decode())))


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
NAMES = st.text("abc_é ", min_size=1, max_size=4)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.lists(st.dictionaries(NAMES, JSON, max_size=3), max_size=3)


@given(OBJECTS)
def test_json_lines_and_yaml_round_trip(items):
    """
    Any JSON value survives.
    """
    assert items == list(read_json_lines(Source.of_text(write_json_lines(items).decode())))
    assert items == list(read_yaml(Source.of_text(write_yaml(items).decode())))
