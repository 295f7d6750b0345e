"""Versions: what was published, what changed in between, and the way back."""

import pytest

from engine.errors import BadRequest, NotFound
from engine.model.diff import Difference
from tests.service.workbench import DOUBLE

pytestmark = pytest.mark.anyio

TRIPLE = DOUBLE.replace("* 2", "* 3")


@pytest.fixture
async def published(studio):
    """Two versions of a workflow, and a draft like the second."""
    workflow = await studio.workflows.create(DOUBLE)
    first = await studio.workflows.activate(workflow.id, "doubles")
    await studio.workflows.replace(workflow.id, TRIPLE)
    second = await studio.workflows.activate(workflow.id, "triples")
    assert first.id != second.id
    return first, second


async def test_two_versions_differ_in_a_field(studio, published):
    """
    Any two are compared, a version with the draft too; the beginning of an id is enough.
    """
    first, second = published
    compared = await studio.versions.compare("Double", first.id[:8], second.id)
    ((node, (change,)),) = compared.diff.changed.items()
    assert ("* 2", "* 3") == (change.before[-3:], change.after[-3:])
    assert Difference(change.path, change.before, change.after) == change
    assert node in compared.before.nodes
    assert (await studio.versions.compare("Double", second.id)).diff.is_empty
    assert not (await studio.versions.compare("Double", first.id)).diff.is_empty


async def test_a_version_comes_back_as_the_draft(studio, published):
    """
    What is switched on stays, the workflow keeps the name it has now, and the way back can be undone.
    """
    first, second = published
    workflow = await studio.workflows.rename("Double", "Times")
    await studio.versions.restore("Times", first.id)
    draft = await studio.drafts.open(workflow.id)
    assert ("Times", first.document.nodes) == (draft.document.name, draft.document.nodes)
    assert second.id == (await studio.workflows.get("Times")).active_version
    assert await draft.undo(studio.actor.name)
    assert second.document.nodes == draft.document.nodes


async def test_a_version_gets_a_name(studio, published):
    """
    Its message is what people call it; its content stays what it was.
    """
    first, _ = published
    named = await studio.versions.describe("Double", first.id, "  before the summer ")
    assert "before the summer" == named.message
    assert named == await studio.versions.get("Double", first.id)
    with pytest.raises(BadRequest, match="longer than"):
        await studio.versions.describe("Double", first.id, "x" * 2_001)


@pytest.mark.parametrize("name", ["", "0123456789abcdef", "%", "_", "draft"])
async def test_a_version_that_is_not_there(studio, published, name):
    """
    Nothing is guessed: neither an empty beginning nor a pattern of the database finds a version.
    """
    with pytest.raises(NotFound):
        await studio.versions.get("Double", name)


async def test_versions_belong_to_their_workflow(studio, published):
    """
    The version of another workflow is not found.
    """
    first, _ = published
    other = await studio.workflows.create(DOUBLE.replace("Double", "Other"))
    with pytest.raises(NotFound):
        await studio.versions.restore(other.id, first.id)
    with pytest.raises(NotFound):
        await studio.versions.compare(other.id, first.id)
