"""Every sentence of the studio, in one place, so that another language is another file."""

# ruff: noqa: S105 - these are sentences about tokens, not tokens
from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

TREADLE = "Treadle"
WORKFLOWS = "Workflows"
RUNS = "Runs"
SETTINGS = "Settings"
INBOX = "Inbox"
NOTHING_WAITS = "Nothing waits for a decision"
NOTHING_WAITS_HINT = "What a workflow asks with “Ask for approval” stands here until somebody decides."
OPEN_FORM = "Open the form"
OPEN_THE_RUN = "Show the run"
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


def sentence(text: str) -> str:
    """Return a text that begins with a capital; names of code keep their letters."""
    first = text.lstrip()[:1]
    return text if not first.isalpha() or text[:12].split(" ")[0].count("_") else text.replace(first, first.upper(), 1)


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

# ------------------------------------------------------------------ versions
VERSIONS = "Versions"
SHOW_VERSIONS = "Versions and what changed"
VERSIONS_LIST = "Published versions"
NO_VERSIONS = "Nothing is published yet"
NO_VERSIONS_TEXT = (
    "Switch the workflow on, or publish it: each time the drawing becomes a version that never changes. Here you then "
    "see what changed, when and by whom, and can go back."
)
DRAFT = "Draft"
DRAFT_TEXT = "What is being edited now"
LIVE = "Live"
NO_MESSAGE = "Without a message"
COMPARE_FROM = "From"
COMPARE_TO = "To"
SAME_VERSIONS = "Nothing is different"
SAME_VERSIONS_TEXT = "Both say the same, down to the places of the boxes."
ONLY_MOVED = "Only the places of boxes differ; what runs is the same."
ONLY_ORDER = "Only the order in which things stand in the text differs; what runs is the same."
FIRST_VERSION = "The first version: there is none before it to compare with."
RESTORE = "Restore"
RESTORE_TITLE = "Make this version the draft?"
RESTORE_TEXT = (
    "The draft becomes what this version says; in the editor that can be undone. What is live stays as it is until you publish."
)
RESTORED = "The version is the draft now."
NAME_VERSION = "Change the message"
VERSION_MESSAGE = "Message"
LINES = "Lines"
WHOLE_WORKFLOW = "The workflow"
NOT_WRITTEN = "not written"
CHANGES = {"added": "Added", "removed": "Removed", "changed": "Changed"}


def changed_fields(count: int) -> str:
    return "1 change" if count == 1 else f"{count} changes"


def changes_in_all(added: int, removed: int, changed: int) -> str:
    parts = [f"{count} {word}" for count, word in ((added, "added"), (removed, "removed"), (changed, "changed")) if count]
    return ", ".join(parts)


# ------------------------------------------------------------------ editor
STEPS = "Steps"
SEARCH_STEPS = "Search steps"
SAVED = "Saved"
NOT_SAVED = "Not saved"
UNDO = "Undo"
REDO = "Redo"
TIDY = "Tidy up"
FIT = "Fit everything"
AS_TEXT = "The document as text"
TEST = "Test"
TEST_HINT = "Run the draft once, now"
STOP = "Stop"
PUBLISH = "Publish changes"
PUBLISH_DO = "Publish"
PUBLISH_TITLE = "Publish a version"
PUBLISH_MESSAGE = "What changed (optional)"
PUBLISH_TEXT = "The drawing as it is now becomes a version that never changes, and its triggers start runs of it."
NOTHING_TO_UNDO = "There is nothing to undo."
NOTHING_TO_REDO = "There is nothing to redo."
CIRCLE = "A step cannot wait for itself: this line would close a circle."
CIRCLE_HINT = "Lines go one way; draw it to a step further on."
DATA = "Data"
DATA_VIEW = "How to show the data"
TABLE = "Table"
JSON = "JSON"
LOG = "Log"
OUTPUT = "Output"
PAGE_BEFORE = "Page before"
PAGE_AFTER = "Next page"
NO_ITEMS = "No items"
NOTHING_LEFT = "Nothing left by this port"
NOTHING_ARRIVED = "Nothing arrived here"
NO_FAILED_ITEMS = "No item failed"
NO_RUN_YET = "No data yet"
NO_RUN_YET_TEXT = "Press Test: the draft runs once, and every step shows here what went in and what came out."
CHOOSE_A_STEP = "Choose a step"
CHOOSE_A_STEP_TEXT = "Click a step on the canvas to see what went in and what came out of it in this run."
STEP_DID_NOT_RUN = "This step did not run yet"
STEP_DID_NOT_RUN_TEXT = "Press Test to see its data."
CODE_STEPS = "Code steps"
CODE_STEPS_TEXT = "People's own Python runs in a process behind walls. These were tried on this machine just now:"
CODE_OFF = "Switched off (allow_code = false)."
PACKAGES_ON = "Workflows may have packages installed for their code."
PACKAGES_OFF = "Packages are not installed for code; allow_packages = true allows it."
TEST_STARTED = "The test runs"

