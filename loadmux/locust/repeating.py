"""The command line that repeats a test: as it was given, with what the start form chose, and the
seed.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from locust.argument_parser import ui_extra_args_dict

from loadmux.locust.preparation import BEST, NONE, OWN

FLAGS: dict[str, tuple[str, ...]] = {
    "host": ("--host", "-H"),
    "num_users": ("--users", "-u"),
    "spawn_rate": ("--spawn-rate", "-r"),
    "run_time": ("--run-time", "-t"),
}
"""Of Locust's own options in the form, the long one first; ours are called like their fields."""


def repeats(given: Mapping[str, Any], chosen: Mapping[str, Any], seed: int) -> str:
    """The command line: `given` are the options that it made, `chosen` those of the test."""
    words = sys.argv[1:]
    if words[:1] == ["-f"] and words[1].endswith("loadmux/locust/file/locustfile.py"):
        program, words = ["loadmux", "web"], words[2:]
    else:
        program = ["locust"]
    for name in [*FLAGS, *ui_extra_args_dict()]:
        now = chosen.get(name)
        if now != given.get(name):
            flags = FLAGS.get(name, (f"--{name.replace('_', '-')}",))
            words = [*without(words, flags), *said(flags[0], now)]
    return shlex.join([*program, *without(words, ("--seed",)), "--seed", str(seed)])


def said(flag: str, value: Any) -> list[str]:
    """An option as words; none for what says nothing."""
    if value in (None, "", OWN, BEST, NONE) or isinstance(value, bool):
        return [flag] if value is True else []
    if flag == "--run-time":
        return [flag, f"{value}s"]
    values = value if isinstance(value, list) else [value]
    return [word for one in values for word in (flag, str(one))]


def without(words: Sequence[str], flags: Iterable[str]) -> list[str]:
    """The words without these options and their values."""
    left, skip = [], False
    for word in words:
        name, equals, _ = word.partition("=")
        if skip:
            skip = False
        elif name in flags:
            skip = not equals
        elif not any(len(flag) == 2 and word.startswith(flag) for flag in flags):
            left.append(word)
    return left
