"""Which window the studio opens in."""

import os
import subprocess
import sys
import time
import webbrowser
from datetime import timedelta
from pathlib import Path

import pytest

from app.desktop import (
    Window,
    browser_command,
    find_browser,
    has_screen,
    open_browser_window,
    open_tab,
    open_webview,
    open_window,
    watch_webview,
)

URL = "http://127.0.0.1:8080/?token=abc"


def a_program(folder: Path, name: str, script: str) -> Path:
    """A small program that stands in for a browser."""
    path = folder / name
    path.write_text(f"#!{sys.executable}\nimport pathlib, sys, time\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def a_process(script: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    ("environment", "platform", "expected"),
    [
        pytest.param({"DISPLAY": ":0"}, "linux", True, id="x11"),
        pytest.param({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True, id="wayland"),
        pytest.param({}, "linux", False, id="a server has none"),
        pytest.param({}, "win32", True, id="windows always"),
        pytest.param({}, "darwin", True, id="mac always"),
    ],
)
def test_has_screen(environment: dict[str, str], platform: str, expected: bool) -> None:
    """
    A window is tried only where one can appear.
    """
    assert expected == has_screen(environment, platform)


def test_without_a_screen_nothing_is_opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """
    None tells the caller to print the address.
    """
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)

    assert open_window(URL, data_dir=tmp_path) is None


def test_the_first_known_browser_is_taken(tmp_path: Path) -> None:
    """
    Chromium before Chrome before Edge, whatever the PATH brings.
    """
    chrome = a_program(tmp_path, "google-chrome", "")
    a_program(tmp_path, "microsoft-edge", "")

    assert chrome == find_browser("linux", {}, which=lambda name: str(tmp_path / name) if (tmp_path / name).exists() else None)


def test_the_named_browser_goes_first(tmp_path: Path) -> None:
    """
    TREADLE_BROWSER wins; a name that leads nowhere means none, not another one.
    """
    mine = a_program(tmp_path, "mine", "")

    assert mine == find_browser("linux", {"TREADLE_BROWSER": str(mine)})
    assert find_browser("linux", {"TREADLE_BROWSER": "no-such-browser"}) is None


def test_windows_browsers_are_found_in_their_folders(tmp_path: Path) -> None:
    """
    Windows has no PATH for browsers.
    """
    edge = tmp_path / r"Microsoft\Edge\Application\msedge.exe"
    edge.parent.mkdir(parents=True, exist_ok=True)
    edge.touch()

    assert edge == find_browser("win32", {"ProgramFiles": str(tmp_path)})


def test_a_mac_without_browsers_has_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """
    Applications are looked up in the system's and the person's folder.
    """
    monkeypatch.setenv("HOME", str(tmp_path))
    chrome = tmp_path / "Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
    assert find_browser("darwin", {}) is None

    chrome.parent.mkdir(parents=True)
    chrome.touch()
    assert chrome == find_browser("darwin", {})


def test_the_command_shows_one_page_with_its_own_profile() -> None:
    """
    The person's own profile, with its bookmarks and extensions, is left alone.
    """
    command = browser_command(Path("/usr/bin/chromium"), URL, Path("/data/window"))

    assert ["/usr/bin/chromium", f"--app={URL}", "--user-data-dir=/data/window"] == command[:3]
    assert "--no-sandbox" not in command
    assert "--no-sandbox" in browser_command(Path("chromium"), URL, Path("p"), is_root=True)


def test_the_browser_window_is_watched_until_it_is_closed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """
    It starts with our arguments and can be closed from here, twice without harm.
    """
    told = tmp_path / "told"
    browser = a_program(tmp_path, "browser", f"pathlib.Path({str(told)!r}).write_text(sys.argv[1])\ntime.sleep(60)")
    monkeypatch.setenv("TREADLE_BROWSER", str(browser))

    window = open_browser_window(URL, tmp_path / "data")
    assert window is not None
    assert window.can_be_watched
    deadline = time.monotonic() + 10
    while not told.exists() or not told.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    window.close()
    window.close()

    assert f"--app={URL}" == told.read_text()
    assert window.process is not None
    assert window.process.returncode is not None
    assert (tmp_path / "data" / "window").is_dir()


