"""Target servers that are broken in every way that a file on this machine can be."""

from __future__ import annotations

from pathlib import Path

KILLED = "import os, signal\nos.kill(os.getpid(), {})\n"
BROKEN = {
    "illegal": (KILLED.format("signal.SIGILL"), "killed by SIGILL (Illegal instruction)"),
    "segfault": (
        "import ctypes, resource\n"
        "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
        "ctypes.string_at(0)\n",
        "killed by SIGSEGV (Segmentation fault)",
    ),
    "realtime": (KILLED.format("signal.SIGRTMIN + 3"), "killed by signal 37"),
    "unimportable": (
        "import there_is_no_such_module\n",
        "ModuleNotFoundError: No module named 'there_is_no_such_module'",
    ),
    "misspelt": ("def serve(:\n", "SyntaxError: invalid syntax"),
    "unhappy": ("import sys\nsys.exit('it rains\\a here')\n", "it rains  here"),
    "wordless": ("import sys\nsys.exit(3)\n", "exited with 3"),
    "mute": ("", "what it says of itself is not understood: ''"),
    "rubbish": (
        "print('good morning')\n",
        "what it says of itself is not understood: 'good morning'",
    ),
    "list": ("print('[1]')\n", "what it says of itself is not understood: '[1]'"),
    "part": ("""print('{"reason": null}')\n""", "what it says of itself is not understood: "),
    "binary": (
        "import sys\nsys.stdout.buffer.write(bytes(range(256)))\n",
        "what it says of itself is not understood: ",
    ),
    "deep": ("print('[' * 60000)\n", "what it says of itself is not understood: '[[[["),
    "odd": (
        "import json\n"
        "words = dict.fromkeys(('summary', 'waits', 'limit', 'platforms'), 'x')\n"
        "print(json.dumps({'reason': None, 'at_once': 'many', 'pool': None, **words}))\n",
        "what it says of itself is not understood: ",
    ),
}
"""Each one's text, and how the reason begins for which it is not here."""

HELD = "held"
HOLDS = (
    "import fcntl, os, pathlib, signal, sys\n"
    f"held = open(pathlib.Path(__file__).with_name('{HELD}'), 'w')\n"
    "fcntl.flock(held, fcntl.LOCK_EX)\n"
)
LATE = "it did not answer within 1 s"
FOREVER = {
    "sleeping": ("signal.signal(signal.SIGTERM, signal.SIG_IGN)\nsignal.pause()\n", LATE),
    "half_asleep": ("os.close(1)\nos.close(2)\nsignal.pause()\n", LATE),
    "left_behind": ("if os.fork() == 0:\n    signal.pause()\n", BROKEN["mute"][1]),
    "talking": ("while True:\n    print('x' * 1000)\n", LATE),
    "complaining": ("while True:\n    print('x' * 1000, file=sys.stderr)\n", LATE),
}
"""Those that do not end, or leave a child that does not; and why they are not here.

Each holds a lock on the file `HELD` beside it until all its processes have ended.
"""


def write(folder: Path, name: str, text: str) -> None:
    """Put a target into a folder of targets."""
    (folder / f"{name}_server.py").write_text(text)
