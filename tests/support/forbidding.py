"""Runs a program for which the kernel refuses one system call, by a seccomp filter of our own.

`python forbidding.py NUMBER ERRNO COMMAND...`: the call fails with ERRNO, or, where that is `kill`,
kills whoever makes it. Exit code 77 where the kernel has no such filters; seccomp(2), prctl(2).
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

UNABLE = 77
NO_NEW_PRIVS, SECCOMP, MODE_FILTER = 38, 22, 2
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, FAIL, KILL = 0x7FFF0000, 0x00050000, 0x80000000


class Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


def forbid(number: int, answer: int) -> bool:
    """Have the kernel give `answer` to system call `number` from now on; False if it cannot."""
    instructions = (
        (LOAD, 0, 0, 0),  # the number of the system call
        (EQUAL, 0, 1, number),
        (RETURN, 0, 0, answer),
        (RETURN, 0, 0, ALLOW),
    )
    packed = b"".join(struct.pack("HBBI", *one) for one in instructions)
    program = Program(len(instructions), packed)
    prctl = ctypes.CDLL(None).prctl
    return not (
        prctl(NO_NEW_PRIVS, 1, 0, 0, 0) or prctl(SECCOMP, MODE_FILTER, ctypes.byref(program))
    )


if __name__ == "__main__":
    wanted = sys.argv[2]
    if not forbid(int(sys.argv[1]), KILL if wanted == "kill" else FAIL | int(wanted)):
        sys.exit(UNABLE)
    os.execv(sys.argv[3], sys.argv[3:])
