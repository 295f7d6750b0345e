"""The inbox: what waits for a decision is listed, and decided there."""

import pytest

from engine.model.run import RunStatus

pytestmark = pytest.mark.anyio

REFUND = """treadle: 1
name: Refunds
nodes:
  start: {use: trigger.manual, with: {sample: [{customer: Ada}]}}
  boss:
    use: flow.approval
    with: {title: "Refund for {{ item.customer }}", buttons: {approve: Pay it, reject: Do not pay}}
  pay: {use: data.set, with: {fields: {paid: "true"}}}
edges:
  - start -> boss
  - boss.approve -> pay
"""


async def test_an_approval_is_decided_in_the_inbox(stage):
    """
    It is listed with its title and its buttons; pressing one lets the run go on to its end, and the inbox is empty.
    """
    run = await stage.studio.runs.start(await stage.a_workflow(REFUND), is_test=True)
    await stage.user.open("/inbox")
    await stage.until(lambda: stage.marked("decide-approve"), "the approval is listed")
    shown = stage.texts("approval-boss")
    assert "Refund for Ada" in shown
    assert ["Pay it", "Do not pay"] == [one for one in shown if one in ("Pay it", "Do not pay")]
    stage.user.find(marker="decide-approve").click()
    await stage.until(lambda: not stage.marked("approval-boss"), "the inbox is empty")
    over = await stage.studio.runs.wait(run.id, None)
    assert RunStatus.SUCCEEDED == over.status
