"""
The wall around system calls: a seccomp filter that denies what could reach outside of the process.

Denied are other programs and processes (exec, fork, signals, tracing), the network, changing who or where one is, the kernel's
own doors (bpf, io_uring, mounts, keys, modules), memory beside the address space (shared memory, memfd), and changing files by
name that Landlock does not look at (modes, owners, times). A call that is newer than this list does not exist.
"""

from __future__ import annotations

import ctypes
import platform
import struct
from typing import Final

_LD, _JEQ, _JGE, _JSET, _RET = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _ENOSYS = 1, 38
_AT_NUMBER, _AT_ARCH, _AT_FIRST = 0, 4, 16  # the low half of the first argument: both machines are little-endian
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_CLONE_THREAD: Final = 0x00010000
_NEWEST: Final = 452
"""The first number that this list does not know; the same on all machines since 424."""
_HARMLESS_PRCTL: Final = (15, 0x53564D41)
"""Naming a thread and naming memory, which the C library does."""

_NUMBERS: Final[dict[str, tuple[int | None, int | None]]] = {
    # other programs and processes
    "execve": (59, 221), "execveat": (322, 281), "fork": (57, None), "vfork": (58, None), "ptrace": (101, 117),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424), "pidfd_getfd": (438, 438), "tkill": (200, 130), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "kcmp": (312, 272), "process_madvise": (440, 440), "process_mrelease": (448, 448),
    "setpriority": (141, 140), "ioprio_set": (251, 30), "sched_setaffinity": (203, 122), "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118), "sched_setattr": (314, 274), "migrate_pages": (256, 238), "move_pages": (279, 239),
    # who and where one is
    "setuid": (105, 146), "setgid": (106, 144), "setreuid": (113, 145), "setregid": (114, 143), "setresuid": (117, 147),
    "setresgid": (119, 149), "setgroups": (116, 159), "setfsuid": (122, 151), "setfsgid": (123, 152),
    "setpgid": (109, 154), "setsid": (112, 157), "capset": (126, 91), "chroot": (161, 51), "setns": (308, 268),
    "unshare": (272, 97), "personality": (135, 92),
    # the kernel's own doors
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "move_mount": (429, 429), "open_tree": (428, 428),
    "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    "bpf": (321, 280), "perf_event_open": (298, 241), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427), "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "userfaultfd": (323, 282), "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142), "swapon": (167, 224),
    "swapoff": (168, 225), "acct": (163, 89), "quotactl": (179, 60), "quotactl_fd": (443, 443), "syslog": (103, 116),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171), "clock_adjtime": (305, 266),
    "sethostname": (170, 161), "setdomainname": (171, 162), "ioperm": (173, None), "iopl": (172, None),
    "modify_ldt": (154, None), "uselib": (134, None), "vhangup": (153, 58), "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265), "fanotify_init": (300, 262), "fanotify_mark": (301, 263), "seccomp": (317, 277),
    # memory that no limit counts
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195),
    "shmdt": (67, 197), "semget": (64, 190), "semctl": (66, 191), "semop": (65, 193), "semtimedop": (220, 192),
    "msgget": (68, 186), "msgsnd": (69, 189), "msgrcv": (70, 188), "msgctl": (71, 187), "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    # files by name, where Landlock does not look
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "chown": (92, None), "fchown": (93, 55),
    "lchown": (94, None), "fchownat": (260, 54), "utime": (132, None), "utimes": (235, None), "utimensat": (280, 88),
    "futimesat": (261, None), "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16), "truncate": (76, 45),
    "mknod": (133, None), "mknodat": (259, 33),
}  # fmt: skip
_ASKED: Final[dict[str, tuple[int, int]]] = {
    "clone": (56, 220), "clone3": (435, 435), "socket": (41, 198), "kill": (62, 129), "tgkill": (234, 131),
    "prlimit64": (302, 261), "prctl": (157, 167),
}  # fmt: skip
"""Calls that are allowed for some first argument."""
_MACHINES: Final = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}


def build_filter(machine: str, *, pid: int, network: bool, threads: bool) -> bytes:
    """
    Return the filter as classic BPF for `x86_64` or `aarch64`; raises `OSError` for another machine.

    `pid` is the only process that may be sent a signal; `network` lets sockets of the internet be made, `threads` threads.
    """
    if machine not in _MACHINES:
        raise OSError(f"no list of system calls for {machine}")
    column, arch = _MACHINES[machine]
    deny = _ERRNO | _EPERM
    code = [(_LD, 0, 0, _AT_ARCH), (_JEQ, 1, 0, arch), (_RET, 0, 0, _KILL), (_LD, 0, 0, _AT_NUMBER)]
    code += [(_JGE, 0, 1, _NEWEST), (_RET, 0, 0, _ERRNO | _ENOSYS)]  # the other calling convention of x86_64 counts from 2^30

    def only_for(name: str, tests: list[tuple[int, int]]) -> None:
        """Allow a call when one test of its first argument holds."""
        body = [(_LD, 0, 0, _AT_FIRST)]
        body += [(test, len(tests) - index, 0, value) for index, (test, value) in enumerate(tests)]
        body += [(_RET, 0, 0, deny), (_RET, 0, 0, _ALLOW)]
        code.append((_JEQ, 0, len(body), _ASKED[name][column]))
        code.extend(body)

    only_for("clone", [(_JSET, _CLONE_THREAD)] if threads else [])
    only_for("socket", [(_JEQ, 2), (_JEQ, 10)] if network else [])
    only_for("kill", [(_JEQ, pid)])
    only_for("tgkill", [(_JEQ, pid)])
    only_for("prlimit64", [(_JEQ, 0), (_JEQ, pid)])
    only_for("prctl", [(_JEQ, option) for option in _HARMLESS_PRCTL])
    # The C library falls back to clone, whose flags a filter can read, when there is no clone3.
    code += [(_JEQ, 0, 1, _ASKED["clone3"][column]), (_RET, 0, 0, _ERRNO | (_ENOSYS if threads else _EPERM))]
    for numbers in _NUMBERS.values():
        if (number := numbers[column]) is not None:
            code += [(_JEQ, 0, 1, number), (_RET, 0, 0, deny)]
    code.append((_RET, 0, 0, _ALLOW))
    return b"".join(struct.pack("<HBBI", *line) for line in code)


def restrict(*, pid: int, network: bool, threads: bool) -> None:
    """Put the filter on this process, for good; raises `OSError` where the kernel or the machine has none."""
    program = build_filter(platform.machine(), pid=pid, network=network, threads=threads)
    libc = ctypes.CDLL(None, use_errno=True)
    lines = ctypes.create_string_buffer(program, len(program))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    wanted = Program(len(program) // 8, ctypes.cast(lines, ctypes.c_void_p))
    if libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(wanted), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the kernel refuses a seccomp filter")
