"""The pages about steps say what the code does."""

import importlib.util
import re
from dataclasses import replace
from pathlib import Path

import pytest

from connectors.sdk import Connector
from engine.steps.computed import bind_fields

from .conftest import Reply

ROOT = Path(__file__).parents[2]


def the_generator():
    spec = importlib.util.spec_from_file_location("steps_reference", ROOT / "packaging" / "steps_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_steps_is_fresh():
    """
    `docs/reference/steps.md` is what the steps say of themselves; if not, run `python packaging/steps_reference.py`.
    """
    generator = the_generator()
    page = generator.render_page([*generator.builtin_steps(), *generator.load_connectors()])
    assert page == generator.PAGE.read_text("utf-8")


def test_links_of_the_page_lead_to_headings():
    """
    Every step in the overview can be clicked.
    """
    page = the_generator().PAGE.read_text("utf-8")
    headings = {
        re.sub(r"[^\w\- ]", "", line[3:].lower()).replace(" ", "-") for line in page.splitlines() if line.startswith("## ")
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", page)) == headings


def the_connector_of_the_page(base_url):
    page = (ROOT / "docs" / "how-to" / "write-a-connector.md").read_text("utf-8")
    names = {}
    exec(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1].replace("https://chat.example/api", base_url), names)
    return next(value for value in names.values() if isinstance(value, Connector))


@pytest.mark.anyio
async def test_the_connector_of_the_how_to_works(server, ctx):
    """
    The code on the page is run as it stands there, against a server.
    """
    server.routes["/messages"] = Reply({"id": "17"})
    server.routes["/rooms"] = Reply({"rooms": [{"id": "1", "name": "General"}]})
    server.routes["/me"] = Reply({"name": "Ada"})
    chat = the_connector_of_the_page(server.url())
    (post,) = chat.steps
    signed = replace(ctx, connection={"kind": "api_key", "key": "k"})
    fields = bind_fields(
        post,
        {"room": "general", "text": "{{ item.customer }} owes {{ item.total }}"},
        {"item": {"customer": "ACME", "total": 5}},
    )
    assert {"id": "17"} == await post.call(signed, **fields)
    assert {"room": "general", "text": "ACME owes 5", "silent": False} == server.asked[0].json
    assert [("1", "General")] == [choice async for choice in post.field("room").choices_from(chat.context(ctx))]
    assert "Signed in as Ada" == await chat.tester(signed)


@pytest.mark.parametrize("style", ["link_header", "next_url", "cursor", "page", "offset"])
def test_every_paging_style_is_described(style):
    """
    With all of its settings.
    """
    from dataclasses import fields

    from connectors.http.paging import STYLES

    page = (ROOT / "connectors" / "http" / "README.md").read_text("utf-8")
    row = next(line for line in page.splitlines() if line.startswith(f"| `{style}`"))
    missing = [
        one.name for one in fields(STYLES[style]) if one.name not in ("max_pages", "at_limit") and f"`{one.name}`" not in row
    ]
    assert [] == missing
