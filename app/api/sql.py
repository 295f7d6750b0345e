"""`/sql`: questions in SQL over documented views."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from app.api.door import Caller, answer, problems, read_json
from engine.access import require

router = APIRouter(prefix="/sql", tags=["sql"])


class AskSql(BaseModel):
    """One SELECT and its limits."""

    sql: str = Field("SELECT id, workflow, status FROM v_runs ORDER BY id DESC LIMIT 20", max_length=20_000)
    limit: int = Field(1000, ge=1, le=10_000)
    timeout_s: float = Field(5.0, gt=0, le=30)


class SqlAnswer(BaseModel):
    """Columns and rows; `is_cut` says that there were more."""

    columns: list[str]
    rows: list[list[Any]]
    is_cut: bool


@router.post(
    "",
    summary="Ask in SQL",
    responses={200: {"model": SqlAnswer}, **problems(504)},
    openapi_extra={"requestBody": {"content": {"application/json": {"schema": AskSql.model_json_schema()}}}},
)
async def ask(studio: Caller, request: Request) -> Response:
    """One SELECT over the views that docs/reference/sql.md describes: `{"sql", "limit", "timeout_s"}`. Changes nothing."""
    require(studio.actor, "sql", "ask in SQL")
    given = await read_json(request, AskSql)
    found = await studio.sql.ask(given.sql, limit=given.limit, timeout=timedelta(seconds=given.timeout_s))
    return answer({"columns": list(found.columns), "rows": [list(row) for row in found.rows], "is_cut": found.is_cut})