_GROUPS = {
    "triggers": "Starts",
    "network": "Network",
    "data": "Data",
    "flow": "Flow",
    "files": "Files",
    "messages": "Messages",
    "code": "Code",
    "ai": "AI",
}


def step_group(hue: str) -> str:
    return _GROUPS.get(hue, hue.capitalize())


def no_step(text: str) -> str:
    return f"No step has to do with “{text}”."


def unknown_step(use: str) -> str:
    return f"unknown step {use}"


def items_shown(first: int, last: int, total: int) -> str:
    return f"{first:,}–{last:,} of {total:,} items"


def output_port(port: str, *, alone: bool) -> str:
    return "Output" if alone else port.replace("_", " ").capitalize()


def input_port(port: str, *, alone: bool) -> str:
    return "Input" if alone else f"Input {port}"


SKIPPED_HINT = "The step was skipped: nothing arrived at it in this run."
PORTS = "Ports"


def where(item: int | None, field: object) -> str:
    """Return where in a step something happened: `At item 12 · in the field “where”`."""
    parts = []
    if item is not None:
        parts.append(f"at item {item + 1:,}")
    if isinstance(field, str) and field:
        parts.append(f"in the field “{field}”")
    return sentence(" · ".join(parts))


def copied(text: str) -> str:
    return f"{text} is on the clipboard."


