"""
Which window the studio opens in: a web view, a browser without its bars, a tab, or none.

A window is believed only when it is there: importing pywebview proves nothing, since its Qt and GTK parts fail later and may
take the interpreter with them. So the web view lives in a process of its own, says that it is shown, and is otherwise given up.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import subprocess
import sys
import time
import webbrowser
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import Literal

log = logging.getLogger(__name__)

Kind = Literal["webview", "browser", "tab"]

SIZE = (1440, 900)
SHOWN = "shown"
WEBVIEW_PATIENCE = timedelta(seconds=15)  # Qt took 7.4 s to its first window on a slow machine
HANDED_OVER = timedelta(seconds=3)

LINUX_BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "microsoft-edge",
    "microsoft-edge-stable",
    "brave-browser",
)
MAC_BROWSERS = ("Google Chrome", "Chromium", "Microsoft Edge", "Brave Browser")
WINDOWS_BROWSERS = (
    r"Google\Chrome\Application\chrome.exe",
    r"Microsoft\Edge\Application\msedge.exe",
    r"BraveSoftware\Brave-Browser\Application\brave.exe",
)


@dataclass(slots=True)
class Window:
    """What was opened; a tab has no process of its own and cannot be watched."""

    kind: Kind
    process: subprocess.Popen[str] | None = None
    opened_at: float = field(default_factory=time.monotonic)

    @property
    def can_be_watched(self) -> bool:
        """Whether `wait` will tell when the person closes it."""
        return self.process is not None

    def wait(self) -> bool:
        """
        Block until the window is closed; True when the person closed it.

        False means it cannot be known: a tab, or a browser that handed the address to one that was running already.
        """
        if self.process is None:
            return False
        self.process.wait()
        self._release()
        return time.monotonic() - self.opened_at > HANDED_OVER.total_seconds()

    def close(self) -> None:
        """Close the window; harmless when it is closed already."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._release()

    def _release(self) -> None:
        if self.process is not None and self.process.stdout is not None:
            self.process.stdout.close()


def open_window(url: str, *, data_dir: Path) -> Window | None:
    """
    Open the studio at `url` in the best window this machine has; None when there is none, so that the address must be told.

    `data_dir` keeps the browser window's profile. The launch token in `url` stands on the browser's command line, which other
    people on this machine may read: that is why the server takes it only once.
    """
    if not has_screen(os.environ, sys.platform):
        return None
    for attempt in (open_webview, open_browser_window, open_tab):
        if window := attempt(url, data_dir):
            log.info("window opened", extra={"kind": window.kind})
            return window
    return None


def has_screen(environment: Mapping[str, str], platform: str) -> bool:
    """Whether a window could appear at all; on Linux that takes X or Wayland."""
    if platform.startswith("linux"):
        return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))
    return True


def open_webview(url: str, data_dir: Path, *, patience: timedelta = WEBVIEW_PATIENCE) -> Window | None:
    """The optional extra `desktop`: a native window, if one shows up within `patience`."""
    if getattr(sys, "frozen", False) or importlib.util.find_spec("webview") is None:
        return None
    command = [sys.executable, "-m", __name__, url, str(data_dir / "webview")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)  # noqa: S603 - ourselves
    return watch_webview(process, patience)


def watch_webview(process: subprocess.Popen[str], patience: timedelta) -> Window | None:
    """The window of `process` once it has said that it is shown; None, and no process, when it does not."""
    window = Window("webview", process)
    if is_shown(process, patience):
        return window
    window.close()
    log.info("no working web view")
    return None


def is_shown(process: subprocess.Popen[str], patience: timedelta) -> bool:
    # A thread reads, because a pipe cannot be waited for with a limit on every system.
    said: list[str] = []
    assert process.stdout is not None
    reader = Thread(target=lambda pipe: said.append(pipe.readline().strip()), args=(process.stdout,), daemon=True)
    reader.start()
    reader.join(patience.total_seconds())
    return said == [SHOWN]


def open_browser_window(url: str, data_dir: Path) -> Window | None:
    """A Chromium, Chrome, Edge or Brave showing only the studio, with a profile of its own."""
    browser = find_browser(sys.platform, os.environ)
    if browser is None:
        return None
    profile = data_dir / "window"
    profile.mkdir(parents=True, exist_ok=True)
    command = browser_command(browser, url, profile, is_root=hasattr(os, "geteuid") and os.geteuid() == 0)
    try:
        process = subprocess.Popen(  # noqa: S603 - a browser found in known places, or named by the person
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True
        )
    except OSError as error:
        log.warning("browser did not start", extra={"browser": str(browser), "error": str(error)})
        return None
    return Window("browser", process)


def browser_command(browser: Path, url: str, profile: Path, *, is_root: bool = False) -> list[str]:
    """How a Chromium-like browser is told to show one page as if it were a program."""
    return [
        str(browser),
        f"--app={url}",
        f"--user-data-dir={profile}",
        f"--window-size={SIZE[0]},{SIZE[1]}",
        "--no-first-run",
        "--no-default-browser-check",
        "--disable-background-mode",
        "--class=Treadle",
        *(["--no-sandbox"] if is_root else []),  # as root Chromium starts no other way
    ]


def find_browser(
    platform: str, environment: Mapping[str, str], *, which: Callable[[str], str | None] = shutil.which
) -> Path | None:
    """The first browser on this machine that knows `--app`; `TREADLE_BROWSER` names one that goes first."""
    if chosen := environment.get("TREADLE_BROWSER"):
        named = which(chosen)
        return Path(named) if named else None
    return next((path for path in browser_places(platform, environment, which) if path.is_file()), None)


def browser_places(platform: str, environment: Mapping[str, str], which: Callable[[str], str | None]) -> Iterator[Path]:
    if platform == "win32":
        for variable in ("ProgramFiles", "ProgramFiles(x86)", "LocalAppData"):
            if programs := environment.get(variable):
                yield from (Path(programs, browser) for browser in WINDOWS_BROWSERS)
    elif platform == "darwin":
        for folder in (Path("/Applications"), Path.home() / "Applications"):
            yield from (folder / f"{name}.app" / "Contents" / "MacOS" / name for name in MAC_BROWSERS)
    else:
        yield from (Path(found) for name in LINUX_BROWSERS if (found := which(name)))


def open_tab(url: str, data_dir: Path) -> Window | None:
    """The browser the person uses every day."""
    try:
        return Window("tab") if webbrowser.open(url) else None
    except webbrowser.Error:
        return None


def show_webview(url: str, storage: Path) -> None:
    """What the web view's own process does: show the window, say so, and stay until it is closed."""
    import webview  # type: ignore[import-not-found, unused-ignore]

    def say_shown() -> None:
        sys.stdout.write(f"{SHOWN}\n")
        sys.stdout.flush()

    window = webview.create_window("Treadle", url, width=SIZE[0], height=SIZE[1], min_size=(900, 600), text_select=True)
    window.events.shown += say_shown
    storage.mkdir(parents=True, exist_ok=True)
    webview.start(private_mode=False, storage_path=str(storage))


if __name__ == "__main__":
    show_webview(sys.argv[1], Path(sys.argv[2]))
