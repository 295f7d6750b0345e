"""Files made to harm: they are refused with a sentence, soon, and without filling the memory."""

import io
import zipfile
from itertools import pairwise

import pytest
from openpyxl import Workbook

from engine.errors import BadInput
from engine.steps.formats.cells import tidy_header
from engine.steps.formats.csv_text import CsvReading, read_csv
from engine.steps.formats.excel import read_excel
from engine.steps.formats.html_text import read_html_tables
from engine.steps.formats.source import Source
from engine.steps.formats.yaml_text import read_yaml

pytestmark = [pytest.mark.timeout(60), pytest.mark.usefixtures("unmeasured")]  # millions of cells


def a_source(data: bytes) -> Source:
    return Source(lambda: io.BytesIO(data), "data", "", len(data))


def a_workbook(rows: str, dimension: str = "") -> Source:
    """Return a workbook whose only sheet holds this XML."""
    plain, made = io.BytesIO(), io.BytesIO()
    Workbook().save(plain)
    place = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    sheet = f'<worksheet xmlns="{place}">{dimension}<sheetData>{rows}</sheetData></worksheet>'
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, sheet if name == "xl/worksheets/sheet1.xml" else old.read(name))
    return a_source(made.getvalue())


def a_row(number: int, *cells: tuple[str, str]) -> str:
    inner = "".join(f'<c r="{column}{number}">{value}</c>' for column, value in cells)
    return f'<row r="{number}">{inner}</row>'


HEADING = '<row r="1"><c r="A1" t="inlineStr"><is><t>n</t></is></c></row>'


def test_a_row_beyond_the_end_of_every_sheet():
    """
    A row that says it is the billionth does not make the reader count to a billion.
    """
    rows = HEADING + a_row(2, ("A", "<v>1</v>")) + a_row(999_999_999_999, ("A", "<v>2</v>"))
    assert [{"n": 1}] == list(read_excel(a_workbook(rows)))


def test_a_sheet_that_lies_about_its_size():
    """
    What a sheet says about its size is not believed: no row is left out, and no million of columns made.
    """
    rows = HEADING + "".join(a_row(number, ("A", f"<v>{number}</v>")) for number in range(2, 50))
    for dimension in ('<dimension ref="A1"/>', '<dimension ref="A1:XFD1048576"/>', '<dimension ref="B7:C9"/>'):
        assert [{"n": number} for number in range(2, 50)] == list(read_excel(a_workbook(rows, dimension)))


def test_a_sheet_of_nothing():
    """
    Single cells far to the right would make gigabytes of empty fields.
    """
    rows = HEADING + "".join(a_row(number, ("XFD", "<v>1</v>")) for number in range(2, 3_000))
    with pytest.raises(BadInput, match="empty"):
        list(read_excel(a_workbook(rows)))


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(a_row(2, ("A", "<v>nan</v>")), id="a number that is none"),
        pytest.param(a_row(2, ("ZZZZZZZ", "<v>1</v>")), id="a column that is none"),
        pytest.param('<row r="2"><c r="A2" t="s"><v>99</v></c></row>', id="a text that is not there"),
        pytest.param('<row r="2"><c r="A2" t="d"><v>zz</v></c></row>', id="a date that is none"),
        pytest.param('<row r="2"><c r="A2"><v>1</v></row>', id="broken XML"),
    ],
)
def test_a_cell_that_cannot_be_read(row: str):
    """
    A damaged cell is told as damage of the workbook.
    """
    with pytest.raises(BadInput, match="workbook"):
        list(read_excel(a_workbook(HEADING + row)))


def test_mappings_that_merge_each_other():
    """
    Merge keys multiply like aliases do.
    """
    names = "abcdefghijkl"
    lines = ["a: &a {x: 1, y: 2}"]
    for old, new in pairwise(names):
        lines.append(f"{new}: &{new} {{<<: [{', '.join([f'*{old}'] * 9)}]}}")
    with pytest.raises(BadInput):
        list(read_yaml(a_source("\n".join(lines).encode())))
    assert [{"base": {"x": 1}, "own": {"x": 1, "z": 2}}] == list(read_yaml(a_source(b"base: &b {x: 1}\nown: {<<: *b, z: 2}\n")))


def test_a_hundred_thousand_equal_headings():
    """
    Headings are made unique in time that grows with their number, not with its square.
    """
    names = tidy_header(["a"] * 100_000)
    assert ("a", "a_2", "a_100000", 100_000) == (names[0], names[1], names[-1], len(set(names)))
    assert ["a", "a_2", "a_3", "a_2_2"] == tidy_header(["a", "a", "a", "a_2"])
    wide = b"a," * 50_000 + b"z\n" + b"1," * 50_000 + b"2\n"
    assert 50_001 == len(next(read_csv(a_source(wide), CsvReading())))


def test_cells_that_span_the_world():
    """
    Spans in both directions multiply; a table that would have ten million cells is refused.
    """
    table = b"<table>" + b"<tr><td colspan=1000 rowspan=65534>x</td></tr>" * 1_000 + b"</table>"
    with pytest.raises(BadInput, match="cells"):
        list(read_html_tables(a_source(table)))
    row = b"<table><tr>" + b"<td colspan=1000>x</td>" * 50_000 + b"</tr></table>"
    with pytest.raises(BadInput, match="cells"):
        list(read_html_tables(a_source(row)))