# ------------------------------------------------------------------ inspector
NAME = "name"
VALUE = "value"
EXPRESSION = "expression"
FIELD_NAME = "field"
PORT = "port"
ADD = "Add"
ADD_FIELD = "Add a field"
ADD_CASE = "Add a case"
ADD_EXPRESSION = "Add an expression"
REMOVE = "Remove"
FX_ON = "Compute this with an expression"
FX_OFF = "Choose a fixed value"
PREVIEW_NEEDS_DATA = "Test once, and the result shows here."
PREVIEW_ITEM = "Preview with item"
ITEMS_PLACEHOLDER = '[{"name": "Ada", "total": 12.5}]'
NOT_ITEMS = "Items are a list of objects: [{…}, {…}]."
INSPECTOR = "Settings of the step"
STEP_TITLE = "Name of the step"
STEP_MENU = "More for this step"
DISABLE = "Switch this step off"
ENABLE = "Switch this step on"
DUPLICATE_STEP = "Duplicate"
REMOVE_STEP = "Remove"
COPY_ID = "Copy its id"
TEST_FROM = "Test from here"
TEST_TO = "Test up to here"
TEST_ONLY = "Test only this step"
PIN = "Pin what it gave, for tests"
UNPIN = "Let go of the pinned data"
NOTHING_TO_PIN = "The shown run has no data of this step."
STANDINGS = {
    "same": "Fresh: same step, same data",
    "effect_done": "Fresh: done already, and not repeated without asking",
    "pinned": "Pinned: tests take this data",
    "never_ran": "Stale: never ran",
    "changed": "Stale: its settings changed",
    "input_changed": "Stale: what arrives has changed",
}
EFFECTS_DONE = "These have changed something outside already"
EFFECTS_DRY = "Only describe it"
EFFECTS_AGAIN = "Do it again"
EFFECT_CHOICES = {"reuse": "Reuse what it gave then", "again": "Do it again"}
EFFECT_STATES = {
    "done": "done",
    "failed": "failed",
    "skipped": "left out",
    "uncertain": "uncertain",
    "under_way": "under way",
}
FORK = "Go on from here"
FORK_TEXT = "What stands before is taken over as it was; this step and all behind it run again, as a new run."
FORK_DOCUMENT = "Document"
FORK_USES = {"same": "As it was", "draft": "The draft as it is now", "active": "The active version"}
FORK_ITEMS = "Other items for this step (JSON, or nothing)"
FORK_DRY = "Only describe changes outside"
RECEIPTS = "What it changed outside"
NO_RECEIPTS = "It changed nothing outside, as far as is written down."
MORE_SETTINGS = "More settings"
WHEN_IT_FAILS = "When it fails"
NOTE = "Note"
NOTE_HINT = "For whoever reads this next."
ON_ERROR = "If an item fails"
ON_ERROR_CHOICES = {
    "stop": "Stop the run",
    "route": "Send it out by the error port",
    "ignore": "Drop it and go on",
}
RETRY_ATTEMPTS = "Tries"
RETRY_FIRST = "First pause"
RETRY_LONGEST = "Longest pause"
TIMEOUT = "Time limit"
RUN_ON_EMPTY = "Run even when nothing arrives"
OFF_NOW = "This step is switched off: items pass it untouched."
NOTHING_SELECTED = "Workflow"
DESCRIPTION = "What it is for"
DESCRIPTION_PLACEHOLDER = "One or two sentences for the people who meet it later."
TIMEZONE = "Time zone"
CONCURRENCY = "Runs at the same time"
CONCURRENCY_HINT = "Empty: no limit."
ON_FAILURE = "When a run fails, call"
ON_FAILURE_HINT = "The name of a workflow; it gets the failure as its item."
RUN_TIMEOUT = "Time limit of a run"
PROBLEMS = "Problems"
NO_PROBLEMS = "Nothing is wrong with this drawing."
UNKNOWN_STEP_HINT = "The document names a step that this Treadle does not know. Its settings are kept as they are."
TIPS = "Good to know"
TIP_LIST = (
    "Drag a step from the left, or press + on a port.",
    "Drop a step on a line to put it between.",
    "Press ? for all keys.",
)


def not_json(error: str) -> str:
    return f"This is no JSON yet: {error}"


def preview_of(index: int, total: int) -> str:
    return f"{index + 1:,} of {total:,}"


def steps_selected(count: int) -> str:
    return f"{count} steps selected"


# ------------------------------------------------------------------ the document as text
AS_TEXT_SENTENCE = "This is all there is: what you see here is what is stored, compared and exported."
APPLY = "Apply"
GONE_HINT = "It may have been deleted. The list shows what there is."


def at_line(line: int | None, text: str) -> str:
    return f"Line {line}: {text}" if line else text


# ------------------------------------------------------------------ runs
SEARCH_RUNS = "Search runs"
ANY_WORKFLOW = "All workflows"
ANY_STATUS = "Any status"
ANY_KIND = "Tests and real runs"
RUN_KINDS = {"all": "Tests and real runs", "real": "Real runs only", "test": "Tests only"}
COLUMN_STATUS = "Status"
COLUMN_WORKFLOW = "Workflow"
COLUMN_STARTED_BY = "Started by"
COLUMN_STARTED = "Started"
COLUMN_TOOK = "Took"
OLDER = "Show older runs"
TEST_RUN = "Test"
NO_RUNS = "Nothing has run yet"
NO_RUNS_TEXT = "Open a workflow and press Test, or switch it on. Every run stays here, with the data of every step."
NO_SUCH_RUNS = "No run passes these filters"
NO_SUCH_RUNS_TEXT = "Choose another status or workflow, or clear the search."
RUN_GONE_HINT = "It may have been cleared away. The list shows what is kept."
OPEN_WORKFLOW = "Open workflow"
CANCEL_RUN = "Cancel"
RETRY = "Retry from the failed step"
DECIDE_RETRY = "It did not happen: do it again"
DECIDE_SKIP = "Leave it out and go on"
VERSION = "Version"
SHOW_STEP = "Show step"
NO_STEPS_YET = "No step has begun"
NO_STEPS_YET_TEXT = "They appear here as they start."

