"""The workflow as the text it is: to read, to copy, to change by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from engine.errors import InvalidDocument, TreadleError

from .. import words
from ..browser import copy_text
from ..components.dialogs import dialog
from ..components.parts import banner, box, button, text
from ..notices import show_done, show_error
from ..theme import is_dark

if TYPE_CHECKING:
    from .desk import Desk


def open_text(desk: Desk) -> None:
    """Open the document in an editor; applying it is one step of undo."""
    with dialog(words.AS_TEXT, wide=True) as (shown, foot):
        text(words.AS_TEXT_SENTENCE, "tr-muted", tag="p")
        editor = ui.codemirror(desk.draft.write(), language="YAML", theme="vscodeDark" if is_dark() else "basicLight")
        editor.classes("tr-document").mark("document")
        problems = box("tr-col tr-document__problems")

        def show(error: InvalidDocument) -> None:
            problems.clear()
            with problems:
                for problem in error.problems[:8]:
                    banner(words.at_line(problem.line, problem.text), problem.hint).mark("document-problem")

        async def apply() -> None:
            try:
                await desk.draft.replace_text(editor.value or "", desk.author)
            except InvalidDocument as error:
                show(error)
            except TreadleError as error:
                show_error(error)
            else:
                shown.close()

        def copy() -> None:
            copy_text(editor.value or "")
            show_done(words.COPIED)

        with foot:
            button(words.COPY, copy, icon="content_copy", kind="quiet")
            box("tr-grow")
            button(words.CANCEL, shown.close)
            button(words.APPLY, apply, kind="primary", mark="apply-text")


def open_problems(desk: Desk, show: object) -> None:
    """Open the list of everything that is wrong; clicking one leads to its step."""
    with dialog(words.PROBLEMS) as (shown, foot):
        with box("tr-problems"):
            for problem in desk.draft.problems:
                line = box("tr-problems__row", tag="button").props("type=button").mark("problem")

                def go(node: str | None = problem.node) -> None:
                    shown.close()
                    if node and callable(show):
                        show(node)

                line.on("click", go)
                with line:
                    kind = "bad" if problem.severity == "error" else "warn"
                    node = desk.draft.document.nodes.get(problem.node) if problem.node else None  # type: ignore[call-overload]
                    text(
                        node.label if node else words.NOTHING_SELECTED,
                        f"tr-problems__where tr-problems__where--{kind}",
                        tag="div",
                    )
                    text(problem.text.split("\n", 1)[0], tag="div")
                    if problem.hint:
                        text(problem.hint, "tr-muted tr-small", tag="div")
            if not desk.draft.problems:
                text(words.NO_PROBLEMS, "tr-muted")
        with foot:
            button(words.CLOSE, shown.close)
