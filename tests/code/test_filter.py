"""The filter of system calls, read as the kernel reads it, for both machines: a tiny interpreter of classic BPF."""

import struct
from pathlib import Path

import pytest

from engine.code.inside import seccomp

ALLOW, KILL = 0x7FFF0000, 0x80000000
EPERM, ENOSYS = 0x00050001, 0x00050026
ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
NUMBERS = {
    "x86_64": {
        "read": 0,
        "write": 1,
        "openat": 257,
        "mmap": 9,
        "clone": 56,
        "fork": 57,
        "execve": 59,
        "kill": 62,
        "socket": 41,
        "socketpair": 53,
        "ptrace": 101,
        "prctl": 157,
        "prlimit64": 302,
        "clone3": 435,
        "tgkill": 234,
        "io_uring_setup": 425,
    },
    "aarch64": {
        "read": 63,
        "write": 64,
        "openat": 56,
        "mmap": 222,
        "clone": 220,
        "execve": 221,
        "kill": 129,
        "socket": 198,
        "socketpair": 199,
        "ptrace": 117,
        "prctl": 167,
        "prlimit64": 261,
        "clone3": 435,
        "tgkill": 131,
        "io_uring_setup": 425,
    },
}


def decide(program, number, first=0, *, arch):
    """Return what the filter says to a call."""
    data = struct.pack("<IIQ6Q", number, arch, 0, first, 0, 0, 0, 0, 0)
    lines = list(struct.iter_unpack("<HBBI", program))
    place = value = 0
    while True:
        code, yes, no, operand = lines[place]
        place += 1
        match code:
            case 0x20:
                (value,) = struct.unpack_from("<I", data, operand)
            case 0x15:
                place += yes if value == operand else no
            case 0x35:
                place += yes if value >= operand else no
            case 0x45:
                place += yes if value & operand else no
            case 0x06:
                return operand


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize(
    ("name", "first", "options", "expected"),
    [
        ("read", 0, {}, ALLOW),
        ("write", 1, {}, ALLOW),
        ("openat", 0, {}, ALLOW),
        ("mmap", 0, {}, ALLOW),
        ("socketpair", 1, {}, ALLOW),
        ("execve", 0, {}, EPERM),
        ("ptrace", 16, {}, EPERM),
        ("io_uring_setup", 1, {"network": True, "threads": True}, EPERM),
        ("clone", 0x11, {"threads": True}, EPERM),
        ("clone", 0x3D0F00, {"threads": True}, ALLOW),
        ("clone", 0x3D0F00, {}, EPERM),
        ("clone3", 0, {"threads": True}, ENOSYS),
        ("clone3", 0, {}, EPERM),
        ("socket", 2, {}, EPERM),
        ("socket", 2, {"network": True}, ALLOW),
        ("socket", 10, {"network": True}, ALLOW),
        ("socket", 1, {"network": True}, EPERM),
        ("kill", 77, {}, ALLOW),
        ("kill", 1, {}, EPERM),
        ("kill", 0xFFFFFFFF, {}, EPERM),
        ("tgkill", 77, {}, ALLOW),
        ("tgkill", 76, {}, EPERM),
        ("prlimit64", 0, {}, ALLOW),
        ("prlimit64", 1, {}, EPERM),
        ("prctl", 15, {}, ALLOW),
        ("prctl", 1, {}, EPERM),
    ],
)
def test_what_the_filter_says(machine, name, first, options, expected):
    """
    Calls of a plain program pass; what reaches out of the process does not, unless it was granted.
    """
    program = seccomp.build_filter(machine, pid=77, **{"network": False, "threads": False, **options})
    assert expected == decide(program, NUMBERS[machine][name], first, arch=ARCH[machine])


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_what_is_unknown(machine):
    """
    A call newer than the list does not exist, nor one of another calling convention; a foreign architecture is the end.
    """
    program = seccomp.build_filter(machine, pid=77, network=True, threads=True)
    assert [ENOSYS] * 3 == [decide(program, number, arch=ARCH[machine]) for number in (452, 600, 0x40000000 + 59)]
    assert KILL == decide(program, 0, arch=0x40000003)
    assert len(program) // 8 < 4096


def test_other_machines_have_no_filter():
    """
    Where there is no list of calls, there is no filter, and that is told.
    """
    with pytest.raises(OSError, match="riscv64"):
        seccomp.build_filter("riscv64", pid=1, network=False, threads=False)


@pytest.mark.parametrize(
    ("header", "column"),
    [("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", 0), ("/usr/include/asm-generic/unistd.h", 1)],
)
def test_the_numbers_are_those_of_the_kernel(header, column):
    """
    Each number is the one in the kernel's own headers, where they are installed.
    """
    if not Path(header).exists():
        pytest.skip("the headers are not installed")
    words = [line.split() for line in Path(header).read_text().splitlines() if line.startswith("#define __NR")]
    known = {
        word[1].removeprefix("__NR3264_").removeprefix("__NR_"): word[2]
        for word in words
        if len(word) > 2 and word[2].isdigit()
    }
    ours = {name: pair[column] for name, pair in {**seccomp._NUMBERS, **seccomp._ASKED}.items() if pair[column] is not None}
    wrong = {name: number for name, number in ours.items() if name in known and known[name] != str(number)}
    assert {} == wrong
    assert set() == {name for name in ours if name not in known} - {"memfd_secret", "process_mrelease", "quotactl_fd"}
