"""Bringing a document in: dropped on the page, chosen as a file, or pasted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nicegui import events, ui

from .. import words
from ..browser import PASTED, listen_for_paste
from ..components.dialogs import dialog
from ..components.parts import box, button, icon, text
from ..notices import guarded, show_error

LARGEST = 900_000  # characters: NiceGUI drops browser messages above 1 MB; larger files go through the dialog, over HTTP
LARGEST_FILE = 10_000_000

Create = Callable[[str], Awaitable[bool]]

# Constant scripts: they read the dropped file in the browser and hand its text to Python.
ON_DROP = f"""(e) => {{
    document.body.classList.remove('tr-dropping');
    const file = e.dataTransfer && e.dataTransfer.files[0];
    if (!file) return;
    e.preventDefault();
    file.text().then(t => emit(t.length > {LARGEST} ? null : t));
}}"""
ON_OVER = """(e) => {
    if (!e.dataTransfer || ![...e.dataTransfer.types].includes('Files')) return;
    e.preventDefault();
    document.body.classList.add('tr-dropping');
}"""
ON_LEAVE = "(e) => { if (!e.relatedTarget) document.body.classList.remove('tr-dropping') }"


class DropImport:
    """Makes the whole page a place to drop a document on, or to paste one."""

    def __init__(self, create: Create) -> None:
        page = ui.context.client.content
        page.on("dragover", js_handler=ON_OVER)
        page.on("dragleave", js_handler=ON_LEAVE)

        @guarded
        async def receive(event: events.GenericEventArguments) -> None:
            document = event.args
            if isinstance(document, str):
                await create(document)
            else:
                open_import(create)

        page.on("drop", receive, js_handler=ON_DROP)
        listen_for_paste(LARGEST)
        ui.on(PASTED, receive)
        veil = box("tr-dropveil")
        with veil:
            icon("file_download")
            text(words.IMPORT_DROP_NOW)


def open_import(create: Create) -> None:
    """Open the dialog that takes a file or a text."""
    with dialog(words.IMPORT_TITLE) as (shown, foot):
        text(words.IMPORT_TEXT, "tr-muted", tag="p")

        async def take(document: str) -> None:
            if await create(document):
                shown.close()

        async def uploaded(event: events.UploadEventArguments) -> None:
            try:
                await take((await event.file.read()).decode("utf-8-sig"))
            except UnicodeDecodeError as error:
                show_error(error)

        with box("tr-upload") as place:
            with box("tr-upload__face"):
                icon("upload_file")
                text(words.IMPORT_DROP)
            upload = ui.upload(on_upload=uploaded, auto_upload=True, max_file_size=LARGEST_FILE, max_files=1)
            upload.props('accept=".yaml,.yml,.json" flat').mark("import-file")
        place.props("role=button tabindex=0").on("click", js_handler=f"() => runMethod({upload.id}, 'pickFiles', [])")
        with box("tr-col").style("gap: 4px"):
            text(words.IMPORT_PASTE, "tr-label")
            pasted = ui.textarea().props("outlined dense rows=6").classes("tr-input tr-input--mono").mark("import-text")
            pasted.props["aria-label"] = words.IMPORT_PASTE
        with foot:
            button(words.CANCEL, shown.close)
            button(words.IMPORT, lambda: take(pasted.value or ""), kind="primary", mark="import-now")
