"""What /proc says of processes; nothing, where there is none (macOS, BSD)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")


class Process(NamedTuple):
    """A process: `state` as proc(5) has it (Z is a zombie), `parent` and `group` are numbers."""

    pid: int
    name: str
    state: str
    parent: int
    group: int


def every() -> Iterator[Process]:
    """All the processes that there are."""
    for entry in PROC.glob("[0-9]*"):
        with suppress(OSError, ValueError):
            yield parsed(int(entry.name), (entry / "stat").read_text(errors="replace"))


def parsed(pid: int, text: str) -> Process:
    """A line of /proc/PID/stat; the name in it may hold anything. Raises ValueError."""
    head, _, rest = text.rpartition(")")
    state, parent, group, *_ = rest.split()
    return Process(pid, head.partition("(")[2], state, int(parent), int(group))


def members(group: int) -> list[Process]:
    """The processes of a group that have not ended."""
    return [one for one in every() if one.group == group and one.state != "Z"]
