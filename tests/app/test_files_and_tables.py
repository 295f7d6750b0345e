"""The page docs/how-to/files-and-tables.md does what it says, word for word."""

import json
import re
from pathlib import Path

import openpyxl
import pytest

from engine.steps.builtin.parse import FORMATS
from tests.app.shell import Shell

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "files-and-tables.md").read_text("utf-8")


def blocks(kind):
    """Return the code blocks of a kind, in their order."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def shell(tmp_path):
    return Shell(tmp_path / "data")


@pytest.fixture
def desk(shell):
    """The document and the two price lists, laid out as the page says."""
    (document,) = blocks("yaml")
    path = shell.write("prices.yaml", document)
    for name, text in zip(("north", "south"), blocks("csv"), strict=True):
        shell.write(f"in/{name}.csv", text)
    return path


def test_the_example_gives_what_the_page_shows(shell, desk):
    """
    Run with `--folder`, the two lists become the JSON that the page shows and a workbook with a sheet per supplier.
    """
    shell.run("run", desk, "--folder", desk.parent)
    (expected,) = (json.loads(text) for text in blocks("json"))
    assert expected == json.loads((desk.parent / "out" / "prices.json").read_text("utf-8"))
    book = openpyxl.load_workbook(desk.parent / "prices.xlsx")
    rows = {sheet.title: list(sheet.iter_rows(min_row=2, values_only=True)) for sheet in book}
    by_supplier = {}
    for item in expected:
        by_supplier.setdefault(item["supplier"], []).append(tuple(item.values()))
    assert by_supplier == rows
    assert "A2" == book["north"].freeze_panes


def test_the_example_is_in_canonical_form_and_has_no_problems(shell, desk):
    """
    What people copy is what the studio would write.
    """
    assert f"{desk}: ok\n" == shell.run("check", desk).stdout
    assert "" == shell.run("fmt", "--check", desk).stderr


def test_files_beside_the_document_come_along(shell, desk):
    """
    With the lists in `prices.files/in` neither `--folder` nor copying by hand is needed; what is there already stays.
    """
    (desk.parent / "prices.files").mkdir()
    (desk.parent / "in").rename(desk.parent / "prices.files" / "in")
    finished = shell.json("run", desk)
    folder = shell.data / "files" / "price-lists"
    assert {"save_sheet", "save_json"} == finished["outputs"].keys()
    assert (folder / "prices.xlsx").exists()
    (folder / "in" / "north.csv").write_text("article;price;stock\n009;1,00;1\n")
    shell.run("run", desk)
    assert ["009", "007"] == [item["article"] for item in json.loads((folder / "out" / "prices.json").read_text("utf-8"))]


def test_paths_do_not_leave_the_folder(shell, desk):
    """
    `..` is refused, with the node and the way out.
    """
    outside = desk.read_text().replace("path: out/prices.json", "path: ../prices.json")
    desk.write_text(outside)
    shell.write("elsewhere/in/north.csv", blocks("csv")[0])
    result = shell.run("run", desk, "--folder", desk.parent / "elsewhere", expect=1)
    assert "failed: save_json:" in result.stderr
    assert not (desk.parent / "prices.json").exists()


@pytest.mark.parametrize(
    "encoding",
    [
        pytest.param("utf-8", id="as it stands"),
        pytest.param("cp1252", id="an office of the West"),
        pytest.param("utf-16", id="with its mark"),
        pytest.param("utf-8-sig", id="from Excel"),
    ],
)
def test_encodings_are_found_out(shell, desk, encoding):
    """
    The same list in the encodings that the page names gives the same items.
    """
    text = "article;price;stock\nBüro-Öse;1,50;2\n"
    (desk.parent / "in" / "south.csv").unlink()
    (desk.parent / "in" / "north.csv").write_bytes(text.encode(encoding))
    shell.run("run", desk, "--folder", desk.parent)
    (item,) = json.loads((desk.parent / "out" / "prices.json").read_text("utf-8"))
    assert ("Büro-Öse", 1.5, 3.0) == (item["article"], item["price"], item["value"])


def test_every_format_of_the_table_is_one_of_the_step():
    """
    The page's table names exactly the formats that `data.parse` reads.
    """
    table = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    assert FORMATS.keys() == table
