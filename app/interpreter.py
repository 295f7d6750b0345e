"""How the interpreter is set for a program that serves for days."""

from __future__ import annotations

import gc
import sys


def tune_interpreter() -> None:
    """
    Set the interpreter for serving; called once everything is loaded.

    The writer thread has to win the interpreter's lock a few times per commit, so threads take turns ten times as often as
    they would (docs/adr/0005). What is loaded by now stays for good, so the collector need not look at it again.
    """
    sys.setswitchinterval(0.0005)
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
