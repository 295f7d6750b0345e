import pytest

from tests.run.workshop import a_document, a_node

pytestmark = pytest.mark.anyio


async def test_chain(shop):
    document = a_document(
        [a_node("start", "trigger.manual"), a_node("double", "test.double"), a_node("end")], "start -> double -> end"
    )
    finished = await shop.run(document, [{"n": 1}, {"n": 2}])
    assert finished["error"] is None
    assert {"end": {"out": [{"n": 2}, {"n": 4}]}} == finished["outputs"]
