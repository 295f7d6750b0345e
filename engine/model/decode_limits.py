"""The limits under `settings`, from plain values to `engine.model.limits` and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, get_args

from engine.model.limits import (
    MOST_RUNS,
    Budget,
    Concurrency,
    Rate,
    WhenFull,
    format_rate,
    format_size,
    parse_rate,
    parse_size,
)

if TYPE_CHECKING:
    from engine.model.decode import Decoder
    from engine.model.tree import Path

CONCURRENCY_KEYS: Final = ("limit", "key", "total", "when_full")
BUDGET_KEYS: Final = ("items", "bytes", "minutes", "calls")
RATE_KEYS: Final = ("host", "connection", "rate", "burst")
MOST: Final = 10**15
MOST_RATES: Final = 100


def decode_concurrency(decoder: Decoder, section: Mapping[str, Any], path: Path) -> int | Concurrency | None:
    """Return what stands under `concurrency`: a number, or the longer form; a plain limit is always the number."""
    value = section.get("concurrency")
    if not isinstance(value, dict):
        return decoder.integer(section, "concurrency", path, 1, MOST_RUNS)
    path = (*path, "concurrency")
    decoder.keys(value, path, CONCURRENCY_KEYS)
    limit = decoder.integer(value, "limit", path, 1, MOST_RUNS)
    key = decoder.text(value, "key", path)
    total = decoder.integer(value, "total", path, 1, MOST_RUNS)
    when_full = decoder.choice(value, "when_full", path, get_args(WhenFull), "queue")
    if limit is None:
        if value.get("limit") is None:
            decoder.problem("missing", "“concurrency” does not say how many runs.", path, hint="Write “limit: 2”.")
        return None
    if total is not None and key is None:
        hint = "Write “key: …” too, or only “limit”."
        decoder.problem("bad_value", "“total” bounds a workflow whose limit is for each key.", (*path, "total"), hint=hint)
        total = None
    found = Concurrency(limit=limit, key=key, total=total, when_full=when_full)
    return limit if found == Concurrency(limit=limit) else found


def decode_budget(decoder: Decoder, section: Mapping[str, Any], path: Path) -> Budget | None:
    """Return what stands under `budget`, None when that is nothing."""
    value = decoder.section(section, "budget", path)
    path = (*path, "budget")
    decoder.keys(value, path, BUDGET_KEYS)
    budget = Budget(
        items=decoder.integer(value, "items", path, 1, MOST),
        bytes=_size(decoder, value, "bytes", path, 1),
        minutes=decoder.number(value, "minutes", path, 0, 1_000_000) or None,
        calls=decoder.integer(value, "calls", path, 0, MOST),
    )
    return budget if budget != Budget() else None


def decode_rates(decoder: Decoder, section: Mapping[str, Any], path: Path) -> tuple[Rate, ...]:
    """Return what stands under `rates`."""
    listed = section.get("rates")
    path = (*path, "rates")
    if listed is None:
        return ()
    hint = "Write “- {host: api.example.com, rate: 10 per second}”."
    if not isinstance(listed, list) or len(listed) > MOST_RATES:
        decoder.problem("wrong_type", f"“rates” is a list of at most {MOST_RATES}.", path, hint=hint)
        return ()
    rates = []
    for index, value in enumerate(listed):
        at = (*path, index)
        if not isinstance(value, dict):
            decoder.problem("wrong_type", "A rate is a mapping.", at, hint=hint)
            continue
        decoder.keys(value, at, RATE_KEYS)
        host, connection = decoder.text(value, "host", at), decoder.text(value, "connection", at)
        text, burst = decoder.text(value, "rate", at), decoder.integer(value, "burst", at, 1, 1_000_000)
        if bool(host) == bool(connection):
            decoder.problem("bad_value", "A rate is for a “host” or for a “connection”, one of them.", at, hint=hint)
            continue
        try:
            count, per = parse_rate(text or "")
        except ValueError as error:
            decoder.problem("bad_value", f"“rate”: {error}.", (*at, "rate") if text else at)
            continue
        rates.append(Rate(count=count, per=per, host=host or None, connection=connection or None, burst=burst or 1))
    return tuple(rates)


def limits_data(concurrency: int | Concurrency | None, budget: Budget | None, rates: tuple[Rate, ...]) -> dict[str, Any]:
    """Return the three sections as a document says them; what holds its default is left out."""
    data: dict[str, Any] = {}
    if isinstance(concurrency, Concurrency):
        found = {
            "limit": concurrency.limit,
            "key": concurrency.key,
            "total": concurrency.total,
            "when_full": None if concurrency.when_full == "queue" else concurrency.when_full,
        }
        data["concurrency"] = {key: value for key, value in found.items() if value is not None}
    elif concurrency is not None:
        data["concurrency"] = concurrency
    if budget is not None:
        size = None if budget.bytes is None else format_size(budget.bytes)
        minutes = budget.minutes
        whole = int(minutes) if minutes is not None and minutes == int(minutes) else minutes
        told = {"items": budget.items, "bytes": size, "minutes": whole, "calls": budget.calls}
        data["budget"] = {key: value for key, value in told.items() if value is not None}
    if rates:
        data["rates"] = [_rate_data(rate) for rate in rates]
    return data


def _rate_data(rate: Rate) -> dict[str, Any]:
    data: dict[str, Any] = {"host": rate.host} if rate.host is not None else {"connection": rate.connection}
    data["rate"] = format_rate(rate.count, rate.per)
    if rate.burst != 1:
        data["burst"] = rate.burst
    return data


def _size(decoder: Decoder, data: Mapping[str, Any], key: str, path: Path, least: int) -> int | None:
    value = data.get(key)
    if value is None:
        return None
    if type(value) not in (int, str):
        decoder.problem("wrong_type", f"“{key}” is a size.", (*path, key), hint="Write it like 500 MB.")
        return None
    try:
        size = parse_size(value)
    except ValueError as error:
        decoder.problem("bad_value", f"“{key}”: {error}.", (*path, key))
        return None
    if not least <= size <= MOST:
        decoder.problem("bad_value", f"“{key}” is a size of at least {least} bytes.", (*path, key))
        return None
    return size
