"""The start page."""

import pytest
from nicegui import ui

pytestmark = pytest.mark.anyio

ORDERS = "treadle: 1\nname: Orders\nnodes:\n  hook: {use: trigger.webhook, with: {path: orders}}\n"


async def test_an_empty_studio_teaches(stage):
    """
    Whoever has no workflow yet is told what one is and how to begin.
    """
    await stage.user.open("/")
    await stage.user.should_see("Draw your first workflow")
    await stage.user.should_see(marker="new-first")


async def test_a_new_workflow_opens_in_the_editor(stage):
    """
    A name is all it takes; a name that would break YAML is kept as it is.
    """
    await stage.user.open("/")
    stage.user.find(marker="new").click()
    await stage.user.should_see(marker="ask")
    stage.user.find(marker="ask").type('Tea: "hot" # yes')
    stage.user.find(marker="confirm").click()
    rows = await stage.until(lambda: stage.user.back_history[-1].startswith("/workflows/") and stage.user.back_history)
    workflow = await stage.studio.workflows.get(rows[-1].rsplit("/", 1)[-1])
    assert 'Tea: "hot" # yes' == workflow.name


async def test_the_list_shows_what_there_is_and_finds_it(stage):
    """
    Every workflow has its last real run; the search leaves what has the text in its name.
    """
    people = await stage.a_workflow()
    await stage.a_workflow(ORDERS)
    run = await stage.studio.runs.start(people)
    await stage.studio.runs.wait(run.id, None)

    await stage.user.open("/")
    await stage.user.should_see("People")
    await stage.user.should_see("Orders")
    await stage.user.should_see("Succeeded")
    await stage.user.should_see("Never run")

    stage.user.find(marker="search").type("ord")
    await stage.user.should_not_see("People")
    await stage.user.should_see("Orders")
    stage.user.find(marker="search").type("!")
    await stage.user.should_see("No workflow has “ord!” in its name.")


async def test_the_switch_publishes_and_says_so(stage):
    """
    Switching on makes a version and starts its triggers, switching off ends them.
    """
    orders = await stage.a_workflow(ORDERS)
    await stage.user.open("/")
    stage.user.find(marker="active-Orders").click()
    await stage.user.should_see("is on: its triggers start runs now")
    assert (await stage.studio.workflows.get(orders)).active_version
    stage.user.find(marker="active-Orders").click()
    await stage.until(lambda: any("is off" in str(notice) for notice in stage.user.notify.messages))
    assert (await stage.studio.workflows.get(orders)).active_version is None


async def test_a_workflow_with_errors_stays_off_and_says_why(stage):
    """
    A refusal is a sentence, and the switch shows the truth again.
    """
    broken = await stage.a_workflow("treadle: 1\nname: Broken\nnodes:\n  a: {use: trigger.webhook}\n")
    await stage.user.open("/")
    stage.user.find(marker="active-Broken").click()
    await stage.until(lambda: any("Path" in str(notice) for notice in stage.user.notify.messages), "a sentence about the path")
    assert (await stage.studio.workflows.get(broken)).active_version is None
    (switch,) = [element for element in stage.marked("active-Broken") if isinstance(element, ui.switch)]
    assert switch.value is False


async def test_deleting_asks_first(stage):
    """
    Nothing goes before the second click.
    """
    await stage.a_workflow()
    await stage.user.open("/")
    stage.user.find(marker="menu-Delete").click()
    await stage.user.should_see("Delete this workflow?")
    assert 1 == len(await stage.studio.workflows.list_rows())
    stage.user.find(marker="confirm").click()
    await stage.user.should_see("Draw your first workflow")
    assert [] == await stage.studio.workflows.list_rows()


async def test_duplicate_and_rename(stage):
    """
    A copy gets a free name; a new name is in the document too.
    """
    people = await stage.a_workflow()
    await stage.user.open("/")
    stage.user.find(marker="menu-Duplicate").click()
    await stage.until(lambda: stage.marked("row-People 2"))

    stage.user.find(marker="menu-Rename").click()
    await stage.user.should_see(marker="ask")
    stage.user.find(marker="ask").clear().type("Persons")
    stage.user.find(marker="confirm").click()
    await stage.until(lambda: stage.marked("row-Persons"))
    assert "name: Persons" in (await stage.studio.workflows.get(people)).draft


async def test_a_pasted_document_becomes_a_workflow(stage):
    """
    Import takes the text of a document; one that cannot be read says what is wrong.
    """
    await stage.user.open("/")
    stage.user.find(marker="import").click()
    await stage.user.should_see(marker="import-text")
    (box,) = [element for element in stage.marked("import-text") if isinstance(element, ui.textarea)]
    box.value = "treadle: 1\nname: [oops"
    stage.user.find(marker="import-now").click()
    await stage.until(lambda: stage.user.notify.messages)
    assert [] == await stage.studio.workflows.list_rows()

    box.value = ORDERS
    stage.user.find(marker="import-now").click()
    await stage.user.should_see("Orders")


async def test_the_list_follows_what_happens_elsewhere(stage):
    """
    A workflow that another tab, the API or a program made appears by itself.
    """
    await stage.user.open("/")
    await stage.user.should_see("Draw your first workflow")
    await stage.a_workflow()
    await stage.until(lambda: stage.marked("row-People"), "the new row")
