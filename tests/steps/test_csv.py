"""CSV in all its dialects, read and written."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BadInput
from engine.steps.contract import ItemFailures
from engine.steps.formats.csv_text import CsvReading, CsvWriting, csv_bytes, guess_delimiter, read_csv
from engine.steps.formats.source import Source

ROWS = [{"name": "Ada", "total": "1"}, {"name": "Bob", "total": "2"}]


def parsed(bench, text, **fields):
    return bench.out("data.parse", {"format": "csv", **fields}, [{"data": text}])


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        pytest.param("name,total\r\nAda,1\r\nBob,2\r\n", {}, id="plain"),
        pytest.param("name,total\nAda,1\nBob,2", {}, id="unix, no last line end"),
        pytest.param("name;total\nAda;1\nBob;2\n", {}, id="semicolons found out"),
        pytest.param("name\ttotal\nAda\t1\nBob\t2\n", {}, id="tabs found out"),
        pytest.param("name|total\nAda|1\nBob|2\n", {"delimiter": "pipe"}, id="pipes by name"),
        pytest.param("name~total\nAda~1\nBob~2\n", {"delimiter": "~"}, id="any character"),
        pytest.param('"name","total"\n"Ada","1"\n"Bob","2"\n', {}, id="all quoted"),
        pytest.param("'name','total'\n'Ada','1'\nBob,2\n", {"quote": "'"}, id="single quotes"),
        pytest.param("\ufeffname,total\nAda,1\n\nBob,2\n\n", {}, id="mark and empty lines"),
        pytest.param("Report of today\n\nname,total\nAda,1\nBob,2\n", {"skip": 2}, id="lines before the names"),
        pytest.param("Ada,1\nBob,2\n", {"header": False, "columns": ["name", "total"]}, id="names given"),
        pytest.param("N,T\nAda,1\nBob,2\n", {"columns": ["name", "total"]}, id="names replaced"),
    ],
)
def test_dialects(bench, text, fields):
    """
    However it is written, the same items come out.
    """
    assert ROWS == parsed(bench, text, **fields)


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", "é"),
        ("utf-8-sig", "é"),
        ("utf-16", "é"),
        ("utf-16-le", "éabc"),
        ("utf-16-be", "éabc"),
        ("cp1252", "é€"),
        ("ascii", "e"),
    ],
)
def test_encodings_are_found_out(bench, encoding, text):
    """
    Marks, valid UTF-8, zero bytes: the bytes tell how to read them.
    """
    data = f"name;total\r\n{text};1\r\n".encode(encoding)
    file = bench.keep(data, "x.csv", "text/csv")
    assert [{"name": text, "total": "1"}] == bench.out("data.parse", {}, [{"file": file}])


def test_utf8_is_told_from_cp1252_even_at_the_end(bench):
    """
    One wrong byte after a megabyte of plain letters still decides.
    """
    data = b"name\n" + b"abcdefghi\n" * 200_000 + b"caf\xe9\n"
    file = bench.keep(data, "x.csv", "text/csv")
    assert "café" == bench.out("data.parse", {}, [{"file": file}])[-1]["name"]


def test_a_wrong_encoding_is_told(bench):
    """
    The error names the byte and the way out.
    """
    file = bench.keep("é".encode("cp1252"), "x.csv", "text/csv")
    with pytest.raises(ItemFailures, match="not utf-8"):
        bench.out("data.parse", {"encoding": "utf-8"}, [{"file": file}])
    with pytest.raises(ItemFailures, match="no encoding “klingon”"):
        bench.out("data.parse", {"encoding": "klingon"}, [{"file": file}])


@pytest.mark.parametrize(
    ("types", "decimal", "expected"),
    [
        pytest.param(
            "text", ".", {"no": "007", "n": "1.50", "b": "true", "e": "", "p": "+43", "t": "1,5"}, id="text, as it stands"
        ),
        pytest.param(
            "guess", ".", {"no": "007", "n": 1.5, "b": True, "e": None, "p": "+43", "t": "1,5"}, id="guess, nothing doubtful"
        ),
        pytest.param(
            {"n": "number", "no": "integer"},
            ".",
            {"no": 7, "n": 1.5, "b": "true", "e": "", "p": "+43", "t": "1,5"},
            id="by column",
        ),
        pytest.param(
            {"t": "number"}, ",", {"no": "007", "n": "1.50", "b": "true", "e": "", "p": "+43", "t": 1.5}, id="decimal comma"
        ),
        pytest.param(
            {"b": "boolean", "e": "number"},
            ".",
            {"no": "007", "n": "1.50", "b": True, "e": None, "p": "+43", "t": "1,5"},
            id="empty is null",
        ),
    ],
)
def test_types_of_cells(bench, types, decimal, expected):
    """
    Cells stay text unless told; guessing never touches what looks like a code.
    """
    text = "no;n;b;e;p;t\n007;1.50;true;;+43;1,5\n"
    assert [expected] == parsed(bench, text, types=types, decimal=decimal)


def test_guessing_with_a_decimal_comma(bench):
    """
    1,5 is a number then, 1.5 is not, and words keep their commas.
    """
    text = 'a;b;c;d;e\n1,5;1.5;"x,y";12;\n'
    assert [{"a": 1.5, "b": "1.5", "c": "x,y", "d": 12, "e": None}] == parsed(bench, text, types="guess", decimal=",")


@pytest.mark.parametrize(
    ("cell", "decimal", "expected"),
    [
        ("1.234,50", ",", 1234.5),
        ("1,234.50", ".", 1234.5),
        ("12'000", ".", 12000),
        ("1e3", ".", 1000.0),
        ("1 234,5", ",", 1234.5),
        ("-1,234", ".", -1234),
    ],
)
def test_grouped_numbers_are_read_where_numbers_are_wanted(bench, cell, decimal, expected):
    """
    Thousands may be parted as the country does.
    """
    assert [{"n": expected}] == parsed(bench, f'n\n"{cell}"\n', types={"n": "number"}, decimal=decimal, delimiter=";")


@pytest.mark.parametrize(
    ("text", "fields", "expected"),
    [
        pytest.param("a,b\n1\n", {}, "Line 2 has 1 cell where there are 2 columns", id="too short"),
        pytest.param("a,b\n1,2\n1,2,3\n", {}, "Line 3 has 3 cells where there are 2 columns", id="too long"),
        pytest.param("a\nx\n", {"types": {"a": "number"}}, "Line 2: “x” in the column “a” is not a number", id="no number"),
        pytest.param("a\n1.5\n", {"types": {"a": "integer"}}, "is not a whole number", id="no whole number"),
        pytest.param(
            "a\n1234567890123456789\n", {"types": {"a": "number"}}, "is not a number of at most 18 digits", id="too long"
        ),
        pytest.param("a\nperhaps\n", {"types": {"a": "boolean"}}, "is not true or false", id="no boolean"),
        pytest.param("a\n1\n", {"types": {"b": "number"}}, "no column “b”", id="no such column"),
        pytest.param("a\n1\n", {"types": "date"}, "no cell type “date”", id="no such type"),
        pytest.param("a\n1\n", {"types": 5}, "text, guess, or an object", id="types that are none"),
        pytest.param("a\n1\n", {"delimiter": "::"}, "not a single character", id="long delimiter"),
        pytest.param("1,2\n3\n", {"header": False}, "Line 2 has 1 cell", id="ragged without a header"),
        pytest.param("1,2\n", {"header": False, "columns": ["a"]}, "Line 1 has 2 cells", id="first row does not fit the names"),
    ],
)
def test_what_is_wrong_is_named_by_line(bench, text, fields, expected):
    """
    The error tells line, column and what to do.
    """
    with pytest.raises(ItemFailures) as caught:
        parsed(bench, text, **fields)
    assert expected in caught.value.failed[0].message


@pytest.mark.parametrize(
    ("cell", "decimal"), [("1,5", "."), ("1.5", ","), ("12,34,567", "."), ("1,234.5", ","), ("1'23", "."), ("--1", ".")]
)
def test_a_number_of_another_country_is_refused_not_guessed(bench, cell, decimal):
    """
    1,5 is never silently fifteen.
    """
    with pytest.raises(ItemFailures) as caught:
        parsed(bench, f'n\n"{cell}"\n', types={"n": "number"}, decimal=decimal, delimiter=";")
    assert "is not a number" in caught.value.failed[0].message


def test_ragged_rows_can_be_filled(bench):
    """
    Short rows end in null, long ones get columns of their own.
    """
    expected = [{"a": "1", "b": None}, {"a": "1", "b": "2", "column_3": "3"}, {"a": "1", "b": "2"}]
    assert expected == parsed(bench, "a,b\n1\n1,2,3\n1,2\n", ragged="fill")
    typed = parsed(bench, "a,b\n1\n1,2,3\n1,2\n", ragged="fill", types="guess")
    assert [{"a": 1, "b": None}, {"a": 1, "b": 2, "column_3": "3"}] == typed[:2]


def test_headings_become_names_that_differ(bench):
    """
    Empty and repeated headings are numbered.
    """
    assert [{"a": "1", "column_2": "2", "a_2": "3"}] == parsed(bench, "a,,a \n1,2,3\n")


@pytest.mark.parametrize("text", ["", "\n\n", "a,b\n", "\ufeff"])
def test_nothing_gives_nothing(bench, text):
    """
    An empty file, or one with headings only, has no items.
    """
    assert [] == parsed(bench, text)


def test_an_endless_quote_is_refused(bench):
    """
    A quote that never closes swallows at most 16 million letters.
    """
    with pytest.raises(BadInput, match="is no CSV") as caught:
        list(read_csv(Source.of_text('a,b\n"' + "x\n" * 9_000_000), CsvReading(delimiter=",")))
    assert "never closed" in caught.value.hint


@pytest.mark.parametrize(
    ("sample", "expected"),
    [("a,b\n1,2\n", ","), ("a;b\n1,5;2\n", ";"), ("a\nb\n", ","), ("", ","), ("x|y|z\n1|2|3\n", "|"), ('"a;b",c\n1,2\n', ",")],
)
def test_delimiters_are_found_by_evenness(sample, expected):
    """
    What parts the lines most evenly is the delimiter; a comma when nothing does.
    """
    assert expected == guess_delimiter(sample)


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=6)


@given(
    st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=6),
    st.sampled_from(["comma", "semicolon", "tab", "pipe", "~"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.booleans(),
)
def test_what_is_written_is_read_back(rows, delimiter, encoding, quote_all):
    """
    Whatever stands in the cells — quotes, delimiters, line ends, any letter — survives the way out and in.
    """
    items = [{"first": one, "second": two} for one, two in rows]
    data = csv_bytes(items, CsvWriting(delimiter=delimiter, encoding=encoding, quote_all=quote_all))
    source = Source(lambda: io.BytesIO(data), size=len(data))
    assert items == list(read_csv(source, CsvReading(delimiter=delimiter, encoding=encoding)))


def test_format_gives_text_or_a_file(bench):
    """
    A text by default; a file with name and type when asked.
    """
    items = [{"n": "Ada", "v": 1.5, "o": {"a": 1}, "x": None, "t": True}]
    text = bench.out("data.format", {"format": "csv"}, items)
    assert [{"data": 'n,v,o,x,t\r\nAda,1.5,"{""a"":1}",,true\r\n'}] == text
    result = bench.ports("data.format", {"format": "csv", "as": "file", "name": "report", "encoding": "cp1252"}, items)["out"]
    file = result.items[0]["file"]
    assert ("report.csv", "text/csv", text[0]["data"]) == (file.name, file.media_type, bench.bytes_of(file).decode())
    assert [[0]] == [list(indexes) for indexes in result.origins["in"]]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"columns": ["c.city", "a"]}, "c.city,a\r\nWien,=1+1\r\n", id="paths"),
        pytest.param({"columns": {"a": "Formula", "c.zip": "Zip"}}, "Formula,Zip\r\n=1+1,\r\n", id="headings"),
        pytest.param({"columns": ["a"], "header": False, "line_end": "lf"}, "=1+1\n", id="no header, unix"),
        pytest.param({"columns": ["a"], "escape": True}, "a\r\n'=1+1\r\n", id="formulas disarmed"),
        pytest.param({"columns": ["n"], "decimal": ",", "delimiter": "semicolon"}, "n\r\n-1,5\r\n", id="decimal comma"),
        pytest.param({"columns": ["n"], "quote": "all"}, '"n"\r\n"-1.5"\r\n', id="all quoted"),
    ],
)
def test_format_choices(bench, fields, expected):
    """
    Columns, headings, line ends, quotes and decimal signs are as told.
    """
    items = [{"a": "=1+1", "c": {"city": "Wien"}, "n": -1.5}]
    assert [{"data": expected}] == bench.out("data.format", {"format": "csv", **fields}, items)


def test_a_letter_the_encoding_lacks_is_named(bench):
    """
    Windows-1252 has no snowman; text and file say so alike.
    """
    for kind in ("text", "file"):
        with pytest.raises(BadInput, match="cp1252 has no “☃”"):
            bench.out("data.format", {"format": "csv", "encoding": "cp1252", "as": kind}, [{"a": "☃"}])
    with pytest.raises(BadInput, match="not a single character"):
        bench.out("data.format", {"format": "csv", "delimiter": "ab"}, [{"a": 1}])


def test_many_rows_are_written_aside(bench):
    """
    Big batches take the way through a thread and come out the same.
    """
    items = [{"a": number} for number in range(5000)]
    file = bench.out("data.format", {"format": "csv", "as": "file"}, items)[0]["file"]
    assert 5001 == bench.bytes_of(file).count(b"\r\n")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from Linux' /proc")
def test_a_big_file_is_held_once(tmp_path):
    """
    Reading 200,000 rows takes no more than a little over the memory of the items themselves.
    """
    path = tmp_path / "big.csv"
    with path.open("w") as stream:
        stream.write("id,customer,city,street,amount,due\n")
        for number in range(200_000):
            stream.write(
                f"{number},Customer {number % 997},City {number % 91},Street {number},{number / 7:.2f},2026-11-{number % 28}\n"
            )
    script = Path(__file__).with_name("measure_csv.py")
    out = subprocess.run(
        [sys.executable, script, path], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    measured = json.loads(out.stdout)
    assert 200_000 == measured["items"]
    assert measured["peak"] < 1.25 * measured["held"]