def test_a_browser_that_hands_over_at_once_was_not_closed_by_the_person() -> None:
    """
    It ends in a blink because another one with the same profile took the page; that must not end the studio.
    """
    assert not Window("browser", a_process("")).wait()
    assert not Window("tab").wait()
    assert Window("browser", a_process(""), opened_at=time.monotonic() - 60).wait()


def test_a_browser_that_cannot_start_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """
    A broken one is passed over.
    """
    broken = tmp_path / "broken"
    broken.write_text("#!/no/such/interpreter\n", encoding="utf-8")
    broken.chmod(0o755)
    monkeypatch.setenv("TREADLE_BROWSER", str(broken))

    assert open_browser_window(URL, tmp_path) is None


def test_a_web_view_counts_once_it_is_shown() -> None:
    """
    It says so itself.
    """
    window = watch_webview(a_process("print('shown', flush=True); import time; time.sleep(60)"), timedelta(seconds=10))

    assert window is not None
    assert "webview" == window.kind
    window.close()


@pytest.mark.parametrize(
    "script",
    [
        pytest.param("import os; os.abort()", id="a missing plugin aborts the interpreter"),
        pytest.param("raise SystemExit(1)", id="no backend"),
        pytest.param("import time; time.sleep(60)", id="nothing ever shows"),
    ],
)
def test_a_web_view_that_does_not_show_is_given_up(script: str) -> None:
    """
    Its process is gone afterwards.
    """
    process = a_process(script)

    assert watch_webview(process, timedelta(seconds=0.5)) is None
    assert process.returncode is not None


FAKE_WEBVIEW = """
import pathlib, time

class Shown:
    def __init__(self): self.listeners = []
    def __iadd__(self, listener): self.listeners.append(listener); return self

class Events:
    shown = Shown()

class Opened:
    events = Events()

def create_window(title, url, **options):
    pathlib.Path(__file__).with_name("told").write_text(f"{title} {url}")
    return Opened

def start(**options):
    for listener in Opened.events.shown.listeners:
        listener()
    time.sleep(60)
"""


def test_the_web_view_has_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """
    Whatever its toolkit does, the studio goes on.
    """
    (tmp_path / "webview.py").write_text(FAKE_WEBVIEW, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{Path(__file__).parents[2]}")
    monkeypatch.setenv("DISPLAY", ":0")

    window = open_window(URL, data_dir=tmp_path / "data")
    assert window is not None
    assert "webview" == window.kind
    window.close()

    assert f"Treadle {URL}" == (tmp_path / "told").read_text()
    assert (tmp_path / "data" / "webview").is_dir()


def test_without_pywebview_there_is_no_web_view(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """
    It is an optional extra, and the packaged program does without.
    """
    monkeypatch.setattr(sys, "frozen", True, raising=False)

    assert open_webview(URL, tmp_path) is None


def test_the_everyday_browser_comes_last(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """
    Where no window can be had, a tab will do; where not even that, the address is told.
    """
    asked: list[str] = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("TREADLE_BROWSER", "no-such-browser")
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(webbrowser, "open", lambda url: bool(asked.append(url)) or len(asked) == 1)

    window = open_window(URL, data_dir=tmp_path)
    assert window is not None
    assert "tab" == window.kind
    assert not window.can_be_watched
    window.close()
    assert open_tab(URL, tmp_path) is None
    assert [URL, URL] == asked


def test_no_browser_at_all_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """
    Python raises when it finds none.
    """

    def fail(url: str) -> bool:
        raise webbrowser.Error("could not locate runnable browser")

    monkeypatch.setattr(webbrowser, "open", fail)

    assert open_tab(URL, tmp_path) is None
