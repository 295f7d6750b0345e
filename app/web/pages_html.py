"""The HTML of public pages: forms, approvals, confirmations. No script, no address but our own, everything escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from engine.steps.form_fields import FormField

STYLE: Final = "/w/style.css"
_INPUTS: Final = {"text": "text", "email": "email", "number": "text", "integer": "text", "date": "date", "file": "file"}


def page(title: str, *parts: str, head: str = "") -> bytes:
    """Return a whole page."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
        f'<meta name="color-scheme" content="light dark">{head}<title>{escape(title)}</title>'
        f'<link rel="stylesheet" href="{STYLE}"></head><body><main><h1>{escape(title)}</h1>{"".join(parts)}</main>'
        "<footer>Treadle</footer></body></html>"
    ).encode()


def paragraphs(text: str) -> str:
    """Return text as paragraphs; an empty line parts them."""
    blocks = [block.strip() for block in text.replace("\r\n", "\n").split("\n\n")]
    return "".join(f"<p>{escape(block).replace(chr(10), '<br>')}</p>" for block in blocks if block)


def told(title: str, text: str, *, refresh: int | None = None) -> bytes:
    """Return a page that only says something; with `refresh` it looks again after so many seconds."""
    head = f'<meta http-equiv="refresh" content="{refresh}">' if refresh is not None else ""
    return page(title, paragraphs(text), head=head)


def form_page(
    title: str,
    text: str,
    fields: Sequence[FormField],
    *,
    buttons: Mapping[str, str],
    button_name: str = "_button",
    hidden: Mapping[str, str] | None = None,
    given: Mapping[str, Any] | None = None,
    wrong: Mapping[str, str] | None = None,
    extra: str = "",
) -> bytes:
    """Return a page with a form; `given` and `wrong` show again what was sent and what is wrong with it."""
    given, wrong = given or {}, wrong or {}
    has_file = any(field.kind == "file" for field in fields)
    rows = [_row(field, given.get(field.name, field.default), wrong.get(field.name)) for field in fields]
    secret = "".join(f'<input type="hidden" name="{escape(n)}" value="{escape(v)}">' for n, v in (hidden or {}).items())
    pressed = "".join(
        f'<button type="submit" name="{escape(button_name)}" value="{escape(name)}"{"" if first else " class=second"}>'
        f"{escape(label)}</button>"
        for first, (name, label) in zip([True, *[False] * len(buttons)], buttons.items(), strict=False)
    )
    note = '<p class="wrong" role="alert">Something is missing or wrong; please look at the marked fields.</p>' if wrong else ""
    kind = ' enctype="multipart/form-data"' if has_file else ""
    return page(
        title,
        paragraphs(text),
        note,
        f'<form method="post"{kind} accept-charset="utf-8" novalidate>{secret}{"".join(rows)}{extra}'
        f'<div class="buttons">{pressed}</div></form>',
    )


def line(name: str, label: str, *, long: bool = False, value: str = "") -> str:
    """Return one more row with a text of the page's own."""
    return _row(FormField(name=name, label=label, kind="long_text" if long else "text"), value, None)


def _row(field: FormField, value: Any, wrong: str | None) -> str:
    name, shown = escape(field.name), "" if value is None or not isinstance(value, str | int | float) else str(value)
    mark = '<span class="must" aria-hidden="true"> *</span>' if field.required else ""
    told_id = f"{name}-told"
    described = f' aria-describedby="{told_id}"' if field.help or wrong else ""
    attributes = f'id="{name}" name="{name}"{described}{" required" if field.required else ""}'
    attributes += ' aria-invalid="true"' if wrong else ""
    attributes += f' placeholder="{escape(field.placeholder)}"' if field.placeholder else ""
    if field.kind == "yes_no":
        ticked = " checked" if value in (True, "yes", "on", "true", "1") else ""
        box = (
            f'<label class="tick"><input type="checkbox" value="yes" {attributes}{ticked}> {escape(field.label)}{mark}</label>'
        )
    else:
        box = f'<label for="{name}">{escape(field.label)}{mark}</label>'
        if field.kind == "long_text":
            box += f'<textarea rows="6" {attributes}>\n{escape(shown)}</textarea>'
        elif field.kind == "choice":
            chosen = "".join(
                f'<option value="{escape(key)}"{" selected" if key == shown else ""}>{escape(label)}</option>'
                for key, label in field.choices
            )
            box += f'<select {attributes}><option value="">–</option>{chosen}</select>'
        elif field.kind == "file":
            box += f'<input type="file" {attributes}>'
        else:
            mode = ' inputmode="decimal"' if field.kind in ("number", "integer") else ""
            box += f'<input type="{_INPUTS[field.kind]}"{mode} value="{escape(shown)}" {attributes}>'
    said = f'<span class="wrong">{escape(wrong)}</span> ' if wrong else ""
    help_line = f'<small id="{told_id}">{said}{escape(field.help)}</small>' if field.help or wrong else ""
    return f'<div class="row">{box}{help_line}</div>'
