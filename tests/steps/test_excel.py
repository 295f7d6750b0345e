"""Excel workbooks, written and opened again."""

import io
import zipfile
from datetime import date, datetime, time, timedelta

import pytest
from openpyxl import Workbook, load_workbook

from engine.errors import BadInput
from engine.steps.contract import ItemFailures
from engine.steps.formats.excel import sheet_name

ITEMS = [
    {
        "customer": "ACME",
        "due": "2026-11-23",
        "at": "2026-11-23T08:30:00+01:00",
        "total": 120.5,
        "n": 3,
        "paid": False,
        "x": None,
    },
    {
        "customer": "=1+1",
        "due": "2026-12-01",
        "at": "2026-11-23T08:30:00Z",
        "total": 7.0,
        "n": 12,
        "paid": True,
        "extra": {"a": [1]},
    },
]


def written(bench, items, **fields):
    file = bench.out("data.format", {"format": "excel", **fields}, items)[0]["file"]
    return load_workbook(io.BytesIO(bench.bytes_of(file))), file


def stored(bench, book):
    stream = io.BytesIO()
    book.save(stream)
    return bench.keep(stream.getvalue(), "book.xlsx", "")


def test_a_workbook_that_a_person_can_work_with(bench):
    """
    Real dates and numbers, headings that stand out and stay, a filter, columns wide enough; nothing becomes a formula.
    """
    book, file = written(bench, ITEMS, name="report", sheet="Overdue")
    sheet = book["Overdue"]
    assert "report.xlsx" == file.name
    assert ["customer", "due", "at", "total", "n", "paid", "x", "extra"] == [cell.value for cell in sheet[1]]
    assert ["ACME", datetime(2026, 11, 23), datetime(2026, 11, 23, 8, 30), 120.5, 3, False, None, None] == [
        cell.value for cell in sheet[2]
    ]
    assert ("=1+1", "s", '{"a":[1]}') == (sheet["A3"].value, sheet["A3"].data_type, sheet["H3"].value)
    assert ("yyyy-mm-dd", "#,##0.00", "General") == tuple(sheet[f"{column}2"].number_format for column in "BDE")
    assert sheet["A1"].font.bold
    assert ("A2", "A1:H3") == (sheet.freeze_panes, sheet.auto_filter.ref)
    assert sheet.column_dimensions["C"].width > sheet.column_dimensions["E"].width


def test_what_is_written_is_read_back(bench):
    """
    Types survive; clock times stay as they stood on the wall.
    """
    _, file = written(bench, ITEMS, columns=["customer", "due", "at", "total", "n", "paid"])
    read = bench.out("data.parse", {}, [{"file": file}])
    assert [
        {"customer": "ACME", "due": "2026-11-23", "at": "2026-11-23T08:30:00", "total": 120.5, "n": 3, "paid": False}
    ] == read[:1]
    assert [7.0, "=1+1"] == [read[1]["total"], read[1]["customer"]]


def test_columns_headings_and_dates_are_as_told(bench):
    """
    Paths can be renamed; dates can stay texts; the heading can be left out.
    """
    book, _ = written(bench, [{"c": {"n": "A"}, "d": "2026-11-23"}], columns={"c.n": "Customer", "d": "Due"}, dates=False)
    assert [("Customer", "Due"), ("A", "2026-11-23")] == list(book.active.iter_rows(values_only=True))
    book, _ = written(bench, [{"a": 1}], header=False)
    assert [(1,)] == list(book.active.iter_rows(values_only=True))


def test_a_sheet_for_each_value(bench):
    """
    Names are made fit for Excel and told apart.
    """
    items = [{"g": "A/B"}, {"g": None}, {"g": "a b"}, {"g": "A/B"}]
    book, _ = written(bench, items, sheet_by="item.g")
    assert {"A B": 3, "Data": 1, "a b 2": 2} == {sheet.title: sheet.max_row for sheet in book}


def test_nothing_gives_an_empty_sheet(bench):
    """
    A report without rows is still a workbook.
    """
    assert ["Data"] == written(bench, [])[0].sheetnames
    assert ["Data"] == written(bench, [], sheet_by="item.g")[0].sheetnames


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (12345678901234567, "12345678901234567"),
        (1234567890, 1234567890),
        ("2026-02-30", "2026-02-30"),
        ("a\x01b", "ab"),
        ("#N/A", "#N/A"),
        (0.1234, 0.1234),
        ([1], "[1]"),
    ],
)
def test_values_arrive_unharmed(bench, value, expected):
    """
    Long numbers stay exact as text; what is no date stays what it is; control characters go.
    """
    cell = written(bench, [{"v": value}])[0].active["A2"]
    assert (expected, "s" if isinstance(expected, str) else "n") == (cell.value, cell.data_type)


