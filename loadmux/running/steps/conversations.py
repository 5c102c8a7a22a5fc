"""What a background branch does not end within: sends, and the steps that take their replies.

A branch in the background ends after the step in hand. Between a `send` and the `expect` that takes
its reply that would leave the reply to whoever speaks next on the socket, and a right server would
be blamed for it. So such steps are one: once begun they are carried out to the last reply, and only
their waits end early.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from loadmux.driver.user import Operation, VirtualUser, walk
from loadmux.language.stepvalues import Exchange, For, Repeat, Step, Together, Transaction


@dataclass(slots=True)
class Conversation:
    """Steps that belong together, from the first send to the last reply."""

    name: str
    do: Sequence[Operation]

    async def run(self, user: VirtualUser) -> None:
        shift = user.shift
        shift.held += 1
        try:
            await walk(user, self.do)
        finally:
            shift.held -= 1


def joined(script: Sequence[Step], operations: Sequence[Operation]) -> list[Operation]:
    """The operations of these steps, those that belong together as one."""
    found: list[Operation] = []
    begin = 0
    for end in _ends(script):
        several = operations[begin:end]
        found += several if len(several) == 1 else [Conversation(several[0].name, several)]
        begin = end
    return found


def _ends(script: Sequence[Step]) -> Iterator[int]:
    """Behind which steps the branch may end: where no later one takes what was sent before.

    An `expect` answers one `send`, as everywhere; what comes besides nobody has asked for, and the
    branch does not stay for it.
    """
    said = [Counter(_speaking(step, sending=True)) for step in script]
    heard = [Counter(_speaking(step, sending=False)) for step in script]
    owed: Counter[int] = Counter()
    for place in range(1, len(script) + 1):
        owed = owed + said[place - 1] - heard[place - 1]
        if not set(owed) & set().union(*heard[place:]):
            yield place


def _speaking(step: Step, sending: bool) -> Iterator[int]:
    """The sockets on which a step, or one within it, only sends; or only expects. Each as often."""
    match step:
        case Exchange(send=send, expect=expect):
            if (send is not None, expect is not None) == (sending, not sending):
                yield from step.sockets
        case Repeat(times=times, do=do):
            yield from times * [*chain.from_iterable(_speaking(one, sending) for one in do)]
        case For(values=values, do=do):
            yield from len(values) * [*chain.from_iterable(_speaking(one, sending) for one in do)]
        case Transaction(do=do):
            yield from chain.from_iterable(_speaking(one, sending) for one in do)
        case Together(branches=branches):
            yield from chain.from_iterable(_speaking(one, sending) for one in chain(*branches))
        case _:
            pass
