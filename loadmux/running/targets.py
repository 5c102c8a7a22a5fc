"""The targets of a run: where they listen, whether they died, and what their processes do."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from loadmux.language.meaning.servers import Url
from loadmux.running.compiling.endpoints import resolve
from loadmux.running.servers.watching import leaves_work, local, record, watched
from loadmux.running.state import Part


def urls_of(part: Part) -> dict[str, Url]:
    """Where the targets listen, by name. Raises TargetFailed where a host has no address."""
    urls = {}
    for name, target in part.scenario.servers.items():
        url = part.processes[name].url if name in part.processes else target.url
        assert url is not None
        resolve(url)
        urls[name] = url
    return urls


def note_death(part: Part) -> None:
    """Write down how one of its targets ended on its own, and what it said last."""
    for name, process in part.processes.items():
        died = None if part.died else process.died()
        if died is not None:
            part.died = f"{name}: {died}" if name else died
            part.last_lines = process.last_lines()


def roots_of(parts: Sequence[Part]) -> set[int]:
    """The processes of this machine that are the targets; none where one of them is elsewhere."""
    found: set[int] = set()
    for part in parts:
        for name, url in part.urls.items():
            process = part.processes.get(name)
            roots = local(url) if process is None else [process.process.pid]
            if not roots:
                return set()
            found |= set(roots)
    return found


def watch(part: Part, always: bool) -> None:
    """Look at the targets' processes, as they are before any client."""
    scenario = part.scenario
    for name, url in part.urls.items():
        target, process = scenario.servers[name], part.processes.get(name)
        wanted = always or target.watch is not None
        roots = [process.process.pid] if process is not None else local(url) if wanted else []
        if roots:
            label = part.say(name) if name else part.label
            part.watched.append(watched(label, url, roots, name, scenario))
        elif wanted:
            part.unseen.append(f"no process that listens at {url} can be looked at from here")


def look_at(part: Part, began: float, given_up: Callable[[], bool]) -> None:
    """After the last client: what the targets' processes do then; `began` is a `monotonic` time."""
    for one in part.watched:
        one.came = part.stats.connects.count
        part.findings += one.findings(given_up, leaves_work(part.stats))
    record([one for one in part.findings if one.fault], part.stats, began)


def words(part: Part, name: str) -> tuple[str, ...]:
    """The command that started a target, if there is one."""
    started = part.scenario.servers[name].command is not None and name in part.processes
    return part.processes[name].words if started else ()
