"""Replays in the database: orders to repeat failures, and how far each is."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, cast

from sqlalchemy import Connection, func, insert, literal, select, update

from engine.errors import NotFound
from engine.ids import RunId
from engine.model.failures import ItemState, Replay, ReplayItem, ReplayState

from . import tables
from .firings import own_blobs
from .payloads import Payloads
from .rows import moment, moment_of, optional_moment_of

_R: Final = tables.replays.c
_I: Final = tables.replay_items.c
_F: Final = tables.failures.c


class SqlReplays:
    """Implements `engine.protocols.Replays`."""

    def __init__(self, connection: Connection, payloads: Payloads) -> None:
        self._connection, self._payloads = connection, payloads

    def add(self, replay: Replay, run_ids: Collection[RunId] | None) -> int:
        """
        Keep a replay of the open failures of its group, or of these runs; they count as `replaying` from now on.

        Returns how many failures it is about, oldest first; nothing is kept when there is none.
        """
        owned: set[str] = set()
        form, data = self._payloads.pack(replay.input, owned)
        meant = [_F.state == "open"]
        meant += [] if replay.group_id is None else [_F.group_id == replay.group_id]
        meant += [] if run_ids is None else [_F.run_id.in_(run_ids)]
        position = func.row_number().over(order_by=_F.run_id) - 1
        chosen = select(literal(replay.id), _F.run_id, position, literal("waiting")).where(*meant)
        names = ["replay_id", "run_id", "position", "state"]
        self._connection.execute(insert(tables.replay_items).from_select(names, chosen))
        count = self._connection.execute(
            select(func.count()).select_from(tables.replay_items).where(_I.replay_id == replay.id)
        ).scalar_one()
        if not count:
            return 0
        self._connection.execute(
            insert(tables.replays),
            {
                "id": replay.id,
                "group_id": replay.group_id,
                "start": replay.start,
                "version": replay.version,
                "payload_form": form,
                "payload": data,
                "at_once": replay.at_once,
                "state": replay.state,
                "created_at": moment(replay.created_at),
                "created_by": replay.created_by,
                "finished_at": None,
            },
        )
        own_blobs(self._connection, owned, replay.id)
        self._connection.execute(
            update(tables.failures)
            .where(*meant)
            .values(state="replaying", action=replay.id, replay_run_id=None, settled_by=replay.created_by)
        )
        return int(count)

    def get(self, replay_id: str) -> Replay:
        """Return it with its counts; raises `NotFound`."""
        row = self._connection.execute(select(tables.replays).where(_R.id == replay_id)).first()
        if row is None:
            raise NotFound("replay", replay_id)
        return self._replays([row])[0]

    def list_page(self, *, group_id: str | None = None, running: bool = False, limit: int = 50) -> list[Replay]:
        """Return replays, newest first: of a group, or only those that are not over."""
        statement = select(tables.replays).order_by(_R.id.desc()).limit(limit)
        if group_id is not None:
            statement = statement.where(_R.group_id == group_id)
        if running:
            statement = statement.where(_R.state == "running")
        return self._replays(self._connection.execute(statement).all())

    def items(self, replay_id: str, *, states: Collection[ItemState] = (), limit: int = 50) -> list[ReplayItem]:
        """Return some of what it is about, in the order it is worked off."""
        statement = select(tables.replay_items).where(_I.replay_id == replay_id).order_by(_I.position).limit(limit)
        if states:
            statement = statement.where(_I.state.in_(states))
        return [_item_of(row) for row in self._connection.execute(statement)]

    def find_item(self, replay_id: str, run_id: RunId) -> ReplayItem | None:
        """Return where one failure of a replay stands."""
        row = self._connection.execute(
            select(tables.replay_items).where(_I.replay_id == replay_id, _I.run_id == run_id)
        ).first()
        return None if row is None else _item_of(row)

    def set_item(
        self, replay_id: str, run_id: RunId, state: ItemState, *, new_run_id: RunId | None = None, note: str | None = None
    ) -> None:
        """Say where one failure of a replay stands."""
        values: dict[str, Any] = {"state": state, "note": note}
        if new_run_id is not None:
            values["new_run_id"] = new_run_id
        self._connection.execute(
            update(tables.replay_items).where(_I.replay_id == replay_id, _I.run_id == run_id).values(values)
        )

    def on_ended(self, new_run_id: RunId, state: ItemState) -> None:
        """Say how the run came out that repeats a failure."""
        self._connection.execute(
            update(tables.replay_items).where(_I.new_run_id == new_run_id, _I.state == "running").values(state=state)
        )

    def end(self, replay_id: str, state: ReplayState, *, at: datetime) -> bool:
        """Close a replay: what it had not come to counts as cancelled; False when it was over already."""
        closed = self._connection.execute(
            update(tables.replays).where(_R.id == replay_id, _R.state == "running").values(state=state, finished_at=moment(at))
        )
        if not closed.rowcount:
            return False
        self._connection.execute(
            update(tables.replay_items).where(_I.replay_id == replay_id, _I.state == "waiting").values(state="cancelled")
        )
        return True

    def _replays(self, rows: Sequence[Any]) -> list[Replay]:
        counts: dict[str, dict[ItemState, int]] = {row[0]: {} for row in rows}
        if rows:
            for replay_id, state, count in self._connection.execute(
                select(_I.replay_id, _I.state, func.count())
                .where(_I.replay_id.in_(list(counts)))
                .group_by(_I.replay_id, _I.state)
            ):
                counts[replay_id][state] = count
        return [self._replay_of(row, counts[row[0]]) for row in rows]

    def _replay_of(self, row: Sequence[Any], counts: Mapping[ItemState, int]) -> Replay:
        return Replay(
            id=row[0],
            group_id=row[1],
            start=row[2],
            version=row[3],
            input=self._payloads.unpack(row[4], row[5]),
            at_once=row[6],
            state=row[7],
            created_at=moment_of(row[8]),
            created_by=row[9],
            finished_at=optional_moment_of(row[10]),
            counts=counts,
        )


def _item_of(row: Sequence[Any]) -> ReplayItem:
    return ReplayItem(
        replay_id=row[0],
        run_id=RunId(row[1]),
        position=row[2],
        state=cast(ItemState, row[3]),
        new_run_id=None if row[4] is None else RunId(row[4]),
        note=row[5],
    )
