"""
The only place where the studio hands scripts to the browser.

Whatever varies is put in as JSON, so no name, value or text of a workflow or a run can become code (a test keeps
`run_javascript`, `ui.html` and `ui.markdown` out of every other module).
"""

from __future__ import annotations

import json
from contextlib import suppress

from nicegui import ui
from nicegui.awaitable_response import AwaitableResponse

YEAR = 31_536_000
THEME_COOKIE = "treadle_theme"
PASTED = "treadle_pasted"
"""The event that carries a document pasted anywhere on a page but into a field."""
KEY = "treadle_key"
"""The event of a key that the whole page acts on."""


async def remember_theme(theme: str) -> None:
    """Keep the choice of colours in a cookie, so that the next page starts in the right ones; returns when it is kept."""
    with suppress(TimeoutError):  # the browser has left
        await _run(
            "v => { document.cookie = `treadle_theme=${encodeURIComponent(v)}; path=/; max-age=31536000; samesite=lax` }", theme
        )


def copy_text(text: str) -> None:
    """Put a text on the clipboard; works on plain http too, where the browser hides `navigator.clipboard`."""
    _run(
        """v => {
            const box = document.createElement('textarea');
            box.value = v; box.style.position = 'fixed'; box.style.opacity = '0';
            document.body.append(box); box.select(); document.execCommand('copy'); box.remove();
        }""",
        text,
    )


def listen_for_paste(longest: int) -> None:
    """Tell the page (event `PASTED`) when a text that looks like a document is pasted outside of any field."""
    script = f"""document.addEventListener('paste', e => {{
        if (e.target.closest && e.target.closest('input, textarea, [contenteditable=true], .q-dialog')) return;
        const t = e.clipboardData.getData('text/plain');
        if (t && t.length <= {int(longest)} && /^\\s*(treadle\\s*:|\\{{)/m.test(t)) emitEvent('{PASTED}', t);
    }})"""
    ui.add_head_html(f"<script>{script}</script>")


def listen_for_keys() -> None:
    """
    Tell the page (event `KEY`) of `help`, `search` and `test`: ?, /, and Ctrl+Enter.

    What is typed into a field is typed there, only Ctrl+Enter counts everywhere but in a dialog; the canvas has its own keys.
    """
    script = f"""document.addEventListener('keydown', e => {{
        const at = e.target.closest ? e.target : document.body;
        if (at.closest('.q-dialog')) return;
        const typing = at.closest('input, textarea, select, [contenteditable=true]');
        const drawing = at.closest('.treadle-canvas');
        const tell = what => {{ e.preventDefault(); emitEvent('{KEY}', what); }};
        if (e.key === 'Enter' && (e.ctrlKey || e.metaKey) && !drawing) return tell('test');
        if (typing || e.ctrlKey || e.metaKey || e.altKey) return;
        if (e.key === '?') return tell('help');
        if (e.key === '/' && !drawing) return tell('search');
    }})"""
    ui.add_head_html(f"<script>{script}</script>")


def put_cursor(selector: str) -> None:
    """Bring the keyboard into the first element of that selector."""
    _run("v => { const e = document.querySelector(v); if (e) { e.focus(); e.select && e.select() } }", selector)


def download(address: str) -> None:
    """Fetch a file of our own under the name the server gives it."""
    if not address.startswith("/"):
        raise ValueError("only addresses of this server are fetched")
    _run(
        """v => {
            const a = document.createElement('a');
            a.href = v; a.download = ''; document.body.append(a); a.click(); a.remove();
        }""",
        address,
    )


def _run(function: str, value: object) -> AwaitableResponse:
    # "</" would end a script element should the snippet ever be written into a page; JSON allows the escaped form.
    argument = json.dumps(value).replace("</", "<\\/")
    return ui.run_javascript(f"({function})({argument})")