def test_what_does_not_fit_is_told(bench):
    """
    A text over 32,767 letters is not cut silently; Excel is no text.
    """
    with pytest.raises(BadInput, match="Row 2 holds a text of 40,000 letters"):
        written(bench, [{"v": "x" * 40_000}])
    with pytest.raises(BadInput, match="cannot be a text"):
        bench.out("data.format", {"format": "excel", "as": "text"}, [])
    with pytest.raises(BadInput, match="do not fit"):
        written(bench, [{f"c{n}": 1 for n in range(17_000)}])


def a_book(**sheets):
    book = Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    return book


def test_sheets_are_found_by_name_and_number(bench):
    """
    The first when nothing is said; a wrong name is answered with the nearest.
    """
    file = stored(bench, a_book(First=[["a"], [1]], Second=[["b"], [2]]))
    for sheet, expected in ((None, {"a": 1}), ("Second", {"b": 2}), (2, {"b": 2}), ("1", {"a": 1})):
        assert [expected] == bench.out("data.parse", {"format": "excel", "sheet": sheet}, [{"file": file}])
    with pytest.raises(ItemFailures) as caught:
        bench.out("data.parse", {"format": "excel", "sheet": "Secnd"}, [{"file": file}])
    assert "Did you mean “Second”?" == caught.value.failed[0].hint


def test_rows_above_and_gaps_are_passed_over(bench):
    """
    Rows to skip, empty rows, missing and repeated headings, rows that are longer than the headings.
    """
    rows = [["Report"], ["a", None, "a"], [], [1, 2], [1, 2, 3, 4]]
    file = stored(bench, a_book(S=rows))
    assert [{"a": 1, "column_2": 2, "a_2": None}, {"a": 1, "column_2": 2, "a_2": 3, "column_4": 4}] == bench.out(
        "data.parse", {"format": "excel", "skip": 1}, [{"file": file}]
    )
    assert [{"column_1": "Report"}] == bench.out("data.parse", {"format": "excel", "header": False}, [{"file": file}])[:1]
    named = bench.out("data.parse", {"format": "excel", "skip": 1, "columns": ["x", "y", "z"]}, [{"file": file}])
    assert {"x": 1, "y": 2, "z": None} == named[0]


def test_cells_become_plain_data(bench):
    """
    Dates and times are ISO 8601, durations seconds, whole numbers whole.
    """
    row = [date(2026, 11, 23), datetime(2026, 11, 23, 8, 30), time(8, 30), timedelta(hours=1), 3.0, 2.5, True, "x"]
    file = stored(bench, a_book(S=[list("abcdefgh"), row]))
    read = bench.out("data.parse", {}, [{"file": file}])[0]
    assert ["2026-11-23", "2026-11-23T08:30:00", "08:30:00", 3600.0, 3, 2.5, True, "x"] == list(read.values())


@pytest.mark.parametrize("data", [b"not a zip", b"PK\x03\x04broken", b""])
def test_what_is_no_workbook_is_told(bench, data):
    """
    Old .xls files and broken ones get a sentence.
    """
    with pytest.raises(ItemFailures, match="no Excel workbook"):
        bench.out("data.parse", {"format": "excel"}, [{"file": bench.keep(data, "x.xlsx", "")}])


def test_a_zip_that_is_no_workbook_is_told(bench):
    """
    Any archive begins like a workbook.
    """
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.txt", "hi")
    with pytest.raises(ItemFailures, match="no Excel workbook"):
        bench.out("data.parse", {"format": "excel"}, [{"file": bench.keep(stream.getvalue(), "x.xlsx", "")}])


def test_a_workbook_with_entities_is_refused(bench):
    """
    A billion laughs inside a sheet expand nowhere.
    """
    source = io.BytesIO()
    a_book(S=[["a"], [1]]).save(source)
    laughs = "".join(f'<!ENTITY l{n} "{("&l" + str(n - 1) + ";") * 10 if n else "lol"}">' for n in range(10))
    target = io.BytesIO()
    with zipfile.ZipFile(source) as before, zipfile.ZipFile(target, "w") as after:
        for entry in before.infolist():
            data = before.read(entry)
            if entry.filename == "xl/worksheets/sheet1.xml":
                data = f"<!DOCTYPE x [{laughs}]>".encode() + data.replace(b"<v>1</v>", b"<v>&l9;</v>")
            after.writestr(entry.filename, data)
    with pytest.raises(ItemFailures, match=r"no Excel workbook|entities"):
        bench.out("data.parse", {}, [{"file": bench.keep(target.getvalue(), "x.xlsx", "")}])


def test_sheet_names_are_made_fit():
    """
    31 letters, none that Excel forbids, each used once whatever its case.
    """
    used = set()
    assert ["A B", "a b 2", "Sheet", "x" * 31, "x" * 29 + " 2"] == [
        sheet_name(name, used) for name in ("A/B", "a b", "[]", "x" * 40, "x" * 40)
    ]
