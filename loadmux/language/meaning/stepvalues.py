"""What the steps of a scenario mean, as frozen values; see `scenario`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Literal

from loadmux.checking.frozen import dataclass
from loadmux.errors import Position
from loadmux.language.meaning.expected import Answer as Answer
from loadmux.language.meaning.expected import Body as Body
from loadmux.language.meaning.expected import ByRule as ByRule
from loadmux.language.meaning.expected import Closed as Closed
from loadmux.language.meaning.expected import Exactly as Exactly
from loadmux.language.meaning.expected import Frame as Frame
from loadmux.language.meaning.expected import Length as Length
from loadmux.language.meaning.expected import Reply as Reply
from loadmux.language.meaning.expected import Silence as Silence
from loadmux.language.meaning.expected import Until as Until
from loadmux.language.meaning.expected import WasReset as WasReset
from loadmux.language.meaning.expected import groups_of as groups_of
from loadmux.plugins.payloads import Payload, Text

if TYPE_CHECKING:
    from loadmux.plugins.contracts import Action


@dataclass(frozen=True, slots=True)
class Send:
    """`pieces`: sizes in bytes, or texts that say them when the step runs; the last one repeats
    until the payload ends; empty sends it whole.

    `gap`: seconds between pieces. `urgent`: out of band. `until` "full": again and again, until the
    socket takes nothing more, or has taken `at_most` bytes. `oneway`: nothing answers it.
    """

    payload: Payload
    pieces: tuple[int | Text, ...] = ()
    gap: float = 0.0
    urgent: bool = False
    until: Literal["full"] | None = None
    at_most: int | None = None
    oneway: bool = False


@dataclass(frozen=True, slots=True)
class Expect:
    """A reply; `save` is the name under which its bytes are kept."""

    reply: Reply
    save: str | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """A send, an expect, or both (at least one is not None).

    `within` is in seconds; None means the scenario's `timeout`.
    """

    where: Position
    name: str
    sockets: tuple[int, ...]
    send: Send | None
    expect: Expect | None
    within: float | None = None


SocketAction = Literal[
    "connect",
    "start_tls",
    "half_close",
    "close",
    "reset",
    "stop_reading",
    "resume_reading",
    "cork",
    "uncork",
]
SIDES: Mapping[str, Literal["send", "expect"]] = {
    "half_close": "send",
    "cork": "send",
    "uncork": "send",
    "stop_reading": "expect",
    "resume_reading": "expect",
}
"""The side of a connection that an action is on; any other is on both."""


@dataclass(frozen=True, slots=True)
class OnSockets:
    """An action on sockets that sends and expects nothing.

    `pending` "drop": an end that does not judge what has come; "abandon": a close that does not
    read what comes, either.
    """

    where: Position
    name: str
    action: SocketAction
    sockets: tuple[int, ...]
    within: float | None = None
    pending: Literal["drop", "abandon"] | None = None


@dataclass(frozen=True, slots=True)
class Fixed:
    """Always so long."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Uniform:
    """Any time between the two, in seconds."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Exponential:
    """Most are short, some long; `mean` in seconds."""

    mean: float


@dataclass(frozen=True, slots=True)
class Normal:
    """Draws below zero count as zero."""

    mean: float
    deviation: float


Distribution = Fixed | Uniform | Exponential | Normal


@dataclass(frozen=True, slots=True)
class Wait:
    """Pause for a time that is drawn."""

    where: Position
    name: str
    time: Distribution


@dataclass(frozen=True, slots=True)
class Repeat:
    """`do` so many times."""

    where: Position
    name: str
    times: int
    do: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class For:
    """`do` once for each value of `values`, which `${variable}` then names."""

    where: Position
    name: str
    variable: str
    values: tuple[Text, ...]
    do: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Transaction:
    """`do` once, with a row for all of it, `name`; `transaction` is what the file calls it."""

    where: Position
    name: str
    transaction: str
    do: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Set:
    """Give names to what the payloads are now."""

    where: Position
    name: str
    values: Mapping[str, Payload]


@dataclass(frozen=True, slots=True)
class Together:
    """Branches that run at once within the user.

    `uses[i]` are the sockets that branch i drives, `says[i]` those on which it only sends, and
    which another branch, that only expects on them, drives. Those whose numbers are `background`
    are repeated until all others have ended.
    """

    where: Position
    name: str
    branches: tuple[tuple[Step, ...], ...]
    uses: tuple[tuple[int, ...], ...]
    says: tuple[tuple[int, ...], ...] = ()
    background: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Barrier:
    """Wait at `barrier` until every running user is there."""

    where: Position
    name: str
    barrier: str


@dataclass(frozen=True, slots=True)
class Function:
    """An `async def` of the scenario's author, told so that every process can import it anew.

    `function` (dotted where it is an attribute of something) in the file `path`, or, without one,
    in `module`, which is looked for in `folder` first.
    """

    folder: str
    module: str
    function: str
    path: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """Await a function of the scenario's author."""

    where: Position
    name: str
    function: Function


@dataclass(frozen=True, slots=True)
class Performed:
    """The action of a plugin; `plugin` is its name, `written` the value that stands there."""

    where: Position
    name: str
    plugin: str
    sockets: tuple[int, ...]
    action: Action
    within: float | None = None
    written: object = field(default=None, compare=False)


Nesting = Repeat | For | Transaction
"""Steps that have a list of steps in `do`."""
Step = Exchange | OnSockets | Wait | Nesting | Set | Together | Barrier | Call | Performed


def flat(steps: Sequence[Step]) -> Iterator[Step]:
    """All steps in the file's order, nested ones after the one that they are part of."""
    for step in steps:
        yield step
        if isinstance(step, Nesting):
            yield from flat(step.do)
        elif isinstance(step, Together):
            for branch in step.branches:
                yield from flat(branch)
