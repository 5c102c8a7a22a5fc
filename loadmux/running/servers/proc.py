"""What /proc says of processes; nothing, where there is none (macOS, BSD), or none of our business.

See proc(5); schedstat is described in Documentation/scheduler/sched-stats of the kernel.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
ZOMBIE, RUNNABLE = "Z", "R"
_SOCKET = re.compile(r"socket:\[([0-9]+)\]")


class Process(NamedTuple):
    """A process: `state` as proc(5) has it (Z is a zombie), `parent` and `group` are numbers."""

    pid: int
    name: str
    state: str
    parent: int
    group: int


def every() -> Iterator[Process]:
    """All the processes that there are."""
    for name in filter(str.isdigit, os.listdir(PROC)):
        with suppress(OSError, ValueError):
            yield parsed(int(name), _line(f"{PROC}/{name}/stat"))


def _line(path: str) -> str:
    """What such a file says, if that is short. No Path: there is a file for each process."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, 4096).decode(errors="replace")
    finally:
        os.close(descriptor)


def parsed(pid: int, text: str) -> Process:
    """A line of /proc/PID/stat; the name in it may hold anything. Raises ValueError."""
    head, _, rest = text.rpartition(")")
    state, parent, group, *_ = rest.split()
    return Process(pid, head.partition("(")[2], state, int(parent), int(group))


def members(group: int) -> list[Process]:
    """The processes of a group that have not ended."""
    return [one for one in every() if one.group == group and one.state != ZOMBIE]


def family(roots: Collection[int]) -> list[Process]:
    """These processes, those of their groups, and all that descend from them; zombies too."""
    found = {one.pid: one for one in every()}
    ours = {pid for pid in roots if pid in found}
    groups = ours & {found[pid].group for pid in ours}  # only of those that lead one
    ours |= {one.pid for one in found.values() if one.group in groups}
    while more := {one.pid for one in found.values() if one.parent in ours} - ours:
        ours |= more
    return [found[pid] for pid in sorted(ours)]


def threads(pid: int) -> list[Path]:
    """The folders of a process's threads; none where it has ended."""
    return _entries(pid, "task")


def _entries(pid: int, folder: str) -> list[Path]:
    """Not by glob(), which looks whether the folder is there first: by then it may have gone."""
    with suppress(OSError):
        path = PROC / str(pid) / folder
        return [path / name for name in os.listdir(path)]
    return []


def thread_times(pid: int) -> dict[int, tuple[int, int]]:
    """For how many nanoseconds each thread has run, and has waited for a free CPU."""
    times = {}
    for task in threads(pid):
        with suppress(OSError, ValueError):
            running, waiting, *_ = (task / "schedstat").read_text().split()
            times[int(task.name)] = int(running), int(waiting)
    return times


def runnable(pid: int) -> bool:
    """Whether a thread of a process runs at this moment, or waits for a free CPU."""
    for task in threads(pid):
        with suppress(OSError, ValueError):
            if parsed(pid, (task / "stat").read_text(errors="replace")).state == RUNNABLE:
                return True
    return False


def cpu_seconds(roots: Collection[int]) -> float:
    """What these processes, and all that descend from them, have used of any CPU until now."""
    return cpu_of([one.pid for one in family(roots)])


def offspring(roots: Collection[int]) -> list[int]:
    """These processes and all that descend from them, without a look at any others."""
    found = list(roots)
    for pid in found:
        for task in threads(pid):
            with suppress(OSError, ValueError):
                found += map(int, (task / "children").read_text().split())
    return found


def cpu_of(pids: Collection[int]) -> float:
    """What these processes, and those they have waited for, have used of any CPU (seconds)."""
    ticks = 0
    for pid in pids:
        with suppress(OSError, ValueError):
            text = (PROC / str(pid) / "stat").read_text(errors="replace")
            # utime, stime, and those of children that have been waited for: fields 14 to 17
            ticks += sum(map(int, text.rpartition(")")[2].split()[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def sockets(pid: int) -> set[int]:
    """The inodes of the sockets that a process has open."""
    found = set()
    for entry in _entries(pid, "fd"):
        with suppress(OSError):
            if match := _SOCKET.fullmatch(str(entry.readlink())):
                found.add(int(match[1]))
    return found


def files(pid: int) -> int:
    """How many descriptors a process has that are no sockets: files, pipes, pollers."""
    return max(0, len(_entries(pid, "fd")) - len(sockets(pid)))


def tcp_sockets(pid: int) -> set[int]:
    """Those of them that are TCP's, if its network is ours: of another's /proc/net says nothing."""
    found: set[int] = set()
    if sys.platform != "linux" or network(pid) != network("self"):
        return found
    for entry in (PROC / str(pid) / "fd").glob("*"):
        with suppress(OSError):
            match = _SOCKET.fullmatch(os.readlink(entry))
            if match and os.getxattr(entry, "system.sockprotoname").startswith(b"TCP"):
                found.add(int(match[1]))
    return found


def network(pid: int | str) -> str:
    """The network namespace of a process; "" where nobody tells."""
    with suppress(OSError):
        return os.readlink(PROC / str(pid) / "ns" / "net")
    return ""


def peak_memory(pid: int) -> int:
    """The most bytes that a process has held in memory; 0 where nobody tells."""
    with suppress(OSError, ValueError):
        for line in (PROC / str(pid) / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def owners(inodes: Collection[int]) -> list[int]:
    """The processes that have one of these sockets open, as far as we may look."""
    return [one.pid for one in every() if not sockets(one.pid).isdisjoint(inodes)]