_STARTED_BY = {
    "manual": "By hand",
    "schedule": "Schedule",
    "webhook": "Webhook",
    "api": "API",
    "cli": "Command line",
    "trigger.manual": "By hand",
    "trigger.schedule": "Schedule",
    "trigger.webhook": "Webhook",
}


def effects_of(title: str, done: int) -> str:
    return f"“{title}”: {done} done"


def fork_title(label: str) -> str:
    return f"Go on from “{label}”"


def receipts_title(label: str) -> str:
    return f"What “{label}” changed outside"


PASS = "Pass"
PASS_BEFORE = "Pass before"
PASS_AFTER = "Next pass"
PASS_FAILED = "Next pass that failed"
COMES_FROM = "Where does this come from?"
COMES_FROM_HINT = "From the value back to its sources; click a step to see its data."
ORIGIN_HOW = {"copied": "taken over", "computed": "computed", "source": "its source"}
ORIGIN_ELSEWHERE = "in another run"
ORIGINS_CUT = "There are more than are shown here."


def passes(count: int, failed: int) -> str:
    """Return `3 passes · 1 failed`; nothing for a step that ran once."""
    if count < 2:
        return ""
    return f"{plural(count, 'pass', 'passes')} · {failed:,} failed" if failed else plural(count, "pass", "passes")


def of_passes(count: int, failed: int) -> str:
    return f"of {count:,} · {failed:,} failed" if failed else f"of {count:,}"


def in_pass(numbers: Sequence[int]) -> str:
    """Return `pass 2 › 3`: the third inside of the second; nothing at the top."""
    return f"pass {' › '.join(f'{number:,}' for number in numbers)}" if numbers else ""


def origin_place(port: str, index: int, numbers: Sequence[int]) -> str:
    """Return where an item stood: `item 3 at out · pass 2`."""
    return " · ".join(part for part in (f"item {index + 1:,} at {port}", in_pass(numbers)) if part)


def attempt(number: int) -> str:
    return f"try {number}"


def started_by(trigger: str, *, is_retry: bool) -> str:
    name = _STARTED_BY.get(trigger, trigger.replace("_", " ").capitalize())
    return f"{name} · retried" if is_retry else name


def run_title(workflow: str) -> str:
    return f"Run of {workflow}"


def at_step(step: str, text: str) -> str:
    return f"{step}: {text[:1].upper()}{text[1:]}"


def more_steps(count: int) -> str:
    return f"and {count:,} more steps"


# ------------------------------------------------------------------ settings
LOOK = "Appearance"
THEMES = {"light": "Light", "dark": "Dark", "auto": "As the system"}
TOKENS = "API tokens"
TOKENS_TEXT = "Programs sign in with a token: Authorization: Bearer trdl_…. What a token may do is said once, when it is made."
NEW_TOKEN = "New token"
NO_TOKENS = "No tokens"
NO_TOKENS_TEXT = "Make one to start workflows from a program, or to read runs."
TOKEN_NAME = "What it is for"
TOKEN_NAME_HINT = "nightly import"
SCOPES = "May"
SCOPE_MEANINGS = {
    "read": "Read workflows and runs",
    "run": "Start, cancel and retry runs",
    "write": "Change workflows",
    "admin": "Manage tokens",
    "sql": "Ask in SQL",
}
EXPIRES = "Expires"
LIVES = {"30": "In 30 days", "90": "In 90 days", "365": "In a year", "": "Never"}
LAST_USED = "Last used"
REVOKE = "Revoke"
REVOKE_TITLE = "Revoke this token?"
TOKEN_MADE = "Your token"
TOKEN_ONCE = "It is shown this once. Keep it where you keep passwords."
DATA_FOLDER = "Data folder"
DATA_FOLDER_TEXT = "Everything Treadle knows lies here: the database, files of runs, and the folder of each workflow."


