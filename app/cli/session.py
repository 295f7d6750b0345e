"""What a command works with: the store itself when it is free, the running Treadle when there is one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import quote

import typer

from app.build import Treadle, build
from app.config import Settings, load_settings
from app.instance import find_instance
from engine.access import OWNER
from engine.errors import BadRequest, Conflict, NotFound
from engine.model.codec import read_document
from engine.model.run import Run, RunStatus
from engine.run.calendars import load_calendars
from engine.run.folders import Folders
from engine.service import Studio

if TYPE_CHECKING:
    from app.remote import Remote

DataOption = Annotated[
    Path | None, typer.Option("--data", envvar="TREADLE_DATA", help="The folder that holds everything.", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def settings_of(data: Path | None, **given: Any) -> Settings:
    """Return the settings for a command and make sure that the data folder is there."""
    settings = load_settings(data=data, **given)
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    return settings


class AtWork:
    """
    The few changes that commands make, done in the running Treadle when there is one, else here.

    Answers are plain dicts in the API's form either way. `studio` reads the store directly in both cases.
    """

    def __init__(self, treadle: Treadle, remote: Remote | None) -> None:
        self.treadle, self._remote = treadle, remote
        self.studio: Studio = treadle.studio(OWNER)

    @property
    def remote(self) -> Remote | None:
        """The running Treadle that does the work, where there is one."""
        return self._remote

    @property
    def is_remote(self) -> bool:
        """Whether a running Treadle does the work."""
        return self._remote is not None

    def folder(self, workflow_id: Any, name: str) -> Path:
        """Return the folder of a workflow."""
        return Folders(self.treadle.settings.folders).of(workflow_id, name)

    async def bring_in(self, text: str, *, replace: bool) -> dict[str, Any]:
        """Make or replace a workflow from a document text."""
        if self._remote:
            headers = {"Content-Type": "application/yaml"}
            if replace and (known := await self._find_same_name(text)):
                return dict(await self._remote.call("PUT", f"/workflows/{known}", content=text.encode(), headers=headers))
            return dict(await self._remote.call("POST", "/workflows", content=text.encode(), headers=headers))
        try:
            workflow = await self.studio.workflows.create(text)
        except Conflict as error:
            if not replace:
                raise
            workflow = await self.studio.workflows.replace(str(error.where["name"]), text)
        return {"id": workflow.id, "name": workflow.name}

    async def activate(self, ref: str, message: str) -> dict[str, Any]:
        """Switch a workflow on; returns `{"version", …}`."""
        if self._remote:
            workflow = await self.studio.workflows.get(ref)
            return dict(await self._remote.call("POST", f"/workflows/{workflow.id}/activate", json={"message": message}))
        version = await self.studio.workflows.activate(ref, message)
        return {"version": version.id, "message": version.message, "author": version.author}

    async def deactivate(self, ref: str) -> None:
        """Switch a workflow off."""
        if self._remote:
            workflow = await self.studio.workflows.get(ref)
            await self._remote.call("POST", f"/workflows/{workflow.id}/deactivate")
        else:
            await self.studio.workflows.deactivate(ref)

    async def cancel(self, run_id: str) -> dict[str, Any]:
        """End a run; one that a program left behind in the middle ends when the next one takes it up."""
        if self._remote:
            return dict(await self._remote.call("POST", f"/runs/{run_id}/cancel"))
        await self.studio.runs.cancel(run_id)
        return await self.studio.runs.finished(run_id)

    async def retry(self, run_id: str) -> dict[str, Any]:
        """Run again what failed, and return the finished run."""
        if self._remote:
            return await self._follow(self._remote, await self._remote.call("POST", f"/runs/{run_id}/retry"))
        return await self._finish(await self.studio.runs.retry(run_id))

    async def fork(self, run_id: str, wish: dict[str, Any]) -> dict[str, Any]:
        """Go on from a run as the API's `fork` says, and return the finished new run."""
        if self._remote:
            return await self._follow(self._remote, await self._remote.call("POST", f"/runs/{run_id}/fork", json=wish))
        document = wish["use"] if wish["document"] is None else read_document(wish["document"])
        run = await self.studio.runs.fork(
            run_id,
            at=wish["at"],
            input=wish["input"],
            document=document,
            effects=wish["effects"],
            otherwise=wish["otherwise"],
            is_dry=wish["dry"],
        )
        return await self._finish(run)

    async def decide(
        self, run_id: str, decision: Literal["retry", "skip"], *, node: str | None = None, items: list[int] | None = None
    ) -> dict[str, Any]:
        """Let a run go on that asks what to do, and return the finished run."""
        if self._remote:
            given = {"decision": decision, "node": node, "items": items}
            run = await self._remote.call("POST", f"/runs/{run_id}/decide", json=given)
            return await self._follow(self._remote, run)
        return await self._finish(await self.studio.runs.decide(run_id, decision, node=node, items=items))

    async def signal(self, name: str, key: str, items: list[dict[str, Any]] | None, keep_s: float | None) -> list[str]:
        """Send a signal; returns the runs it woke, which go on where an engine is at work."""
        if self._remote:
            given = {"name": name, "key": key, "data": items, "keep_s": keep_s}
            return list((await self._remote.call("POST", "/signals", json=given))["woken"])
        keep = timedelta(seconds=keep_s) if keep_s is not None else None
        return list(await self.studio.waits.signal(name, key=key, data=items, keep=keep))

    async def decide_approval(self, run_id: str, node: str, decision: str, note: str, answers: dict[str, Any]) -> None:
        """Decide an approval."""
        if self._remote:
            given = {"decision": decision, "note": note, "answers": answers}
            await self._remote.call("POST", f"/approvals/{run_id}/{quote(node, safe='')}", json=given)
        else:
            await self.studio.waits.decide(run_id, node, decision, note=note, answers=answers)

    async def backfill(self, ref: str, ask: dict[str, Any]) -> dict[str, Any]:
        """Count (`dry_run`) or fire the slots of a window; returns the backfill once it is over."""
        if self._remote:
            workflow = await self.studio.workflows.get(ref)
            path = f"/workflows/{workflow.id}/backfill"
            made = dict(
                await self._remote.call("POST", path, json={name: value for name, value in ask.items() if value is not None})
            )
            while made["state"] == "running":
                await asyncio.sleep(0.5)
                known = await self._remote.call("GET", "/backfills")
                made = next(one for one in known["backfills"] if one["id"] == made["id"])
            return made
        since, until = (datetime.fromisoformat(ask[name]) for name in ("from", "to"))
        schedules = self.studio.schedules
        if ask.get("dry_run"):
            plan = await schedules.plan_backfill(ref, since, until, ask["node"])
            return {
                "workflow": plan.workflow_name,
                "node": plan.node,
                "total": plan.total,
                "known": plan.known,
                "slots": [due.isoformat() for due in plan.slots],
            }
        begun = await schedules.backfill(ref, since, until, ask["node"], at_a_time=ask["at_a_time"])
        done = await schedules.wait_for_backfill(begun.id)
        return {**done.as_json(), "workflow": done.workflow_name}

    async def bring_calendar(self, name: str, text: str) -> dict[str, Any]:
        """Take the holidays of an iCalendar file into a calendar, or a whole calendar from JSON."""
        is_json = text.lstrip().startswith("{")
        try:
            value = json.loads(text) if is_json else {}
        except ValueError as error:
            raise BadRequest(f"The file is no JSON: {error}.") from error
        value.pop("name", None)
        if self._remote:
            if is_json:
                kept = await self._remote.call("PUT", "/calendars", json={**value, "name": name})
                return {"calendar": kept, "left_out": []}
            params = {"name": name}
            return dict(await self._remote.call("POST", "/calendars/import", params=params, content=text.encode()))
        await self.load_calendars()
        if is_json:
            return {"calendar": (await self.studio.schedules.save_calendar(name, value)).as_json(), "left_out": []}
        brought = await self.studio.schedules.import_calendar(name, text)
        return {"calendar": brought.calendar.as_json(), "left_out": list(brought.left_out)}

    async def remove_calendar(self, name: str) -> None:
        """Remove a calendar."""
        if self._remote:
            await self._remote.call("DELETE", f"/calendars/{quote(name, safe='')}")
        else:
            await self.load_calendars()
            await self.studio.schedules.delete_calendar(name)

    async def load_calendars(self) -> None:
        """Read the calendars of the store, where no engine has done it."""
        await load_calendars(self.treadle.store, self.treadle.worker.env.calendars)

    async def _finish(self, run: Run) -> dict[str, Any]:
        await self.studio.runs.wait(run.id, None)
        return await self.studio.runs.finished(run.id)

    @staticmethod
    async def _follow(remote: Remote, run: dict[str, Any]) -> dict[str, Any]:
        pause = 0.05
        while RunStatus(run["status"]) in {RunStatus.QUEUED, RunStatus.RUNNING}:
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 2.0)
            run = await remote.call("GET", f"/runs/{run['id']}")
        return dict(await remote.call("GET", f"/runs/{run['id']}"))

    async def _find_same_name(self, text: str) -> str | None:
        try:
            return (await self.studio.workflows.get(read_document(text).name)).id
        except NotFound:
            return None


@asynccontextmanager
async def at_work(data: Path | None, *, reading: bool = False, engine: bool = False) -> AsyncIterator[AtWork]:
    """
    Open what a command works with.

    With `reading` the store is only read or gets a single row, which is fine beside a running Treadle. With `engine` runs that
    the command starts are worked off here when no Treadle is running.
    """
    settings = settings_of(data)
    instance = None if reading else find_instance(settings.data)
    treadle = build(settings, is_guest=reading or instance is not None)
    await treadle.start(engine=engine and instance is None, triggers=False, resume=False)
    try:
        if instance is None:
            yield AtWork(treadle, None)
        else:
            from app.remote import connect  # with the HTTP library, which other commands do without

            async with connect(instance, treadle.studio(OWNER).tokens) as remote:
                yield AtWork(treadle, remote)
    finally:
        await treadle.stop()
