"""
The wall around files, and around TCP and signals where the kernel is new enough: Landlock.

The kernel is asked for its version first (ABI 1 came with Linux 5.13, TCP with 4, signals with 6); what it does not know is not
asked of it. Names, sizes and times of files can be seen all the same; their bytes cannot.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable
from typing import Final

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446
_PATH_BENEATH, _VERSION = 1, 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_TRUNCATE, _IOCTL = 1 << 14, 1 << 15
_OF_FILES: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL
_MAKING: Final = (1 << 4) | (1 << 5) | (1 << 7) | (1 << 8) | (1 << 10) | (1 << 12)
"""Removing, and making folders, files, pipes and links."""
_KNOWN_SINCE: Final = {1: (1 << 13) - 1, 2: 1 << 13, 3: _TRUNCATE, 5: _IOCTL}
_TCP, _SIGNALS_AND_SOCKETS = 3, 3


def abi() -> int:
    """Return the version of Landlock that this kernel speaks, 0 where there is none."""
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        return max(0, int(libc.syscall(_CREATE, None, ctypes.c_size_t(0), _VERSION)))
    except (AttributeError, OSError):
        return 0


def restrict(*, readable: Iterable[str], writable: Iterable[str], network: bool) -> int:
    """
    Let this process read beneath `readable` and also write beneath `writable`, and nothing else, for good.

    Returns the version that was used. Raises `OSError` where there is no Landlock, or it refuses. Paths that are not there are
    passed over. No new privileges must have been renounced before.
    """
    version = abi()
    if version < 1:
        raise OSError("this kernel has no Landlock, or it is switched off")
    libc = ctypes.CDLL(None, use_errno=True)
    handled = 0
    for since, rights in _KNOWN_SINCE.items():
        handled |= rights if version >= since else 0
    values = [handled, 0 if network or version < 4 else _TCP, _SIGNALS_AND_SOCKETS if version >= 6 else 0]
    values = values[: 1 if version < 4 else 2 if version < 6 else 3]
    attributes = struct.pack(f"={len(values)}Q", *values)
    ruleset = libc.syscall(_CREATE, attributes, ctypes.c_size_t(len(attributes)), 0)
    if ruleset < 0:
        raise OSError(ctypes.get_errno(), "Landlock makes no set of rules")
    try:
        for path in readable:
            _allow(libc, ruleset, path, (_READ_FILE | _READ_DIR) & handled)
        for path in writable:
            _allow(libc, ruleset, path, (_READ_FILE | _READ_DIR | _WRITE_FILE | _TRUNCATE | _MAKING | (1 << 13)) & handled)
        if libc.syscall(_RESTRICT, ruleset, 0) != 0:
            raise OSError(ctypes.get_errno(), "Landlock refuses to restrict")
    finally:
        os.close(ruleset)
    return version


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, rights: int) -> None:
    try:
        handle = os.open(path, getattr(os, "O_PATH", 0) | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not os.path.isdir(path):
            rights &= _OF_FILES
        rule = struct.pack("=Qi", rights, handle)
        if libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0) != 0:
            raise OSError(ctypes.get_errno(), f"Landlock refuses the rule for {path}")
    finally:
        os.close(handle)
