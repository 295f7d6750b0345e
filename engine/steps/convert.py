"""Field values in their type: what a rendered template or a written constant becomes before the action sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import orjson

from engine.errors import BadInput
from engine.expressions.values import kind_of, scalar_text, to_json_value
from engine.model.durations import parse_duration
from engine.model.words import did_you_mean, one_of
from engine.steps.spec import FieldSpec, FieldType

TRUE: Final = frozenset({"true", "yes", "on", "1"})
FALSE: Final = frozenset({"false", "no", "off", "0", ""})


def convert(spec: FieldSpec, value: Any, *, timezone: str = "UTC") -> Any:
    """
    Return the value in the type of the field; None stays None.

    Raises `BadInput` that names the field when the value cannot be of that type, is out of bounds, or is no choice.
    """
    if value is None:
        return None
    converter = _CONVERTERS.get(spec.type)
    return converter(spec, value, timezone) if converter else value


def _bad(spec: FieldSpec, wanted: str, value: Any, hint: str | None = None) -> BadInput:
    shown = f" “{value[:60]}”" if isinstance(value, str) else ""
    return BadInput(spec.name, f"“{spec.label or spec.name}” wants {wanted}, but got {kind_of(value)}{shown}.", hint=hint)


def _text(spec: FieldSpec, value: Any, timezone: str) -> str:
    text = scalar_text(value)
    if text is None:
        raise _bad(spec, "a text", value, "Write json(…) around a list or an object to make a text of it.")
    return text


def _number(spec: FieldSpec, value: Any, timezone: str) -> float:
    number: float
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise _bad(spec, "a number", value)
    if isinstance(value, str):
        try:
            number = int(value) if value.strip().lstrip("+-").isdecimal() and len(value) < 40 else float(value)
        except ValueError:
            raise _bad(spec, "a number", value) from None
    else:
        number = float(value) if isinstance(value, Decimal) else value
    if number != number or number in (float("inf"), float("-inf")):
        raise _bad(spec, "a number", value)
    return _within(spec, number)


def _integer(spec: FieldSpec, value: Any, timezone: str) -> int:
    try:
        number = _number(spec, value, timezone)
    except BadInput as error:
        raise BadInput(spec.name, error.message.replace("a number", "a whole number", 1), hint=error.hint) from None
    if number != int(number):
        raise _bad(spec, "a whole number", value)
    return int(number)


def _within(spec: FieldSpec, number: float) -> float:
    label = spec.label or spec.name
    if spec.minimum is not None and number < spec.minimum:
        raise BadInput(spec.name, f"“{label}” is {number:g}; it must be at least {spec.minimum:g}.")
    if spec.maximum is not None and number > spec.maximum:
        raise BadInput(spec.name, f"“{label}” is {number:g}; it may be at most {spec.maximum:g}.")
    return number


def _boolean(spec: FieldSpec, value: Any, timezone: str) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        word = value.strip().lower()
        if word in TRUE or word in FALSE:
            return word in TRUE
    if value in (0, 1):
        return bool(value)
    raise _bad(spec, "true or false", value)


def _choice(spec: FieldSpec, value: Any, timezone: str) -> str:
    known = [choice for choice, _ in spec.choices]
    text = scalar_text(value)
    if text in known:
        return text
    raise _bad(spec, f"{one_of(known)}", value, did_you_mean(text, known) if text else None)


def _duration(spec: FieldSpec, value: Any, timezone: str) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return timedelta(seconds=_within(spec, value))
    if isinstance(value, str):
        try:
            return parse_duration(value)
        except ValueError as error:
            raise _bad(spec, "a duration", value, f"{str(error)[0].upper()}{str(error)[1:]}.") from None
    raise _bad(spec, "a duration", value, "A duration is written like 30s, 5m, 1h30m or 2d.")


def _datetime(spec: FieldSpec, value: Any, timezone: str) -> datetime:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise _bad(spec, "a date or a moment", value, "Write it like 2026-11-23 or 2026-11-23T08:30:00+01:00.") from None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=ZoneInfo(timezone))
    if not isinstance(value, datetime):
        raise _bad(spec, "a date or a moment", value)
    return value if value.tzinfo else value.replace(tzinfo=ZoneInfo(timezone))


def _timezone(spec: FieldSpec, value: Any, timezone: str) -> str:
    name = _text(spec, value, timezone)
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _bad(spec, "a time zone", value, "Write it like Europe/Vienna or UTC.") from None
    return name


def _json(spec: FieldSpec, text: str, wanted: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadInput(spec.name, f"“{spec.label or spec.name}” wants {wanted}, but the text is not JSON: {error}.") from None


def _list(spec: FieldSpec, value: Any, timezone: str) -> list[Any]:
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = _json(spec, value, "a list")
    if isinstance(value, list | tuple):
        return to_json_value(list(value))  # type: ignore[no-any-return]
    return [to_json_value(value)]


def _object(spec: FieldSpec, value: Any, timezone: str) -> dict[str, Any]:
    if isinstance(value, str) and value.lstrip().startswith("{"):
        value = _json(spec, value, "an object")
    if not isinstance(value, Mapping):
        raise _bad(spec, "an object", value)
    return to_json_value(dict(value))  # type: ignore[no-any-return]


def _items(spec: FieldSpec, value: Any, timezone: str) -> list[dict[str, Any]]:
    if isinstance(value, str):
        value = _json(spec, value, "a list of objects")
    listed = [value] if isinstance(value, Mapping) else value
    if not isinstance(listed, list | tuple) or not all(isinstance(entry, Mapping) for entry in listed):
        raise _bad(spec, "a list of objects", value)
    return [dict(entry) for entry in listed]


def _any(spec: FieldSpec, value: Any, timezone: str) -> Any:
    return to_json_value(value)


_CONVERTERS: Final[Mapping[FieldType, Callable[[FieldSpec, Any, str], Any]]] = {
    "text": _text,
    "long_text": _text,
    "code": _text,
    "cron": _text,
    "timezone": _timezone,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "choice": _choice,
    "duration": _duration,
    "datetime": _datetime,
    "list": _list,
    "object": _object,
    "items": _items,
    "any": _any,
}
