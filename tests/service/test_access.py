"""Who may do what: every public method of the facade against every scope."""

import inspect
from datetime import UTC, datetime

import pytest

from engine.access import ALL_SCOPES, ENGINE, OWNER, may, require
from engine.errors import NotAllowed, TreadleError
from engine.ids import NodeId, WorkflowId
from engine.model.codec import read_document
from engine.protocols import RunFilter
from tests.service.workbench import DOUBLE, an_actor, called, run_to_end

pytestmark = pytest.mark.anyio

SERVICES = (
    "workflows",
    "drafts",
    "versions",
    "runs",
    "failures",
    "parts",
    "preview",
    "schedules",
    "disk",
    "tokens",
    "code",
    "waits",
    "sql",
)

WORKFLOW, RUN = "Double", "run_none"
WEEK = (datetime(2026, 11, 16, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC))
CALLS = {
    "workflows.list_rows": ("read", ()),
    "workflows.get": ("read", (WORKFLOW,)),
    "workflows.get_document": ("read", (WORKFLOW,)),
    "workflows.get_current": ("read", (WORKFLOW,)),
    "workflows.check": ("read", (DOUBLE,)),
    "versions.list_page": ("read", (WORKFLOW,)),
    "versions.get": ("read", (WORKFLOW, "0")),
    "versions.compare": ("read", (WORKFLOW, "0")),
    "versions.restore": ("write", (WORKFLOW, "0")),
    "versions.describe": ("write", (WORKFLOW, "0", "one")),
    "workflows.create": ("write", (called("New"),)),
    "workflows.replace": ("write", (WORKFLOW, DOUBLE)),
    "workflows.rename": ("write", (WORKFLOW, "Twice")),
    "workflows.delete": ("write", (WORKFLOW,)),
    "workflows.activate": ("write", (WORKFLOW,)),
    "workflows.deactivate": ("write", (WORKFLOW,)),
    "drafts.open": ("write", (WorkflowId("wf_none"),)),
    "runs.start": ("run", (WORKFLOW,)),
    "runs.start_document": ("run", (read_document(DOUBLE),)),
    "runs.cancel": ("run", (RUN,)),
    "runs.retry": ("run", (RUN,)),
    "runs.fork": ("run", (RUN,)),
    "runs.receipts": ("read", (RUN, "start")),
    "runs.decide": ("run", (RUN, "retry")),
    "parts.standings": ("read", (WorkflowId("wf_none"),)),
    "parts.start": ("run", (WorkflowId("wf_none"),)),
    "parts.pins": ("read", (WorkflowId("wf_none"),)),
    "parts.pin": ("write", (WorkflowId("wf_none"), "start", None)),
    "runs.wait": ("read", (RUN, None)),
    "runs.get": ("read", (RUN,)),
    "runs.list_page": ("read", (RunFilter(),)),
    "runs.count_by_status": ("read", ()),
    "runs.document": ("read", (RUN,)),
    "runs.steps": ("read", (RUN,)),
    "runs.children": ("read", (RUN,)),
    "runs.lineage": ("read", (RUN, "start")),
    "runs.output": ("read", (RUN, "start")),
    "runs.input_page": ("read", (RUN, "start")),
    "runs.finished": ("read", (RUN,)),
    "failures.groups": ("read", ()),
    "failures.list_page": ("read", ()),
    "failures.count": ("read", ()),
    "failures.get": ("read", (RUN,)),
    "failures.replays": ("read", ()),
    "failures.get_replay": ("read", ("replay_none",)),
    "failures.replay_items": ("read", ("replay_none",)),
    "failures.replay": ("run", ()),
    "failures.cancel_replay": ("run", ("replay_none",)),
    "failures.discard": ("run", (), {"reason": "known"}),
    "failures.undo": ("run", ()),
    "preview.expression": ("read", (WorkflowId("wf_none"), NodeId("start"), "1")),
    "preview.suggest": ("read", (WorkflowId("wf_none"), NodeId("start"), "1", 1)),
    "preview.sample": ("read", (WorkflowId("wf_none"), NodeId("start"))),
    "schedules.calendars": ("read", ()),
    "schedules.calendar": ("read", ("weekdays",)),
    "schedules.save_calendar": ("write", ("office", {})),
    "schedules.delete_calendar": ("write", ("office",)),
    "schedules.import_calendar": ("write", ("office", "")),
    "schedules.preview": ("read", ({"cron": "@daily"},)),
    "schedules.view": ("read", WEEK),
    "schedules.workflow_id": ("run", (WORKFLOW,)),
    "schedules.plan_backfill": ("run", (WORKFLOW, *WEEK)),
    "schedules.backfill": ("run", (WORKFLOW, *WEEK)),
    "schedules.backfills": ("read", ()),
    "schedules.wait_for_backfill": ("read", ("fill_none",)),
    "schedules.cancel_backfill": ("run", ("fill_none",)),
    "disk.usage": ("read", ()),
    "runs.data_removed": ("read", ((RUN,),)),
    "code.report": ("read", ()),
    "waits.list_rows": ("read", ()),
    "waits.count": ("read", ()),
    "waits.decide": ("run", (RUN, "ask", "approve")),
    "waits.signal": ("run", ("paid",)),
    "sql.ask": ("sql", ("SELECT 1",)),
    "tokens.create": ("admin", ("a",)),
    "tokens.list_all": ("admin", ()),
    "tokens.revoke": ("admin", ("tok_none",)),
}
"""Each public method with the one scope it asks for, and what to call it with."""

