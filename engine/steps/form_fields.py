"""The fields of forms that people fill in: read from a workflow, checked against what somebody sent."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from engine.errors import BadInput
from engine.model.items import File
from engine.model.words import did_you_mean

KINDS: Final = ("text", "long_text", "email", "number", "integer", "choice", "date", "yes_no", "file")
MOST_FIELDS: Final = 100
EXAMPLE: Final = "Such as {name: city, type: text}."
LONGEST: Final = {"text": 1_000, "email": 320, "long_text": 100_000}
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII)
_EMAIL: Final = re.compile(r"[^@\s]{1,64}@[^@\s]+\.[^@\s.]{2,}", re.ASCII)
_KNOWN: Final = frozenset(
    {"name", "type", "label", "help", "required", "choices", "default", "placeholder", "minimum", "maximum"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FormField:
    """One field; `choices` are pairs of value and label, `minimum` and `maximum` bound numbers and the length of texts."""

    name: str
    kind: str = "text"
    label: str = ""
    help: str = ""
    required: bool = False
    choices: tuple[tuple[str, str], ...] = ()
    default: str = ""
    placeholder: str = ""
    minimum: float | None = None
    maximum: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the field as a workflow says it."""
        told: dict[str, Any] = {"name": self.name, "type": self.kind, "label": self.label, "required": self.required}
        for name in ("help", "default", "placeholder", "minimum", "maximum"):
            if (value := getattr(self, name)) not in ("", None):
                told[name] = value
        return told | ({"choices": dict(self.choices)} if self.choices else {})


def parse_fields(value: Any, field: str = "fields") -> tuple[FormField, ...]:
    """Read the list of fields that stands in a workflow; raises `BadInput` that names what is wrong with which."""
    if value is None:
        return ()
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) > MOST_FIELDS:
        raise BadInput(
            field, f"The fields are a list of at most {MOST_FIELDS} objects.", hint="Such as {name: city, type: text}."
        )
    found: dict[str, FormField] = {}
    for number, one in enumerate(value, start=1):
        parsed = _parse(one, number, field)
        if parsed.name in found:
            raise BadInput(field, f"Two fields are called “{parsed.name}”.", hint="Give each its own name.")
        found[parsed.name] = parsed
    return tuple(found.values())


def _parse(one: Any, number: int, field: str) -> FormField:
    if not isinstance(one, Mapping):
        raise BadInput(field, f"Field {number} is no object.", hint=EXAMPLE)
    name, kind = one.get("name"), one.get("type", "text")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadInput(field, f"Field {number} needs a name of letters, digits and “_”, not {name!r:.80}.")
    if unknown := [key for key in one if key not in _KNOWN]:
        raise BadInput(
            field, f"“{name}” has an unknown setting “{unknown[0]}”.", hint=did_you_mean(str(unknown[0]), sorted(_KNOWN))
        )
    if kind not in KINDS:
        raise BadInput(field, f"“{name}” has an unknown type {kind!r:.40}.", hint=f"The types are: {', '.join(KINDS)}.")
    choices = _choices(one.get("choices"), name, field)
    if kind == "choice" and not choices:
        raise BadInput(field, f"“{name}” has nothing to choose from.", hint="Give choices: [red, green].")
    return FormField(
        name=name,
        kind=kind,
        label=str(one.get("label") or name.replace("_", " ").capitalize()),
        help=str(one.get("help") or ""),
        required=bool(one.get("required", False)),
        choices=choices,
        default="" if one.get("default") is None else str(one["default"]),
        placeholder=str(one.get("placeholder") or ""),
        minimum=_bound(one.get("minimum"), name, field),
        maximum=_bound(one.get("maximum"), name, field),
    )


def _choices(value: Any, name: str, field: str) -> tuple[tuple[str, str], ...]:
    if value is None:
        return ()
    if isinstance(value, Mapping):
        return tuple((str(key), str(label)) for key, label in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple((str(one), str(one)) for one in value)
    raise BadInput(field, f"The choices of “{name}” are a list, or an object of values and labels.")


def _bound(value: Any, name: str, field: str) -> float | None:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise BadInput(field, f"The bounds of “{name}” are numbers.")


def read_answers(fields: Sequence[FormField], given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """
    Return the answers by name, and what is wrong by name; fields that are not asked for are left out.

    Texts come as they were typed, empty ones of optional fields as null. Values may be typed already (an API's JSON).
    """
    answers: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for field in fields:
        try:
            answers[field.name] = _read(field, given.get(field.name))
        except ValueError as error:
            wrong[field.name] = str(error)
    return answers, wrong


def _read(field: FormField, value: Any) -> Any:
    if isinstance(value, list):
        value = value[-1] if value else None
    if field.kind == "yes_no":
        is_yes = value in (True, "yes", "on", "true", "1")
        if field.required and not is_yes:
            raise ValueError("This has to be ticked.")
        return is_yes
    if isinstance(value, File) and value.size == 0 and field.kind == "file":
        value = None  # a browser sends an empty part for a file that was not chosen
    if isinstance(value, str):
        value = value.replace("\r\n", "\n") if field.kind == "long_text" else value.strip()
        if "\0" in value:
            raise ValueError("This has a character that cannot be kept.")
    if value is None or value == "":
        if field.required:
            raise ValueError("Please fill this in.")
        return None
    if field.kind == "file":
        if not isinstance(value, File):
            raise ValueError("Please choose a file.")
        return value
    if isinstance(value, File | dict):
        raise ValueError("This has to be text.")
    return _typed(field, value)


def _typed(field: FormField, value: Any) -> Any:
    text = str(value)
    if field.kind in ("number", "integer"):
        return _number(field, text)
    if field.kind == "choice":
        if text not in dict(field.choices):
            raise ValueError("Please choose one of the list.")
        return text
    if field.kind == "date":
        try:
            return date.fromisoformat(text).isoformat()
        except ValueError:
            raise ValueError("This is no date; write it like 2026-11-23.") from None
    longest = min(LONGEST[field.kind], int(field.maximum) if field.maximum is not None else LONGEST[field.kind])
    if len(text) > longest:
        raise ValueError(f"At most {longest} characters.")
    if field.minimum is not None and len(text) < field.minimum:
        raise ValueError(f"At least {field.minimum:g} characters.")
    if field.kind == "email" and not _EMAIL.fullmatch(text):
        raise ValueError("This is no e-mail address.")
    return text


def _number(field: FormField, text: str) -> int | float:
    try:
        if len(text) > 40:
            raise ValueError
        number = int(text) if field.kind == "integer" else float(text.replace(",", "."))
    except ValueError:
        raise ValueError("This is no whole number." if field.kind == "integer" else "This is no number.") from None
    if isinstance(number, float) and not math.isfinite(number):
        raise ValueError("This is no number.")
    if abs(number) >= 2**63:
        raise ValueError("This number is too large.")
    if field.minimum is not None and number < field.minimum:
        raise ValueError(f"At least {field.minimum:g}.")
    if field.maximum is not None and number > field.maximum:
        raise ValueError(f"At most {field.maximum:g}.")
    return int(number) if isinstance(number, float) and number.is_integer() and abs(number) < 2**53 else number