def revoke_text(name: str) -> str:
    return f"Programs that use “{name}” are turned away at once."


def asked_since(workflow: str, since: str, people: Sequence[object]) -> str:
    """Say which workflow asks whom, and since when."""
    whom = f", asks {', '.join(map(str, people))}" if people else ""
    return f"{workflow}{whom}, {since}"


CALENDAR = "Calendar"
CALENDAR_SPANS = {"week": "Week", "month": "Month"}
EARLIER, LATER, TODAY = "Earlier", "Later", "Today"
NO_SLOTS = "Nothing is due"
NO_SLOTS_TEXT = "Schedules of workflows that are switched on appear here: what was due, and what became of it."
MORE_SLOTS = "There are more than are shown."
SLOT_STATES = {
    "due": "Due",
    "running": "Running",
    "done": "Done",
    "failed": "Failed",
    "cancelled": "Cancelled",
    "held": "Held",
    "missed": "Missed",
}
NEXT_DUE = "Next times"
NEVER_DUE = "Never again."
DISK = "Disk"
DISK_PARTS = {
    "data": "Data of runs",
    "journal": "Steps and errors",
    "search": "Search",
    "files": "Files and large data",
    "unneeded": "Files that go soon",
    "log": "Newest commits",
    "free": "Free inside the database",
    "other": "The rest of the database",
    "snapshots": "Snapshots before upgrades",
    "folders": "Folders of workflows",
    "logs": "Logs",
}
DISK_BY_WORKFLOW = "By workflow"
SEARCH_IN = {"names": "In names and errors", "data": "In data and logs", "key": "The event's key"}
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def weekday(number: int) -> str:
    """Return a weekday, 0 for Monday."""
    return _DAYS[number]


def calendar_title(first: date, last: date) -> str:
    """Return which days the calendar shows."""
    return (
        f"{first.day} {first:%B} – {last.day} {last:%B %Y}"
        if first.year == last.year
        else f"{first.day} {first:%B %Y} – {last.day} {last:%B %Y}"
    )


def more_slots(count: int) -> str:
    """Return how many slots of a day are not shown."""
    return f"{count} more"


def data_removed(at: datetime) -> str:
    """Return what the page of a run says when only its summary is left."""
    return f"The data of this run was removed on {at:%Y-%m-%d}; its steps, errors and log are still here."


def disk_total(total: str, used: str, quota: str, room: str) -> str:
    """Return the line below what fills the disk."""
    limit = f" of {quota}" if quota else ""
    left = f"; {room} left on the disk" if room else ""
    return f"In all {total}; runs take {used}{limit}{left}."