ASKS_NOBODY = {"tokens.find_actor"}
"""It finds out who is asking."""


async def test_every_public_method_has_its_scope(studio):
    """
    A new method of the facade has to say which scope it asks for.
    """
    public = {
        f"{service}.{name}"
        for service in SERVICES
        for name, _ in inspect.getmembers(type(getattr(studio, service)), inspect.isfunction)
        if not name.startswith("_")
    }
    assert public == CALLS.keys() | ASKS_NOBODY
    kept = {
        name for name, part in vars(studio).items() if type(part).__module__.startswith("engine.service.") and name[0] != "_"
    }
    assert set(SERVICES) == kept


@pytest.mark.parametrize("scope", ALL_SCOPES)
@pytest.mark.parametrize("name", CALLS)
async def test_exactly_one_scope_opens_each_door(treadle, studio, name, scope):
    """
    With its scope a method gets to work, with any other it refuses and says which one it wants.
    """
    await studio.workflows.create(DOUBLE)
    needed, arguments, *named = CALLS[name]
    service, method = name.split(".")
    call = getattr(getattr(treadle.studio(an_actor(scope, name="a token")), service), method)
    refused = None
    try:
        answer = call(*arguments, **(named[0] if named else {}))
        if inspect.isawaitable(answer):
            answer = await answer
    except NotAllowed as error:
        refused = error
    except TreadleError:
        pass  # let in, and then there was no such run
    if scope == needed:
        assert refused is None
    else:
        assert {"scope": needed} == refused.where
        assert "“a token” may not" in refused.message
        assert f"--scope {needed}" in refused.hint


async def test_a_refused_call_changes_nothing(treadle, studio):
    """
    Somebody who may read and run can neither change, delete nor publish.
    """
    workflow = await studio.workflows.create(DOUBLE)
    guest = studio.acting_as(an_actor("read", "run"))
    for attempt in (
        guest.workflows.replace("Double", called("Hijacked")),
        guest.workflows.delete("Double"),
        guest.workflows.activate("Double"),
        guest.drafts.open(workflow.id),
        guest.tokens.create("more", ("admin",)),
    ):
        with pytest.raises(NotAllowed):
            await attempt
    assert [workflow] == [row.workflow for row in await studio.workflows.list_rows()]
    assert "succeeded" == (await run_to_end(guest, "Double")).status.value


def test_may_and_require():
    """
    `may` answers, `require` refuses with the reason and the way out; the owner and the engine may do everything.
    """
    guest = an_actor("read")
    assert (True, False) == (may(guest, "read"), may(guest, "write"))
    require(guest, "read", "look")
    with pytest.raises(NotAllowed, match="“somebody” may not change things"):
        require(guest, "write", "change things")
    assert all(may(actor, scope) for actor in (OWNER, ENGINE) for scope in ALL_SCOPES)
