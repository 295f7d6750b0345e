"""Every sentence of the studio, in one place, so that another language is another file."""

from __future__ import annotations

TREADLE = "Treadle"
WORKFLOWS = "Workflows"
RUNS = "Runs"
SETTINGS = "Settings"
PLACES = "Places"
TRAIL = "Where you are"
CLOSE = "Close"
CANCEL = "Cancel"
SAVE = "Save"
DELETE = "Delete"
RENAME = "Rename"
DUPLICATE = "Duplicate"
OPEN = "Open"
MORE = "More"
COPY = "Copy"
COPIED = "Copied."
ON = "On"
OFF = "Off"
THEME = "Light, dark, or as the system"
NEVER = "never"
JUST_NOW = "just now"
UNFORESEEN = "Something went wrong that we did not foresee."
UNFORESEEN_HINT = "The details stand in the log. Try again; if it stays, please report it."

_STATES = {
    "queued": "Queued",
    "running": "Running",
    "waiting": "Waiting",
    "needs_decision": "Needs a decision",
    "succeeded": "Succeeded",
    "failed": "Failed",
    "cancelled": "Cancelled",
    "skipped": "Skipped",
    "idle": "Not run",
    "never": "Never run",
}


def state(name: str) -> str:
    return _STATES.get(name, name.replace("_", " ").capitalize())


def page_title(title: str) -> str:
    return f"{title} · Treadle"


def plural(count: int, one: str, many: str | None = None) -> str:
    """Return `1 item`, `2 items`, `1,204 items`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def minutes_ago(count: int) -> str:
    return f"{count} min ago"


def hours_ago(count: int) -> str:
    return f"{count} h ago"


def days_ago(count: int) -> str:
    return "yesterday" if count == 1 else f"{count} days ago"


# ------------------------------------------------------------------ workflow list
SEARCH_WORKFLOWS = "Search workflows"
NEW_WORKFLOW = "New workflow"
NEW_WORKFLOW_TEXT = "Say what it does; you can change this later."
WORKFLOW_NAME = "Name"
CREATE = "Create"
IMPORT = "Import"
IMPORT_TITLE = "Import a workflow"
IMPORT_TEXT = "A workflow is a text file. Drop one here or anywhere on this page, or paste its text."
IMPORT_DROP = "Drop a .yaml or .json file, or click to choose one"
IMPORT_PASTE = "Or paste the document"
IMPORT_DONE = "Imported. It starts switched off."
IMPORT_DROP_NOW = "Let go to import this workflow"
COLUMN_NAME = "Name"
COLUMN_STARTS = "Starts"
COLUMN_LAST_RUN = "Last run"
COLUMN_CHANGED = "Changed"
COLUMN_ACTIVE = "Active"
NO_WORKFLOWS = "Draw your first workflow"
NO_WORKFLOWS_TEXT = (
    "A workflow is a drawing that runs: something starts it, steps follow, and every step shows what went in and what came out."
)
NOTHING_FOUND = "Nothing by that name"
DELETE_WORKFLOW = "Delete this workflow?"
SWITCH_ON = "Switch on"
SWITCH_OFF = "Switch off"
OPEN_RUNS = "Show its runs"
EXPORT = "Download document"
STARTS_BY_HAND = "By hand"

_STARTS = {"trigger.manual": "By hand", "trigger.schedule": "Schedule", "trigger.webhook": "Webhook"}


def starts(kinds: tuple[str, ...]) -> str:
    names = [_STARTS.get(kind, kind.rsplit(".", 1)[-1].capitalize()) for kind in dict.fromkeys(kinds)]
    return " · ".join(names)


def nothing_found(text: str) -> str:
    return f"No workflow has “{text}” in its name."


def delete_workflow(name: str) -> str:
    return f"“{name}” goes for good, with its versions and triggers. Its runs stay readable."


def deleted(name: str) -> str:
    return f"“{name}” is deleted."


def switched_on(name: str) -> str:
    return f"“{name}” is on: its triggers start runs now."


def switched_off(name: str) -> str:
    return f"“{name}” is off."


def copy_of(name: str) -> str:
    return f"{name} (copy)"


# ------------------------------------------------------------------ shortcuts
SHORTCUTS = "Keyboard shortcuts"
SHORTCUT_GROUPS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    (
        "Canvas",
        (
            ("Enter", "Open the selected step"),
            ("← ↑ → ↓", "Move the selection"),
            ("Alt →", "Go along a line"),
            ("C", "Start a line at this step"),
            ("D", "Switch a step off or on"),
            ("F2", "Rename"),
            ("Delete", "Remove"),
        ),
    ),
    (
        "Editing",
        (
            ("Ctrl Z", "Undo"),
            ("Ctrl Shift Z", "Redo"),
            ("Ctrl C", "Copy as document text"),
            ("Ctrl X", "Cut"),
            ("Ctrl V", "Paste"),
            ("Ctrl D", "Duplicate"),
            ("Ctrl A", "Select all"),
        ),
    ),
    (
        "View",
        (
            ("Shift 1", "Fit everything"),
            ("Shift 0", "100 %"),
            ("+", "Zoom in"),
            ("-", "Zoom out"),
            ("Shift T", "Tidy up"),
        ),
    ),
    (
        "Studio",
        (
            ("Ctrl Enter", "Test run"),
            ("/", "Search steps"),
            ("Ctrl K", "Search steps"),
            ("?", "This list"),
        ),
    ),
)
