"""Several things at once within a user: branches, each a task of its own on the user's loop.

A branch is a view of its user: number, iteration, variables, chance and statistics are shared,
only what a task is (what it waits for, its deadline) is its own. A connection is driven by one
task at a time, so a branch takes over those that it uses (but for those on which it only sends
what another one reads, see `duplex`) and the user gets them back at the end,
which happens in the user's own turn: the loop looks at a connection's task when a branch ends.

The first fault ends all: the other branches are cancelled in their order and are not blamed, the
fault is raised in the user. One iteration thus has one fault, as it has without branches.

Branches that ended normally are used again. The loop keeps a reference to a task until its last
deadline is over, so new ones for each iteration would pile up there.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from time import perf_counter
from typing import Literal

from loadmux.driver import duplex
from loadmux.driver.connection import Connection
from loadmux.driver.control import Shift
from loadmux.driver.loop import NEVER, Interrupted, Task, wait_io
from loadmux.driver.user import Operation, VirtualUser, walk
from loadmux.errors import Fault, ScriptFailed

Body = Callable[["Branch"], Awaitable[None]]
"""What a branch does."""

Side = Literal["send", "expect", "both"]
"""What a branch does on a connection: a connection has one writer and one reader."""


class Branch(VirtualUser):
    """One of the things that `parent` (a user, or a branch of one) does at once."""

    __slots__ = ("parent", "sides", "spoken", "taken")

    def __init__(self, parent: VirtualUser) -> None:
        Task.__init__(self, parent.loop)
        self.parent = parent
        self.control = parent.control
        self.script = parent.script
        self.number = parent.number
        self.connections = parent.connections
        self.streak = 0
        self.resting = self.interrupted = self.broken_off = False
        self.spare = self.plans = None
        self.taken: list[tuple[Connection, VirtualUser]] = []
        self.spoken: list[Connection] = []
        self.sides: dict[Connection, Side] = {}

    def begin(self) -> None:
        """Share what the user has by now."""
        parent = self.parent
        if parent.variables is None:
            parent.variables = {}
        self.variables = parent.variables
        self.iteration = parent.iteration
        self.waited = 0.0
        self.shift = parent.shift
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
            if owner is not self and (connection.writer is None or not self.speaks(connection)):
                assert isinstance(owner, VirtualUser)
                self.taken.append((connection, owner))
                connection.task, connection.resume = self, self.resume

    def speak(self, connection: Connection) -> None:
        """Only send on a connection that another branch reads, until this one ends."""
        connection.writer = self
        self.spoken.append(connection)

    def speaks(self, connection: Connection) -> bool:
        """Whether this branch, or one that it is part of, is the writer of a connection."""
        one: VirtualUser = self
        while connection.writer is not one and isinstance(one, Branch):
            one = one.parent
        return connection.writer is one

    def claim(self, connection: Connection, side: Side) -> bool:
        """Use a connection on this side; false where another branch has yet to end what it is at.

        Raises ValueError where that cannot be.
        """
        owner = connection.task
        if self.speaks(connection):
            allowed = side == "send"
        elif owner is self:
            known = self.sides.get(connection, side)
            self.sides[connection] = known if known == side else "both"
            allowed = known == side or connection.writer is None
        elif self._within(owner):
            self.take([connection])
            self.sides[connection], allowed = side, True
        else:
            return self._share(connection, owner, side)
        if not allowed:
            raise ValueError(f"two branches use the socket {connection.name!r} at once")
        return True

    def _within(self, owner: Task) -> bool:
        one: VirtualUser = self
        while isinstance(one, Branch):
            one = one.parent
            if one is owner:
                return True
        return False

    def _share(self, connection: Connection, owner: Task, side: Side) -> bool:
        """Read what another branch sends, or send where it reads."""
        theirs = owner.sides.get(connection) if isinstance(owner, Branch) else None
        if connection.writer is not None or {theirs, side} != {"send", "expect"}:
            raise ValueError(f"two branches use the socket {connection.name!r} at once")
        assert isinstance(owner, Branch)
        if side == "send":
            self.speak(connection)
            return True
        if connection.midway or not duplex.settled(connection):
            return False
        whose = next(one for one in owner.taken if one[0] is connection)
        owner.taken.remove(whose)
        if not owner.done:  # one that has ended would stay its writer, and nobody hush it
            owner.speak(connection)
        self.taken.append(whose)
        connection.task, connection.resume = self, self.resume
        self.sides[connection] = side
        return True

    def relieve(self) -> None:
        """All others have ended: go on no longer than the step in hand, and for a message that
        nobody has asked for not at all.
        """
        if self.shift.over or self.done:
            return
        self.shift.end()
        if not self.shift.unasked:
            return
        idle = [one for one, _ in self.taken if one.want and one.verifier is not None]
        begun = [one for one in idle if one.unanswered or one.midway or one.heard or one.opening]
        if idle and not begun:
            self.loop.throw(self, Interrupted())
            for one in idle:
                one.want, one.verifier, one.owed = 0, None, None

    def hush(self) -> None:
        """It has ended."""
        for connection in self.spoken:
            duplex.hush(connection)

    def give_back(self) -> None:
        for connection in self.spoken:
            duplex.settle(connection)
        if self.spoken or self.sides:
            self.spoken.clear()
            self.sides.clear()
        for connection, owner in reversed(self.taken):
            connection.task, connection.resume = owner, owner.resume
            connection.want = 0
        self.taken.clear()


class _Group:
    """The branches of one `together`: who still runs, what went wrong first, who has to know.

    `others` are those that do not end by themselves, `left` is how many of the rest still run.
    `busy` is how long (seconds) the branch took that took longest, its pauses left out.
    """

    def __init__(self, parent: VirtualUser, count: int, others: Sequence[Branch]) -> None:
        self.parent = parent
        self.running = count
        self.others = others
        self.left = count - len(others)
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
            branch.hush()
            if branch not in self.others:
                self.busy = max(self.busy, perf_counter() - began - branch.waited)
                self.left -= 1
            self._ended()

    def _ended(self) -> None:
        """Wake the parent once, when there is something for it to do."""
        self.running -= 1
        if not self.left and self.error is None:
            for one in self.others:
                one.relieve()
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
    user: VirtualUser,
    bodies: Sequence[Body],
    uses: Sequence[Sequence[int]] = (),
    says: Sequence[Sequence[int]] = (),
    background: Collection[int] = (),
) -> None:
    """Do all of `bodies` at once; `uses[i]` are the sockets that body i takes from the start,
    `says[i]` those of others on which it only sends. Bodies whose numbers are in the `background`
    end with their branch's `shift`, which is over when all others have ended.

    Raises the first Fault or ScriptFailed of a branch, and Interrupted, once no branch runs.
    """
    branches = [_branch(user) for _ in bodies]
    others = [branches[number] for number in background]
    for one in others:
        one.shift = Shift()
    group = _Group(user, len(bodies), others)
    late, user.late = user.late, 0.0
    began = perf_counter()
    for branch, body in zip(branches, bodies, strict=True):
        branch.late = late  # in open load each branch has a first exchange
        user.loop.spawn(branch, group.walk(branch, body))
    for branch, sockets in zip(branches, uses, strict=False):
        branch.take(user.connections[index] for index in sockets)
    for branch, sockets in zip(branches, says, strict=False):
        for index in sockets:
            branch.speak(user.connections[index])
    interrupted = None
    try:
        await group.over()
    except Interrupted as error:
        interrupted = error
    for branch in branches:
        while not branch.done:  # a step may take its interruption for the end of what it waits for
            user.loop.throw(branch, Interrupted())
    for branch in reversed(branches):
        branch.give_back()
    if group.error is not None:
        raise group.error
    if interrupted is not None:
        raise interrupted
    user.waited += max(0.0, perf_counter() - began - group.busy)
    user.spare = [*(user.spare or ()), *branches]


async def again(branch: Branch, steps: Sequence[Operation]) -> None:
    """Steps that are repeated until the branch's shift is over."""
    while not branch.shift.over:
        await walk(branch, steps)
        await branch.give_way()


def _branch(user: VirtualUser) -> Branch:
    branch = user.spare.pop() if user.spare else Branch(user)
    assert isinstance(branch, Branch)
    branch.begin()
    return branch
