"""Excel workbooks (.xlsx): real numbers and dates both ways, headings a person can read."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import IO, Any, Final

from openpyxl import Workbook, load_workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.utils.exceptions import InvalidFileException

from engine.errors import BadInput
from engine.model.items import Batch, Item
from engine.model.words import did_you_mean
from engine.steps.formats.cells import cell_text, columns_of, rows_of, tidy_header
from engine.steps.formats.source import Source

Columns = Sequence[tuple[tuple[str, ...], str]]
MOST_ROWS: Final = 1_048_576
MOST_COLUMNS: Final = 16_384
LONGEST_CELL: Final = 32_767
LARGEST_UNPACKED: Final = 2_000_000_000
MOST_EMPTY: Final = 10_000_000
MEASURED_ROWS: Final = 1000
_ISO_DATE: Final = re.compile(r"(?:19|20|21)[0-9]{2}-[01][0-9]-[0-3][0-9]\Z", re.ASCII)
_ISO_MOMENT: Final = re.compile(
    r"((?:19|20|21)[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9](?::[0-5][0-9])?)(?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}:?[0-9]{2})?\Z",
    re.ASCII,
)
_SHEET_LETTERS: Final = re.compile(r"[\[\]:*?/\\\x00-\x1f]")


def read_excel(
    source: Source, *, sheet: Any = None, header: bool = True, skip: int = 0, columns: Sequence[str] = ()
) -> Iterator[Item]:
    """
    Yield an item per row of one sheet; empty rows are passed over.

    `sheet` is its name or its number from 1, the first when empty. Numbers stay numbers; dates become ISO 8601 texts, formulas
    what they last gave. Raises `BadInput` for what is no .xlsx, for a sheet that is not there, and for a file that unpacks to
    more than 2 GB.
    """
    with source.open() as stream:
        _check_size(stream)
        try:
            book = load_workbook(stream, read_only=True, data_only=True, keep_links=False)
        except (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError, OSError, SyntaxError) as error:
            raise BadInput(
                "from", f"This is no Excel workbook (.xlsx): {error}.", hint="Save older .xls files as .xlsx first."
            ) from None
        try:
            found = _sheet(book, sheet)
            found.reset_dimensions()  # what a sheet says about its size is often wrong, and rows beyond it would be left out
            yield from _whole(_items(found.iter_rows(min_row=skip + 1, max_row=MOST_ROWS), header, columns))
        finally:
            book.close()


def _whole(items: Iterator[Item]) -> Iterator[Item]:
    """Yield the items; raises `BadInput` where the workbook is damaged, or where nearly all of it would be empty fields."""
    fields = filled = 0
    try:
        for item in items:
            fields += len(item)
            if fields > MOST_EMPTY:
                filled += sum(value is not None for value in item.values())
                if fields > MOST_EMPTY + 50 * filled:
                    raise BadInput("from", "The sheet is so wide and so empty that it cannot be read as a table.")
            yield item
    except (ValueError, LookupError, TypeError, OverflowError, SyntaxError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise BadInput("from", f"The workbook is damaged: {error}.", hint="Open it in Excel and save it anew.") from None


def _items(rows: Iterator[Any], header: bool, columns: Sequence[str]) -> Iterator[Item]:
    names: list[str] = tidy_header(columns) if columns else []
    is_first = True
    for row in rows:
        values = [_read(cell) for cell in row]
        while values and values[-1] is None:
            values.pop()
        if not values:
            continue
        if is_first:
            is_first = False
            if header:
                names = names or tidy_header(values)
                continue
        while len(names) < len(values):
            names.append(f"column_{len(names) + 1}")
        yield dict(zip(names, [*values, *[None] * (len(names) - len(values))], strict=True))


def _read(cell: Any) -> Any:
    value = cell.value
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 1e15 and "." not in (cell.number_format or "") else value
    if isinstance(value, datetime):
        has_clock = "h" in (cell.number_format or "").lower() or value.time() != time()
        return value.isoformat() if has_clock else value.date().isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    return value.total_seconds() if isinstance(value, timedelta) else str(value)


def _sheet(book: Any, wanted: Any) -> Any:
    names: list[str] = book.sheetnames
    if wanted is None or wanted == "":
        return book[names[0]]
    if wanted in names:
        return book[wanted]
    place = str(wanted).strip()
    if place.isdigit() and 1 <= int(place) <= len(names):
        return book[names[int(place) - 1]]
    hint = did_you_mean(str(wanted), names, otherwise=f"There is: {', '.join(names[:12])}.")
    raise BadInput("sheet", f"The workbook has no sheet “{wanted}”.", hint=hint)


def _check_size(stream: IO[bytes]) -> None:
    try:
        with zipfile.ZipFile(stream) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    except zipfile.BadZipFile:
        raise BadInput("from", "This is no Excel workbook (.xlsx).", hint="Save older .xls files as .xlsx first.") from None
    if size > LARGEST_UNPACKED:
        raise BadInput("from", f"The workbook unpacks to {size // 1_000_000} MB, which is more than is read.")
    stream.seek(0)


def write_excel(
    sheets: Mapping[str, Batch], path: Path, *, columns: Any = None, header: bool = True, dates: bool = True
) -> None:
    """
    Write a workbook with these sheets: bold frozen headings with a filter, columns as wide as what stands in them.

    `dates` makes real dates of ISO 8601 texts, with the clock time as it stands in the text.
    A text never becomes a formula; whole numbers over 15 digits stay texts, since Excel would change them. Raises `BadInput`
    for more than 1,048,575 rows or 16,384 columns on a sheet and for a text over 32,767 letters.
    """
    book = Workbook(write_only=True)
    used: set[str] = set()
    try:
        for name, items in (sheets or {"Sheet1": []}).items():
            _write_sheet(book, sheet_name(name, used), items, columns_of(items, columns), header, dates)
    except BaseException:
        _discard(book)
        raise
    book.save(path)


def _write_sheet(book: Any, name: str, items: Batch, columns: Columns, header: bool, dates: bool) -> None:
    if len(items) > MOST_ROWS - 1 or len(columns) > MOST_COLUMNS:
        text = f"{len(items):,} rows with {len(columns):,} columns do not fit on an Excel sheet."
        raise BadInput("from", text, hint="Part them by “Sheet per”, or write CSV.")
    sheet = book.create_sheet(name)
    formats = _measure(sheet, items, columns)
    if header and columns:
        sheet.freeze_panes = "A2"
        sheet.auto_filter.ref = f"A1:{get_column_letter(len(columns))}{len(items) + 1}"
        sheet.append([_heading(sheet, heading) for _, heading in columns])
    for number, row in enumerate(rows_of(items, columns), 2):
        sheet.append([_cell(sheet, value, form, dates, number) for value, form in zip(row, formats, strict=True)])


def _measure(sheet: Any, items: Batch, columns: Columns) -> list[str | None]:
    """Set the widths by the first thousand rows; return the number format of each column of amounts."""
    sample = list(rows_of(items[:MEASURED_ROWS], columns))
    formats: list[str | None] = []
    for place, (_, heading) in enumerate(columns):
        values = [row[place] for row in sample if row[place] is not None]
        is_amount = any(type(value) is float for value in values) and all(
            type(value) is int or (type(value) is float and abs(value) < 1e12 and round(value, 2) == value) for value in values
        )
        widest = max((len(cell_text(value)) for value in values), default=0)
        wide = max(len(heading) + 3, widest + (4 if is_amount else 1))
        sheet.column_dimensions[get_column_letter(place + 1)].width = min(max(wide, 8), 60) + 0.7
        formats.append("#,##0.00" if is_amount else None)
    return formats


def _discard(book: Any) -> None:
    """End the sheets that were begun and remove the temporary files they were written to."""
    for sheet in book.worksheets:
        with suppress(Exception):
            sheet.close()
            sheet._writer.cleanup()


def _heading(sheet: Any, text: str) -> Any:
    cell = WriteOnlyCell(sheet, ILLEGAL_CHARACTERS_RE.sub("", text)[:LONGEST_CELL])
    cell.data_type = "s"
    cell.font = Font(bold=True)
    cell.fill = PatternFill("solid", fgColor="E8ECF3")
    cell.alignment = Alignment(vertical="center")
    return cell


def _cell(sheet: Any, value: Any, form: str | None, dates: bool, row: int) -> Any:
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is int or kind is float:
        if abs(value) >= 1e15 and kind is int:
            return _text(sheet, str(value), row)
        if form is None:
            return value
        cell = WriteOnlyCell(sheet, value)
        cell.number_format = form
        return cell
    text = cell_text(value)
    if dates and kind is str and (moment := _moment(text)):
        cell = WriteOnlyCell(sheet, moment)
        cell.number_format = "yyyy-mm-dd hh:mm" if isinstance(moment, datetime) else "yyyy-mm-dd"
        return cell
    return _text(sheet, text, row)


def _text(sheet: Any, text: str, row: int) -> Any:
    if len(text) > LONGEST_CELL:
        raise BadInput("from", f"Row {row} holds a text of {len(text):,} letters; an Excel cell holds {LONGEST_CELL:,}.")
    clean = ILLEGAL_CHARACTERS_RE.sub("", text)
    if not clean.startswith(("=", "#")):
        return clean
    cell = WriteOnlyCell(sheet, clean)
    cell.data_type = "s"
    return cell


def _moment(text: str) -> date | None:
    try:
        if _ISO_DATE.match(text):
            return date.fromisoformat(text)
        if found := _ISO_MOMENT.match(text):
            return datetime.fromisoformat(found[1])
    except ValueError:
        return None
    return None


def sheet_name(name: str, used: set[str]) -> str:
    """Return a name Excel accepts (31 letters, none of []:*?/\\) that is not used yet, whatever the case; it is then."""
    base = _SHEET_LETTERS.sub(" ", name).strip().strip("'")[:31] or "Sheet"
    chosen, count = base, 1
    while chosen.lower() in used:
        count += 1
        chosen = f"{base[: 31 - len(str(count)) - 1]} {count}"
    used.add(chosen.lower())
    return chosen
