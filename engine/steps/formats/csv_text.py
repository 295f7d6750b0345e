"""
CSV in all its dialects (RFC 4180 and what offices really write).

Reading streams: a file of any size is held once, as the items it becomes. Writing streams too.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from engine.errors import BadInput
from engine.model.items import Batch, Item
from engine.steps.formats.cells import Read, cell_text, column_readers, columns_of, rows_of, tidy_header
from engine.steps.formats.source import SAMPLE, Source, not_encoded

DELIMITERS: Final = {"auto": "auto", "comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
LONGEST_CELL: Final = 16_000_000
_CANDIDATES: Final = (";", ",", "\t", "|")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")

csv.field_size_limit(LONGEST_CELL)


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvReading:
    """How to read: `columns` name them where there is no header; `ragged` says what becomes of rows of another width."""

    delimiter: str = "auto"
    quote: str = '"'
    header: bool = True
    columns: Sequence[str] = ()
    encoding: str = "auto"
    skip: int = 0
    types: Any = "text"
    decimal: str = "."
    ragged: str = "error"


def read_csv(source: Source, how: CsvReading) -> Iterator[Item]:
    """
    Yield an item per row; empty lines are passed over.

    Raises `BadInput` that names the line: for a row that is longer or shorter than the header (unless `ragged` is `fill`), a
    cell that is not of its type, a quote that is never closed, or bytes that are not of the encoding.
    """
    encoding = source.encoding(how.encoding)
    delimiter = _delimiter(how.delimiter, source, encoding, how)
    with source.lines(encoding) as stream:
        for _ in range(how.skip):
            stream.readline()
        rows = csv.reader(stream, delimiter=delimiter, quotechar=how.quote or None, quoting=_quoting(how.quote))
        try:
            yield from _items(rows, how)
        except csv.Error as error:
            raise BadInput("from", f"Line {rows.line_num + how.skip} is no CSV: {error}.", hint=_hint(error)) from None
        except UnicodeDecodeError as error:
            raise not_encoded(encoding, error) from None


def _items(rows: Any, how: CsvReading) -> Iterator[Item]:
    first = next((row for row in rows if row), None)
    if first is None:
        return
    names = tidy_header(how.columns or (first if how.header else [f"column_{place}" for place in range(1, len(first) + 1)]))
    readers = column_readers(how.types, names, how.decimal)
    is_text = not any(readers)
    width, fills = len(names), how.ragged == "fill"
    if not how.header:
        yield _item(first, names, readers, how, rows.line_num)
    for row in rows:
        if len(row) != width:
            if not row:
                continue
            if not fills:
                raise _ragged(rows.line_num + how.skip, len(row), width)
            row = _filled(row, names, width)
            if len(names) > len(readers):
                readers = [*readers, *[None] * (len(names) - len(readers))]
        yield dict(zip(names, row)) if is_text else _item(row, names, readers, how, rows.line_num)  # noqa: B905 - strict costs a tenth of the time


def _item(row: list[Any], names: list[str], readers: Sequence[Read | None], how: CsvReading, line: int) -> Item:
    if len(row) != len(names) and how.ragged != "fill":
        raise _ragged(line + how.skip, len(row), len(names))
    item: Item = {}
    for name, cell, read in zip(names, row, readers, strict=False):
        try:
            item[name] = read(cell) if read and cell is not None else cell
        except ValueError as error:
            text = f"Line {line + how.skip}: “{cell[:60]}” in the column “{name}” is not {error}."
            raise BadInput("types", text, hint="Read the column as text, or set the decimal sign.") from None
    return item


def _filled(row: list[str], names: list[str], width: int) -> list[str | None]:
    while len(row) > len(names):
        names.append(f"column_{len(names) + 1}")
    return [*row, *[None] * (width - len(row))]


def _ragged(line: int, found: int, width: int) -> BadInput:
    cells = "1 cell" if found == 1 else f"{found} cells"
    return BadInput(
        "from",
        f"Line {line} has {cells} where there are {width} columns.",
        hint="Check the delimiter and quotes, or set “Rows of another width” to fill.",
    )


def _hint(error: csv.Error) -> str | None:
    return "A quote was probably never closed." if "field larger" in str(error) else None


def _quoting(quote: str) -> Literal[0, 3]:
    return csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE


def _delimiter(asked: str, source: Source, encoding: str, how: CsvReading) -> str:
    found = DELIMITERS.get(asked, asked)
    if found == "auto":
        return guess_delimiter(source.head().decode(encoding, "ignore"), how.quote, is_cut=source.size > SAMPLE, skip=how.skip)
    if len(found) != 1:
        raise BadInput("delimiter", f"The delimiter “{asked}” is not a single character.", hint="Write , or ; or tab.")
    return found


def guess_delimiter(sample: str, quote: str = '"', *, is_cut: bool = False, skip: int = 0) -> str:
    """
    Return the delimiter that parts the first lines most evenly into the most columns; a comma when nothing does.

    `is_cut` says that the sample ends inside a line.
    """
    lines = sample.splitlines(keepends=True)[skip : skip + 50]
    if is_cut and len(lines) > 1:
        lines = lines[:-1]
    best, best_score = ",", 0.0
    for candidate in _CANDIDATES:
        try:
            widths = [
                len(row)
                for row in csv.reader(lines, delimiter=candidate, quotechar=quote or None, quoting=_quoting(quote))
                if row
            ]
        except csv.Error:
            continue
        if not widths:
            continue
        width, count = Counter(widths).most_common(1)[0]
        score = (count / len(widths)) ** 2 * (width - 1)
        if score > best_score:
            best, best_score = candidate, score
    return best


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvWriting:
    """How to write; `escape` puts an apostrophe before texts that a spreadsheet would run as a formula."""

    columns: Any = None
    delimiter: str = "comma"
    quote_all: bool = False
    header: bool = True
    encoding: str = "utf-8"
    line_end: str = "\r\n"
    decimal: str = "."
    escape: bool = False


def write_csv(items: Batch, how: CsvWriting, stream: io.TextIOBase) -> None:
    """Write a header and a row per item; raises `BadInput` for a delimiter that is no single character."""
    delimiter = DELIMITERS.get(how.delimiter, how.delimiter)
    if len(delimiter) != 1:
        raise BadInput("delimiter", f"The delimiter “{how.delimiter}” is not a single character.", hint="Write , or ; or tab.")
    columns = columns_of(items, how.columns)
    quoting: Literal[0, 1] = csv.QUOTE_ALL if how.quote_all else csv.QUOTE_MINIMAL
    writer = csv.writer(stream, delimiter=delimiter, lineterminator=how.line_end, quoting=quoting)
    if how.header and columns:
        writer.writerow([heading for _, heading in columns])
    decimal = how.decimal
    for row in rows_of(items, columns):
        cells = [cell if type(cell) is str else cell_text(cell, decimal) for cell in row]
        if how.escape:
            cells = [
                f"'{cell}" if type(value) is str and cell.startswith(_FORMULA) else cell
                for cell, value in zip(cells, row, strict=True)
            ]
        writer.writerow(cells)


def csv_bytes(items: Batch, how: CsvWriting) -> bytes:
    """Return the whole text as bytes of the encoding asked for; raises `BadInput` for letters that it lacks."""
    text = io.StringIO(newline="")
    write_csv(items, how, text)
    return encode(text.getvalue(), how.encoding)


def encode(text: str, encoding: str) -> bytes:
    """Return text as bytes; raises `BadInput` that names the letter the encoding does not have."""
    try:
        return text.encode(encoding)
    except UnicodeEncodeError as error:
        letter = text[error.start]
        raise BadInput("encoding", f"{encoding} has no “{letter}”.", hint="Write UTF-8, which has every letter.") from None
    except LookupError:
        raise BadInput("encoding", f"There is no encoding “{encoding}”.", hint="Try utf-8, cp1252 or utf-16.") from None
