"""Several things at once within a user: branches, each a task of its own on the user's loop.

A branch is a view of its user: number, iteration, variables, chance and statistics are shared,
only what a task is (what it waits for, its deadline) is its own. A connection is driven by one
task at a time, so a branch takes over those that it uses and the user gets them back at the end,
which happens in the user's own turn: the loop looks at a connection's task when a branch ends.

The first fault ends all: the other branches are cancelled in their order and are not blamed, the
fault is raised in the user. One iteration thus has one fault, as it has without branches.

Branches that ended normally are used again. The loop keeps a reference to a task until its last
deadline is over, so new ones for each iteration would pile up there.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from time import perf_counter

from loadmux.driver.connection import Connection
from loadmux.driver.loop import NEVER, Interrupted, Task, wait_io
from loadmux.driver.user import VirtualUser
from loadmux.errors import Fault, ScriptFailed

Body = Callable[["Branch"], Awaitable[None]]
"""What a branch does."""


class Branch(VirtualUser):
    """One of the things that `parent` (a user, or a branch of one) does at once."""

    __slots__ = ("parent", "taken")

    def __init__(self, parent: VirtualUser) -> None:
        Task.__init__(self, parent.loop)
        self.parent = parent
        self.control = parent.control
        self.script = parent.script
        self.number = parent.number
        self.connections = parent.connections
        self.streak = 0
        self.resting = self.interrupted = False
        self.spare = None
        self.taken: list[tuple[Connection, VirtualUser]] = []

    def begin(self) -> None:
        """Share what the user has by now."""
        parent = self.parent
        if parent.variables is None:
            parent.variables = {}
        self.variables = parent.variables
        self.iteration = parent.iteration
        self.waited = 0.0
        self.done = self.started = False

    @property
    def random(self) -> random.Random:
        return self.parent.random

    def note_cut_short(self) -> None:
        self.parent.note_cut_short()

    def take(self, connections: Iterable[Connection]) -> None:
        """Drive these connections from now on, until `give_back`."""
        for connection in connections:
            owner = connection.task
            if owner is not self:
                assert isinstance(owner, VirtualUser)
                self.taken.append((connection, owner))
                connection.task, connection.resume = self, self.resume

    def give_back(self) -> None:
        for connection, owner in reversed(self.taken):
            connection.task, connection.resume = owner, owner.resume
            connection.want = 0
        self.taken.clear()


class _Group:
    """The branches of one `together`: who still runs, what went wrong first, who has to know.

    `busy` is how long (seconds) the branch took that took longest, its pauses left out.
    """

    def __init__(self, parent: VirtualUser, count: int) -> None:
        self.parent = parent
        self.running = count
        self.error: Fault | ScriptFailed | None = None
        self.sleeping = False
        self.busy = 0.0

    async def walk(self, branch: Branch, body: Body) -> None:
        branch.started = True
        began = perf_counter()
        try:
            await body(branch)
        except (Fault, ScriptFailed) as error:
            self.error = self.error or error
        finally:
            self.busy = max(self.busy, perf_counter() - began - branch.waited)
            self._ended()

    def _ended(self) -> None:
        """Wake the parent once, when there is something for it to do."""
        self.running -= 1
        if self.sleeping and (self.error is not None or not self.running):
            self.sleeping = False
            self.parent.loop.wake(self.parent)

    async def over(self) -> None:
        """Wait until all branches have ended, or one of them in a fault."""
        while self.running and self.error is None:
            self.sleeping = True
            self.parent.deadline = NEVER
            try:
                await wait_io(self.parent)
            finally:
                self.sleeping = False


async def together(
    user: VirtualUser, bodies: Sequence[Body], uses: Sequence[Sequence[int]] = ()
) -> None:
    """Do all of `bodies` at once; `uses[i]` are the sockets that body i takes from the start.

    Raises the first Fault or ScriptFailed of a branch, and Interrupted, once no branch runs.
    """
    group = _Group(user, len(bodies))
    branches = [_branch(user) for _ in bodies]
    late, user.late = user.late, 0.0
    began = perf_counter()
    for branch, body in zip(branches, bodies, strict=True):
        branch.late = late  # in open load each branch has a first exchange
        user.loop.spawn(branch, group.walk(branch, body))
    for branch, sockets in zip(branches, uses, strict=False):
        branch.take(user.connections[index] for index in sockets)
    interrupted = None
    try:
        await group.over()
    except Interrupted as error:
        interrupted = error
    for branch in branches:
        if not branch.done:
            user.loop.throw(branch, Interrupted())
            assert branch.done, "nothing in a branch waits on after it was cancelled"
    for branch in reversed(branches):
        branch.give_back()
    if group.error is not None:
        raise group.error
    if interrupted is not None:
        raise interrupted
    user.waited += max(0.0, perf_counter() - began - group.busy)
    user.spare = [*(user.spare or ()), *branches]


def _branch(user: VirtualUser) -> Branch:
    branch = user.spare.pop() if user.spare else Branch(user)
    assert isinstance(branch, Branch)
    branch.begin()
    return branch