# ------------------------------------------------------------------ failures
FAILURES = "Failures"
SEARCH_FAILURES = "Search failures"
FAILURE_STATES = {
    "open": "Open",
    "replaying": "Being replayed",
    "resolved": "Resolved",
    "replaced": "Failed again",
    "discarded": "Put away",
}
FAILURE_VIEWS = {"": "Open or being replayed", **FAILURE_STATES, "any": "Any state"}
ANY_TIME = "Any time"
RUN_TIMES = {"": ANY_TIME, "1h": "Last hour", "24h": "Last 24 hours", "7d": "Last 7 days", "30d": "Last 30 days"}
ANY_DURATION = "However long"
RUN_DURATIONS = {
    "": ANY_DURATION,
    "1s": "1 second or longer",
    "10s": "10 seconds or longer",
    "1m": "1 minute or longer",
    "10m": "10 minutes or longer",
    "1h": "1 hour or longer",
}
ANY_FAILURE_STATE = "State"
COLUMN_COUNT = "Count"
COLUMN_CAUSE = "Cause"
COLUMN_FIRST = "First"
COLUMN_LAST = "Last"
NO_FAILURES = "Nothing waits for you"
NO_FAILURES_TEXT = (
    "A run that fails comes here, with others of the same cause; tests do not. From here it is replayed or put away."
)
NO_SUCH_FAILURES = "No failure passes these filters"
NO_SUCH_FAILURES_TEXT = "Choose another workflow or state, or clear the search."
GROUP_GONE_HINT = "Its failures may have been cleared away. The list shows what there is."
MORE_FAILURES = "Show more"
REPLAY = "Replay"
REPLAY_ONE = "Replay this run"
REPLAY_TEXT = "Each run is repeated once. Those that succeed leave this page; those that fail again come back."
REPLAY_FROM = "Where to begin"
REPLAY_FROMS = {"failed_step": "At the failed step", "start": "At the start: everything is done again"}
REPLAY_VERSION = "Version"
REPLAY_VERSIONS = {"same": "The one that failed", "newest": "The newest"}
REPLAY_AT_ONCE = "Runs at the same time"
REPLAY_ITEMS = "Other items (JSON, or nothing), from the start"
REPLAYS = "Replays"
REPLAY_STATES = {"running": "Running", "done": "Done", "cancelled": "Cancelled"}
CANCEL_REPLAY = "Cancel"
SHOW_REPLAY_RUN = "Show the repetition"
DISCARD = "Put away"
DISCARD_ONE = "Put this one away"
DISCARD_TEXT = "New failures of the same cause come here again. This can be undone."
DISCARD_REASON = "Why nothing has to be done about it"
BRING_BACK = "Bring back"
CAUSE_CODE = "Error"
CAUSE_STATUS = "Answer"
FAMILY = "Runs that belong together"
MORE_CALLED_RUNS = "It called more runs than are shown here."
THIS_RUN = "this run"


def failures_waiting(count: int) -> str:
    return plural(count, "open failure")


def replay_all(count: int) -> str:
    return f"Replay all {count:,}" if count > 1 else REPLAY


def discard_all(count: int) -> str:
    return f"Put away all {count:,}" if count > 1 else DISCARD


def of_workflows(counts: dict[str, int]) -> str:
    """Return whose failures they are: `Orders 12 · Invoices 3`, at most four by name."""
    named = [f"{name} {count:,}" if len(counts) > 1 else name for name, count in list(counts.items())[:4]]
    more = len(counts) - len(named)
    return " · ".join([*named, *([f"and {plural(more, 'more workflow')}"] if more else [])])


def being_replayed(count: int) -> str:
    return f"{count:,} being replayed"


def replay_progress(finished: int, total: int, counts: dict[str, int]) -> str:
    """Return how far a replay is: `7 of 20 · 5 succeeded, 2 failed again`."""
    names = {"succeeded": "succeeded", "failed": "failed again", "cancelled": "cancelled", "skipped": "skipped"}
    ends = ", ".join(f"{counts[state]:,} {name}" for state, name in names.items() if counts.get(state))
    return f"{finished:,} of {total:,}" + (f" · {ends}" if ends else "")


def put_away(count: int) -> str:
    return f"{plural(count, 'failure')} put away."


def brought_back(count: int) -> str:
    return f"{plural(count, 'failure')} came back."


def put_away_because(reason: str, by: str) -> str:
    return f"Put away by {by}: {reason}" if by else f"Put away: {reason}"


def alerted(names: Sequence[str]) -> str:
    return f"Told {', '.join(names)}"


def not_alerted(workflow: str, problem: str) -> str:
    return f"{workflow} was not told: {problem}"
