"""Steps that hold others (`repeat`, `for`, `together`), and `set`, which names what they use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from loadmux.driver.branch import again, together
from loadmux.driver.user import Operation, VirtualUser, walk
from loadmux.running.steps.connecting import opened
from loadmux.running.steps.messages import Render


@dataclass(slots=True)
class Repeat:
    """`left_open`: the sockets on which what is still open after each time is never answered."""

    name: str
    times: int
    do: Sequence[Operation]
    left_open: Sequence[int] = ()

    async def run(self, user: VirtualUser) -> None:
        for _ in range(self.times):
            await walk(user, self.do)
            user.owe_nothing(self.left_open)


@dataclass(slots=True)
class For:
    name: str
    variable: str
    values: Sequence[Render]
    do: Sequence[Operation]
    left_open: Sequence[int] = ()

    async def run(self, user: VirtualUser) -> None:
        for value in self.values:
            user.set(self.variable, value(user, "", b""))
            await walk(user, self.do)
            user.owe_nothing(self.left_open)


@dataclass(slots=True)
class Set:
    name: str
    values: Mapping[str, Render]

    async def run(self, user: VirtualUser) -> None:
        values = {name: value(user, "", b"") for name, value in self.values.items()}
        for name, value in values.items():
            user.set(name, value)
        await user.give_way()


@dataclass(slots=True)
class Together:
    """Branches at once; `uses[i]` are the sockets that branch i drives, `says[i]` those of others
    on which it only sends. Those in the `background` are repeated.
    """

    name: str
    branches: Sequence[Sequence[Operation]]
    uses: Sequence[tuple[int, ...]]
    says: Sequence[tuple[int, ...]] = ()
    background: Sequence[int] = ()

    async def run(self, user: VirtualUser) -> None:
        if self.says:
            await opened(user, [index for one in self.says for index in one])
        bodies = [partial(walk, steps=branch) for branch in self.branches]
        for number in self.background:
            bodies[number] = partial(again, steps=self.branches[number])
        await together(user, bodies, self.uses, self.says, self.background)
        await user.give_way()
