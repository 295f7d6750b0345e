"""From text and files to items: `data.parse`."""

from __future__ import annotations

import asyncio
import logging
from array import array
from collections.abc import Callable, Iterator
from itertools import repeat
from pathlib import PurePath
from typing import Annotated, Any, Final, Literal

from engine.errors import BadInput, TreadleError
from engine.expressions.values import kind_of
from engine.model.items import Batch, File, Item, Output
from engine.steps.builtin.parts import Failures, finish, values_of
from engine.steps.contract import BatchCall, Computed, Files
from engine.steps.define import ADVANCED, Between, Label, Options, ShowWhen, Written, step
from engine.steps.formats import lazily
from engine.steps.formats.csv_text import CsvReading, read_csv
from engine.steps.formats.json_text import items_in, read_json, read_json_lines
from engine.steps.formats.source import ENCODINGS, Source

log = logging.getLogger(__name__)

INLINE: Final = 65_536
"""Up to this many bytes are read on the spot; more go to a thread, so that everything else keeps moving."""

FORMATS: Final = {
    "csv": (".csv", ".tsv", ".txt", "text/csv", "text/tab-separated-values"),
    "json": (".json", ".geojson", "application/json"),
    "jsonl": (".jsonl", ".ndjson", "application/x-ndjson", "application/jsonl"),
    "xml": (".xml", ".rss", ".atom", "application/xml", "text/xml"),
    "yaml": (".yaml", ".yml", "application/yaml", "text/yaml"),
    "excel": (".xlsx", ".xlsm", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    "html": (".html", ".htm", "text/html"),
}

ANYTHING: Final = "item.file ?? item.data ?? item.body ?? item.text"


@step(
    "data.parse",
    "Read data",
    icon="description",
    keywords=("csv", "json", "xml", "yaml", "excel", "xlsx", "html", "table", "extract", "import", "parse"),
    sample=[{"customer": "ACME", "total": "120.50"}],
)
async def parse(
    batch: BatchCall,
    from_: Annotated[
        Computed,
        Label("From", "The text or file to read: the field file, data, body or text when empty.", "item.file"),
        Written(ANYTHING),
    ],
    format: Annotated[
        Literal["auto", "csv", "json", "jsonl", "xml", "yaml", "excel", "html"],
        Label("Format", "Auto goes by the name and type of a file, then by how the text begins."),
        Options.of(
            auto="Find out",
            csv="CSV",
            json="JSON",
            jsonl="JSON Lines",
            xml="XML",
            yaml="YAML",
            excel="Excel",
            html="HTML table",
        ),
    ] = "auto",
    delimiter: Annotated[
        str, Label("Delimiter", "auto, comma, semicolon, tab, pipe, or any one character."), ShowWhen(format=["auto", "csv"])
    ] = "auto",
    header: Annotated[bool, Label("First row has the names"), ShowWhen(format=["auto", "csv", "excel", "html"])] = True,
    columns: Annotated[
        list[str] | None,
        Label("Column names", "In the place of those in the first row."),
        ShowWhen(format=["csv", "excel"]),
        ADVANCED,
    ] = None,
    types: Annotated[
        Any,
        Label(
            "Types of cells",
            "text (as it stands), guess (finds numbers, true and false), or an object: {total: number, paid: boolean}.",
        ),
        ShowWhen(format=["auto", "csv", "html"]),
    ] = "text",
    decimal: Annotated[
        Literal[".", ","],
        Label("Decimal sign"),
        Options(((".", "1,234.50"), (",", "1.234,50"))),
        ShowWhen(format=["auto", "csv", "html"]),
    ] = ".",
    path: Annotated[
        str, Label("Path", "Where the items are: data.orders.", "data.orders"), ShowWhen(format=["json", "xml", "yaml"])
    ] = "",
    sheet: Annotated[Any, Label("Sheet", "Its name or number; the first when empty."), ShowWhen(format="excel")] = None,
    table: Annotated[Any, Label("Table", "Its number on the page, or a text in it."), ShowWhen(format="html")] = 1,
    skip: Annotated[
        int,
        Label("Skip rows", "Lines to pass over before the names."),
        Between(0, 1_000_000),
        ShowWhen(format=["csv", "excel"]),
        ADVANCED,
    ] = 0,
    quote: Annotated[str, Label("Quote"), ShowWhen(format="csv"), ADVANCED] = '"',
    ragged: Annotated[
        Literal["error", "fill"],
        Label("Rows of another width"),
        Options.of(error="Are an error", fill="Are filled up or get extra columns"),
        ShowWhen(format="csv"),
        ADVANCED,
    ] = "error",
    encoding: Annotated[str, Label("Encoding", f"auto, or one of {', '.join(ENCODINGS[1:])} …"), ADVANCED] = "auto",
    keep: Annotated[
        Literal["none", "all"],
        Label("Other fields"),
        Options.of(none="Only what was read", all="Keep the fields of the item it was read from"),
        ADVANCED,
    ] = "none",
) -> Output:
    """
    Makes items of a text or a file: one per CSV row, Excel row, table row, JSON list entry, JSON line, XML element.

    Large CSV and JSON Lines files are read as a stream. CSV cells stay text unless `types` says otherwise: an article number
    such as 007 is not a number.
    """
    csv = CsvReading(
        delimiter=delimiter, quote=quote, header=header, columns=columns or (), encoding=encoding, skip=skip,
        types=types, decimal=decimal, ragged=ragged,
    )  # fmt: skip
    readers: dict[str, Callable[[Source], Iterator[Item]]] = {
        "csv": lambda source: read_csv(source, csv),
        "json": lambda source: read_json(source, path=path, encoding=encoding),
        "jsonl": lambda source: read_json_lines(source, encoding=encoding),
        "xml": lambda source: lazily("xml_text", "read_xml")(source, path=path, encoding=encoding),
        "yaml": lambda source: lazily("yaml_text", "read_yaml")(source, path=path, encoding=encoding),
        "excel": lambda source: lazily("excel", "read_excel")(
            source, sheet=sheet, header=header, skip=skip, columns=columns or ()
        ),
        "html": lambda source: lazily("html_text", "read_html_tables")(
            source, table=table, header=header, types=types, decimal=decimal, encoding=encoding
        ),
    }
    failed: Failures = {}
    values = values_of(from_, batch.items, failed)
    made: Batch = []
    origins = array("i")
    for index, value in enumerate(values):
        if index in failed:
            continue
        start = len(made)

        def read(value: Any = value) -> None:
            if isinstance(value, list | dict):
                made.extend(items_in(value, path))
                return
            source = source_of(value, batch.ctx.files if batch.ctx else None, from_.source)
            made.extend(readers[format if format != "auto" else guess_format(source)](source))

        try:
            if _is_small(value):
                read()
            else:
                await asyncio.to_thread(read)
        except TreadleError as error:
            del made[start:]
            failed[index] = error
            continue
        if keep == "all":
            base = batch.items[index]
            made[start:] = [{**base, **item} for item in made[start:]]
        origins.extend(repeat(index, len(made) - start))
    return finish(Output(made, {"in": origins}), failed)  # type: ignore[no-any-return]


def source_of(value: Any, files: Files | None, expression: str) -> Source:
    """Return what can be read from a field's value; raises `BadInput` for what is neither text nor file."""
    if isinstance(value, str):
        return Source.of_text(value)
    if isinstance(value, File) and files is not None:
        return Source(lambda: files.open(value), value.name, value.media_type, value.size)
    hint = "Point “From” at the field with the text or file." if value is None else None
    raise BadInput("from", f"“{expression}” gives {kind_of(value)}, not a text or a file.", hint=hint)


def guess_format(source: Source) -> str:
    """Return the format by name and media type, else by the first characters; CSV when nothing speaks against it."""
    suffix = PurePath(source.name).suffix.lower()
    media_type = source.media_type.partition(";")[0].strip().lower()
    for wanted in (suffix, media_type):
        for name, known in FORMATS.items():
            if wanted and wanted in known and wanted != ".txt":
                return name
    raw = source.head(4096)
    if raw.startswith(b"PK\x03\x04"):
        return "excel"
    text = raw.decode(source.encoding(), "ignore").lstrip("\ufeff \t\r\n")
    if text.startswith(("{", "[")):
        first, _, rest = text.partition("\n")
        return "jsonl" if first.rstrip().endswith("}") and rest.lstrip().startswith("{") else "json"
    if text.startswith("<"):
        lower = text[:4096].lower()
        return "html" if "<html" in lower or "<table" in lower or lower.startswith("<!doctype html") else "xml"
    return "yaml" if text.startswith(("---\n", "---\r\n", "%YAML")) else "csv"


def _is_small(value: Any) -> bool:
    return (isinstance(value, str) and len(value) <= INLINE) or (isinstance(value, File) and value.size <= INLINE)
