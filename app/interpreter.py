"""How the process is set for a program that serves for days."""

from __future__ import annotations

import contextlib
import gc
import sys

MOST_FILES = 65_536


def tune_interpreter() -> None:
    """
    Set the interpreter for serving; called once everything is loaded.

    The writer thread has to win the interpreter's lock a few times per commit, so threads take turns ten times as often as
    they would (docs/adr/0005). What is loaded by now stays for good, so the collector need not look at it again.
    """
    sys.setswitchinterval(0.0005)
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def allow_many_files() -> None:
    """
    Let this process have as many open files and connections as the system allows it, where it says so.

    Many systems start programs with 1,024, which a thousand slow clients use up: then no run could open a file any more.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
