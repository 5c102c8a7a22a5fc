"""What a background branch does not end within: sends, and the steps that take their replies.

A branch in the background ends after the step in hand. Between a `send` and the `expect` that takes
its reply that would leave the reply to whoever speaks next on the socket, and a right server would
be blamed for it. So such steps are one: once begun they are carried out to the last reply, and only
their waits end early.

Messages and replies are counted here, as the bytes on the wire have them; `answering` counts sends,
as a connection does that times them: three requests in one send are three here, and one there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from loadmux.checking.framing import Framing
from loadmux.driver.user import Operation, VirtualUser, walk
from loadmux.language.meaning.expected import Answer, AnyOrder, Listed, Reply, every
from loadmux.language.meaning.stepvalues import (
    Exchange,
    For,
    Repeat,
    Step,
    Together,
    Transaction,
    flat,
)
from loadmux.plugins.payloads import Data, Framed, Joined, Payload, Spoken, Text


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


Protocols = Mapping[int, Framing]
"""What is spoken on sockets, where the replies to raw requests say it."""


def joined(script: Sequence[Step], operations: Sequence[Operation]) -> list[Operation]:
    """The operations of these steps, those that belong together as one."""
    found: list[Operation] = []
    begin = 0
    for end in _ends(script, _spoken(script)):
        several = operations[begin:end]
        found += several if len(several) == 1 else [Conversation(several[0].name, several)]
        begin = end
    return found


def _ends(script: Sequence[Step], spoken: Protocols) -> Iterator[int]:
    """Behind which steps the branch may end: where no later one takes what was sent before.

    An `expect` answers one message, as everywhere; what comes besides nobody has asked for, and the
    branch does not stay for it.
    """
    said = [Counter(_speaking(step, spoken, sending=True)) for step in script]
    heard = [Counter(_speaking(step, spoken, sending=False)) for step in script]
    owed: Counter[int] = Counter()
    for place in range(1, len(script) + 1):
        owed = owed + said[place - 1] - heard[place - 1]
        if not set(owed) & set().union(*heard[place:]):
            yield place


def _speaking(step: Step, spoken: Protocols, sending: bool) -> Iterator[int]:
    """The sockets on which a step, or one within it, sends more than it expects; or only expects.

    Each as often.
    """
    match step:
        case Exchange(send=send, expect=expect):
            taken = 0 if expect is None else _replies(expect.reply)
            if send is None and not sending:
                yield from taken * step.sockets
            elif send is not None and sending:
                for socket in step.sockets:
                    yield from [socket] * (_messages(send.payload, spoken.get(socket)) - taken)
        case Repeat(times=times, do=do):
            yield from times * _spoken_in(do, spoken, sending)
        case For(values=values, do=do):
            yield from len(values) * _spoken_in(do, spoken, sending)
        case Transaction(do=do):
            yield from _spoken_in(do, spoken, sending)
        case Together(branches=branches):
            yield from _spoken_in([*chain(*branches)], spoken, sending)
        case _:
            pass


def _spoken_in(script: Sequence[Step], spoken: Protocols, sending: bool) -> list[int]:
    return [*chain.from_iterable(_speaking(one, spoken, sending) for one in script)]


def _spoken(script: Sequence[Step]) -> Protocols:
    found: dict[int, Framing] = {}
    for step in flat(script):
        if isinstance(step, Exchange) and step.expect is not None:
            for reply in every(step.expect.reply):
                if isinstance(reply, Answer):
                    found |= dict.fromkeys(step.sockets, reply.framing)
    return found


def _messages(payload: Payload, framing: Framing | None) -> int:
    """How many messages that are answered one by one are sent, as far as the file shows it."""
    if isinstance(payload, Joined):
        formed = sum(isinstance(one, Framed | Spoken) for one in payload.payloads)
        if formed:  # what stands beside them as it is may be one more each
            return formed + sum(bool(_plain(one)) for one in payload.payloads)
    return 1 if framing is None else max(1, len(framing.requests(_plain(payload))[0]))


def _plain(payload: Payload) -> bytes:
    """The bytes of a text, something in place of what only a run makes."""
    match payload:
        case Text(parts=parts):
            return "".join(one if isinstance(one, str) else "x" for one in parts).encode()
        case Data(data=data):
            return data
        case Joined(payloads=payloads):
            return b"".join(map(_plain, payloads))
    return b""


def _replies(reply: Reply) -> int:
    """How many replies these are at least."""
    return len(reply.replies) if isinstance(reply, Listed | AnyOrder) else 1
