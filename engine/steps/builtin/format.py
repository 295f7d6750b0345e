"""From items to a text or a file: `data.format`."""

from __future__ import annotations

import asyncio
import tempfile
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from engine.errors import BadInput
from engine.model.items import Batch, Output
from engine.steps.builtin.parts import group, key_of
from engine.steps.contract import BatchCall, Computed
from engine.steps.define import ADVANCED, Label, Options, ShowWhen, step
from engine.steps.formats import lazily
from engine.steps.formats.cells import cell_text
from engine.steps.formats.csv_text import CsvWriting, csv_bytes, encode, write_csv
from engine.steps.formats.json_text import write_json, write_json_lines

SMALL: Final = 2_000
"""Up to this many items are written on the spot; more go to a thread."""

KINDS: Final = {
    "csv": (".csv", "text/csv"),
    "json": (".json", "application/json"),
    "jsonl": (".jsonl", "application/x-ndjson"),
    "xml": (".xml", "application/xml"),
    "yaml": (".yaml", "application/yaml"),
    "excel": (".xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    "html": (".html", "text/html"),
}
LINE_ENDS: Final = {"crlf": "\r\n", "lf": "\n"}
_TABLES: Final = ["csv", "excel", "html"]


@step(
    "data.format",
    "Write data",
    icon="article",
    keywords=("csv", "json", "xml", "yaml", "excel", "xlsx", "html", "report", "export", "convert", "format"),
    sample=[{"data": "name,total\r\nACME,120.5\r\n"}],
)
async def format_(
    batch: BatchCall,
    format: Annotated[
        Literal["csv", "json", "jsonl", "xml", "yaml", "excel", "html"],
        Label("Format"),
        Options.of(csv="CSV", json="JSON", jsonl="JSON Lines", xml="XML", yaml="YAML", excel="Excel", html="HTML table"),
    ],
    as_: Annotated[
        Literal["auto", "text", "file"],
        Label("As", "A text in a field, or a file. Excel is always a file."),
        Options.of(auto="Text; a file for Excel", text="Text", file="File"),
    ] = "auto",
    name: Annotated[str, Label("File name", "The ending is added when it is missing.", "report")] = "data",
    columns: Annotated[
        Any,
        Label("Columns", "A list of paths, or an object path: heading. All fields when empty."),
        ShowWhen(format=_TABLES),
    ] = None,
    header: Annotated[bool, Label("Headings in the first row"), ShowWhen(format=["csv", "excel"])] = True,
    delimiter: Annotated[
        str, Label("Delimiter", "comma, semicolon, tab, pipe, or any one character."), ShowWhen(format="csv")
    ] = "comma",
    decimal: Annotated[
        Literal[".", ","], Label("Decimal sign"), Options(((".", "1234.5"), (",", "1234,5"))), ShowWhen(format="csv"), ADVANCED
    ] = ".",
    quote: Annotated[
        Literal["needed", "all"],
        Label("Quotes"),
        Options.of(needed="Where needed", all="Around every cell"),
        ShowWhen(format="csv"),
        ADVANCED,
    ] = "needed",
    line_end: Annotated[
        Literal["crlf", "lf"],
        Label("Line ends"),
        Options.of(crlf="Windows (CR LF)", lf="Unix (LF)"),
        ShowWhen(format="csv"),
        ADVANCED,
    ] = "crlf",
    escape: Annotated[
        bool,
        Label("Disarm formulas", "Puts an apostrophe before texts that a spreadsheet would run."),
        ShowWhen(format="csv"),
        ADVANCED,
    ] = False,
    encoding: Annotated[
        Literal["utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1"],
        Label("Encoding"),
        Options(
            (
                ("utf-8", "UTF-8"),
                ("utf-8-sig", "UTF-8 with mark (for Excel)"),
                ("utf-16", "UTF-16"),
                ("cp1252", "Windows-1252"),
                ("latin-1", "Latin-1"),
            )
        ),
        ShowWhen(format="csv"),
        ADVANCED,
    ] = "utf-8",
    indent: Annotated[bool, Label("Indented"), ShowWhen(format="json"), ADVANCED] = True,
    sheet: Annotated[str, Label("Sheet"), ShowWhen(format="excel")] = "Data",
    sheet_by: Annotated[
        Computed | None,
        Label("Sheet per", "One sheet for each value of this.", "item.country"),
        ShowWhen(format="excel"),
        ADVANCED,
    ] = None,
    dates: Annotated[
        bool, Label("Real dates", "Texts such as 2026-11-23 become dates of Excel."), ShowWhen(format="excel"), ADVANCED
    ] = True,
    root: Annotated[str, Label("Outer element"), ShowWhen(format="xml"), ADVANCED] = "items",
    row: Annotated[str, Label("Element of each item"), ShowWhen(format="xml"), ADVANCED] = "item",
    title: Annotated[str, Label("Title"), ShowWhen(format="html"), ADVANCED] = "",
) -> Output:
    """
    Makes one text or file of all items: `{data: text}` or `{file: file}`.

    Lists and objects stand in CSV and Excel cells as JSON; a path such as `customer.city` among the columns reaches inside.
    """
    if format == "excel" and as_ == "text":
        raise BadInput("as", "Excel cannot be a text.", hint="Choose “File”.")
    items = batch.items
    csv = CsvWriting(
        columns=columns, delimiter=delimiter, quote_all=quote == "all", header=header, encoding=encoding,
        line_end=LINE_ENDS[line_end], decimal=decimal, escape=escape,
    )  # fmt: skip
    writers: dict[str, Callable[[], bytes]] = {
        "csv": lambda: csv_bytes(items, csv),
        "json": lambda: write_json(items, indent=indent),
        "jsonl": lambda: write_json_lines(items),
        "xml": lambda: lazily("xml_text", "write_xml")(items, root=root, row=row),
        "yaml": lambda: lazily("yaml_text", "write_yaml")(items),
        "html": lambda: lazily("html_text", "write_html_table")(items, columns=columns, title=title),
    }
    origins = {"in": [array("i", range(len(items)))]}
    if as_ == "text" or (as_ == "auto" and format != "excel"):
        data = await _here_or_aside(writers[format], len(items))
        return Output([{"data": data.decode(encoding if format == "csv" else "utf-8")}], origins)

    ending, media_type = KINDS[format]
    full_name = name if name.lower().endswith(ending) else f"{name}{ending}"
    with tempfile.TemporaryDirectory(prefix="treadle-") as folder:
        path = Path(folder) / "out"
        if format == "excel":
            sheets = _sheets(items, sheet, sheet_by)
            how = {"columns": columns, "header": header, "dates": dates}
            await _here_or_aside(lambda: lazily("excel", "write_excel")(sheets, path, **how), len(items))
        elif format == "csv":
            await _here_or_aside(lambda: _stream_csv(items, csv, path), len(items))
        else:
            await _here_or_aside(lambda: path.write_bytes(writers[format]()), len(items))
        file = await batch.ctx.files.keep(path, name=full_name, media_type=media_type)
    return Output([{"file": file}], origins)


async def _here_or_aside(work: Callable[[], Any], size: int) -> Any:
    return work() if size <= SMALL else await asyncio.to_thread(work)


def _stream_csv(items: Batch, how: CsvWriting, path: Path) -> None:
    encode("", how.encoding)
    with path.open("w", encoding=how.encoding, newline="") as stream:
        try:
            write_csv(items, how, stream)
            stream.flush()
        except UnicodeEncodeError as error:
            encode(error.object[error.start : error.end], how.encoding)
            raise


def _sheets(items: Batch, sheet: str, sheet_by: Computed | None) -> dict[str, Batch]:
    if sheet_by is None:
        return {sheet: items}
    values = sheet_by.values(items)
    groups = group(key_of(value) for value in values)
    return {
        f"{cell_text(values[indexes[0]]) or sheet}": [items[index] for index in indexes] for indexes in groups.values()
    } or {sheet: []}
