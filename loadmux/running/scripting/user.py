"""The user, as the author's code sees it: what it is, and what it may wait for."""

from __future__ import annotations

import random
import sys
from collections.abc import Coroutine
from typing import Any, NoReturn

from loadmux.driver.branch import Branch
from loadmux.driver.pool import PooledUser
from loadmux.running.scripting.iteration import Iteration, wrong
from loadmux.running.scripting.sockets import Sockets
from loadmux.running.scripting.variables import Variables
from loadmux.running.steps.transactions import Act
from loadmux.running.steps.waiting import Barrier


class User:
    """The user whose iteration the function is; made anew for each call of it.

    `user["alice"]` is a socket, `user["a", "b"]` two of them, `user["group"]` a group. All times
    are in seconds. What is called but not awaited is an error when the function ends.
    """

    __slots__ = ("_iteration",)

    def __init__(self, iteration: Iteration) -> None:
        self._iteration = iteration

    @property
    def number(self) -> int:
        """From 0, unique over all generator processes."""
        return self._iteration.task.number

    @property
    def iteration(self) -> int:
        """From 0, for each user."""
        return self._iteration.task.iteration

    @property
    def random(self) -> random.Random:
        """The user's own source of chance, from the run's seed."""
        return self._iteration.task.random

    @property
    def variables(self) -> Variables:
        return Variables(self._iteration.task, self._iteration.library)

    def __getitem__(self, names: str | tuple[str, ...]) -> Sockets:
        return Sockets(self._iteration, (names,) if isinstance(names, str) else names)

    def sleep(self, seconds: float) -> Coroutine[Any, Any, None]:
        """Wait for so long."""
        if not seconds >= 0:
            raise ValueError(f"user.sleep takes seconds, not {seconds!r}")
        return self._iteration.promise(self._sleep(seconds))

    def barrier(self, name: str) -> Coroutine[Any, Any, None]:
        """Wait until every running user is at the barrier of this name."""
        return self._iteration.promise(self._barrier(name))

    def together(self, *branches: Coroutine[Any, Any, Any]) -> Coroutine[Any, Any, list[Any]]:
        """Do all of these at once; their results in the same order, when all have ended.

        `await user.together(user["a"].exchange("x"), talk(user, "b"))`. No two branches may use
        the same socket, unless one only sends on it and the other only expects. The first fault
        cancels the others.
        """
        for one in branches:
            if not isinstance(one, Coroutine):
                raise TypeError(
                    f"user.together takes calls of async functions, not {type(one).__name__}"
                )
        caller = sys._getframe(1)
        return self._iteration.promise(
            self._iteration.branches(branches, (caller.f_code.co_filename, caller.f_lineno))
        )

    def transaction(self, name: str) -> Act:
        """`async with user.transaction("log in"):` times what is awaited in it as one row."""
        return Act(self._iteration.task, self._iteration.library.compiler.transaction(name))

    def fail(self, text: str) -> NoReturn:
        """Say that the target is wrong: a fault of the kind `check`, which ends the iteration.

        Raises it.
        """
        caller = sys._getframe(1)
        iteration, where = self._iteration, f"{caller.f_code.co_filename}:{caller.f_lineno}"
        iteration.over = iteration.over or wrong(where, text)
        raise iteration.over

    async def _sleep(self, seconds: float) -> None:
        task = self._iteration.task
        await task.pause(seconds)
        await task.give_way()

    async def _barrier(self, name: str) -> None:
        task = self._iteration.task
        if isinstance(task, Branch):
            raise ValueError("a barrier cannot stand in a branch: the whole user waits")
        if isinstance(task, PooledUser):
            raise ValueError("a barrier needs a fixed number of users: no rate, ramps or phases")
        await Barrier(f"barrier {name}", name).run(task)
