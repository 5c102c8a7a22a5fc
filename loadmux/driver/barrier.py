"""Barriers: users wait for one another at a named place until every running user is there.

Who counts as running is for the owner of the users to say (`running`, a number that only this
module compares). A user that ends leaves the count, so nobody waits for the dead. When all running
users wait but at different barriers (one was started late, or lost its iteration to a fault), none
of them could ever go on: then the barrier that was reached first in the run opens, so that those
who are behind catch up.

With several generator processes nobody can decide alone: `announce` is told whenever this process
comes to stand still (who waits where) or moves again (None), and `open` is called from outside.
"""

from __future__ import annotations

from collections.abc import Callable

from loadmux.driver.loop import NEVER, Task, wait_io

Announce = Callable[[dict[str, int] | None], None]
"""Takes how many wait at which barrier, in the order in which they were first reached."""


class Barriers:
    """The barriers of one loop; `announce` None: this process decides alone."""

    def __init__(self, running: Callable[[], int], announce: Announce | None = None) -> None:
        self._running = running
        self._announce = announce
        self._waiting: dict[str, dict[Task, None]] = {}
        self._told: dict[str, int] | None = None

    @property
    def blocked(self) -> bool:
        """Whether every running user waits at some barrier (also when none is running)."""
        return sum(map(len, self._waiting.values())) >= self._running()

    @property
    def standstill(self) -> bool:
        """Whether somebody waits, and every running user does."""
        return any(self._waiting.values()) and self.blocked

    @property
    def standing(self) -> dict[str, int] | None:
        """How many wait at which barrier, where every running user does; else None."""
        return self._waits() if self.blocked else None

    def _waits(self) -> dict[str, int]:
        return {name: len(tasks) for name, tasks in self._waiting.items() if tasks}

    async def wait(self, task: Task, name: str) -> None:
        """Wait at `name` until it opens; only the loop's `throw` ends the wait before."""
        self._waiting.setdefault(name, {})[task] = None
        self.look()
        task.deadline = NEVER
        try:
            await wait_io(task)
        finally:
            self._waiting[name].pop(task, None)

    def look(self) -> None:
        """Open what can be opened; to be called whenever the number of running users changes."""
        waits = self._waits()
        if self._announce is not None:
            told = self.standing
            if told != self._told:
                self._told = told
                self._announce(told)
        elif waits and self.blocked:
            self.open(next(iter(waits)))

    def open(self, name: str) -> None:
        """Let everyone who waits at `name` go on, in the next turn of the loop."""
        waiting, self._waiting[name] = self._waiting.get(name, {}), {}
        self._told = None
        for task in waiting:
            task.loop.wake(task)
