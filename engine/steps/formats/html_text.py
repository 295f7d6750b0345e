"""Tables of web pages, spanned cells included, and a plain table of items as HTML."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any, Final

from lxml import etree, html

from engine.errors import BadInput
from engine.model.items import Batch, Item
from engine.steps.formats.cells import Read, cell_text, column_readers, columns_of, rows_of, tidy_header
from engine.steps.formats.source import Source

WIDEST_SPAN: Final = 1000
LARGEST: Final = 100_000_000
MOST_CELLS: Final = 10_000_000
_ROWS: Final = "./tr | ./thead/tr | ./tbody/tr | ./tfoot/tr"


def read_html_tables(
    source: Source, *, table: Any = 1, header: bool = True, types: Any = "text", decimal: str = ".", encoding: str = "auto"
) -> Iterator[Item]:
    """
    Yield an item per row of one table of the page.

    `table` is its number from 1, or a text that stands in it (a caption, a heading, its id). Headings are the first row, or
    the rows of `<thead>`, joined where there are several. Raises `BadInput` when there is no such table.
    """
    if source.size > LARGEST:
        raise BadInput("from", f"The page is larger than {LARGEST // 1_000_000} MB.")
    parser = html.HTMLParser(encoding=None if encoding == "auto" else encoding, huge_tree=False, no_network=True)
    with source.open() as stream:
        data = stream.read()
    if encoding == "auto" and source.encoding() in ("utf-8", "utf-8-sig"):
        parser = html.HTMLParser(encoding="utf-8", huge_tree=False, no_network=True)
    try:
        root = html.document_fromstring(data, parser=parser) if data.strip() else None
    except (etree.ParserError, etree.XMLSyntaxError, LookupError) as error:
        raise BadInput("from", f"This is no HTML: {error}.") from None
    tables = [] if root is None else root.xpath("//table")
    found = _choose(tables, table)
    rows = [(row, _is_heading(row)) for row in found.xpath(_ROWS)]
    grid = _grid([row for row, _ in rows])
    heads = 0
    if header:
        heads = next((place for place, (_, is_heading) in enumerate(rows) if not is_heading), len(rows)) or 1
    names = tidy_header(_joined(grid[:heads]) if heads else [None] * max(map(len, grid), default=0))
    readers = column_readers(types, names, decimal)
    for number, cells in enumerate(grid[heads:], heads + 1):
        if any(cells):
            yield _item(names, cells, readers, number)


def write_html_table(items: Batch, *, columns: Any = None, title: str = "") -> bytes:
    """Return a small page with the items as a table; every text is escaped."""
    chosen = columns_of(items, columns)
    head = "".join(f"<th>{escape(heading)}</th>" for _, heading in chosen)
    body = "".join(
        "<tr>" + "".join(f"<td{_align(cell)}>{escape(cell_text(cell))}</td>" for cell in row) + "</tr>\n"
        for row in rows_of(items, chosen)
    )
    caption = f"<caption>{escape(title)}</caption>" if title else ""
    page = (
        f'<!doctype html>\n<html><head><meta charset="utf-8"><title>{escape(title or "Table")}</title>'
        f"<style>{_STYLE}</style></head>\n"
        f"<body><table>{caption}<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></body></html>\n"
    )
    return page.encode()


_STYLE: Final = (
    "body{font:14px system-ui,sans-serif;margin:2rem}table{border-collapse:collapse}"
    "caption{font-weight:600;text-align:left;padding:.5rem 0}"
    "th,td{padding:.35rem .75rem;border-bottom:1px solid #ddd;text-align:left}th{background:#f4f4f5}td.n{text-align:right}"
)


def _align(value: Any) -> str:
    return ' class="n"' if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _choose(tables: list[Any], wanted: Any) -> Any:
    count = len(tables)
    if (isinstance(wanted, int) and not isinstance(wanted, bool)) or (isinstance(wanted, str) and wanted.strip().isdigit()):
        place = int(wanted)
        if 1 <= place <= count:
            return tables[place - 1]
        raise BadInput("table", f"The page has no table number {place}; it has {count}.")
    word = str(wanted).strip().lower()
    for table in reversed(tables):
        if word in (table.get("id") or "").lower() or word in " ".join(table.itertext()).lower():
            return table
    raise BadInput("table", f"No table of the page holds “{wanted}”; it has {count} tables.")


def _is_heading(row: Any) -> bool:
    return row.getparent().tag == "thead" or (len(row) > 0 and all(cell.tag == "th" for cell in row))


def _grid(rows: list[Any]) -> list[list[str]]:
    """Return the texts row by row, a spanned cell repeated in each place it covers."""
    hanging: dict[int, tuple[int, str]] = {}
    grid: list[list[str]] = []
    made = 0
    for row in rows:
        cells: list[str] = []

        def hang(cells: list[str] = cells) -> None:
            while (place := len(cells)) in hanging:
                left, text = hanging.pop(place)
                cells.append(text)
                if left > 1:
                    hanging[place] = (left - 1, text)

        for cell in row.xpath("./td | ./th"):
            hang()
            text = " ".join("".join(cell.itertext()).split())
            down = _span(cell, "rowspan")
            for _ in range(_span(cell, "colspan")):
                if down > 1:
                    hanging[len(cells)] = (down - 1, text)
                cells.append(text)
            if made + len(cells) > MOST_CELLS:
                raise BadInput("from", f"With its spans the table has more than {MOST_CELLS:,} cells.")
        hang()
        made += len(cells)
        grid.append(cells)
    return grid


def _span(cell: Any, name: str) -> int:
    value = (cell.get(name) or "1").strip()
    return min(max(int(value), 1), WIDEST_SPAN) if value.isdigit() and len(value) < 6 else 1


def _joined(heads: list[list[str]]) -> list[str]:
    width = max(map(len, heads), default=0)
    names = []
    for place in range(width):
        words = dict.fromkeys(head[place] for head in heads if place < len(head) and head[place])
        names.append(" ".join(words))
    return names


def _item(names: list[str], cells: list[str], readers: list[Read | None], number: int) -> Item:
    while len(cells) > len(names):
        names.append(f"column_{len(names) + 1}")
        readers.append(None)
    item: Item = {}
    for place, name in enumerate(names):
        cell = cells[place] if place < len(cells) else None
        read = readers[place]
        try:
            item[name] = read(cell) if read and cell is not None else cell
        except ValueError as error:
            raise BadInput("types", f"Row {number}: “{(cell or '')[:60]}” in the column “{name}” is not {error}.") from None
    return item
