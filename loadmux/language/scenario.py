"""What a scenario file means, as frozen values: the contract between reading it and all the rest.

Every name is resolved, every unit converted (durations in seconds, sizes in bytes, rates in events
a second) and every mistake already reported, so whoever reads these values never validates again.
Sockets are numbered by their place in `Scenario.sockets`, groups laid flat (`group[0]`,
`group[1]`). Values only: how a file is read stands in `loading`, how it is carried out in
`running.script`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from loadmux.checking.framing import Framing
from loadmux.driver.pacer import Pacer, Rate
from loadmux.errors import Notice, Position
from loadmux.language.expected import Answer as Answer
from loadmux.language.expected import Body as Body
from loadmux.language.expected import ByRule as ByRule
from loadmux.language.expected import Closed as Closed
from loadmux.language.expected import Exactly as Exactly
from loadmux.language.expected import Frame as Frame
from loadmux.language.expected import Length as Length
from loadmux.language.expected import Reply as Reply
from loadmux.language.expected import Silence as Silence
from loadmux.language.expected import Until as Until
from loadmux.language.expected import WasReset as WasReset
from loadmux.language.expected import groups_of as groups_of
from loadmux.measuring.thresholds import Threshold
from loadmux.plugins.payloads import Payload, Text

if TYPE_CHECKING:
    from loadmux.checking.rules import Rule
    from loadmux.plugins.contracts import Action, Plugin

OnError = Literal["reconnect", "stop_user", "abort"]


# --- what sockets say of replies ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Unasked:
    """A frame (or datagram) with this body, and header, may come at any time; `send` answers it."""

    where: Position = field(compare=False)
    body: Body
    send: Payload | None = None
    header: Body | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """How a slow reader reads: `size` bytes at a time at most, the next `gap` seconds later."""

    size: int
    gap: float
    where: Position | None = field(default=None, compare=False)


# --- steps --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Send:
    """`pieces`: sizes in bytes, or texts that say them when the step runs; the last one repeats
    until the payload ends; empty sends it whole.

    `gap`: seconds between pieces. `urgent`: out of band. `until` "full": again and again, until the
    socket takes nothing more, or has taken `at_most` bytes.
    """

    payload: Payload
    pieces: tuple[int | Text, ...] = ()
    gap: float = 0.0
    urgent: bool = False
    until: Literal["full"] | None = None
    at_most: int | None = None


@dataclass(frozen=True, slots=True)
class Expect:
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
    "connect", "start_tls", "half_close", "close", "reset", "stop_reading", "resume_reading"
]


@dataclass(frozen=True, slots=True)
class OnSockets:
    """An action on sockets that sends and expects nothing.

    `pending` "drop": a close that does not judge what has come.
    """

    where: Position
    name: str
    action: SocketAction
    sockets: tuple[int, ...]
    within: float | None = None
    pending: Literal["drop"] | None = None


@dataclass(frozen=True, slots=True)
class Fixed:
    seconds: float


@dataclass(frozen=True, slots=True)
class Uniform:
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Exponential:
    mean: float


@dataclass(frozen=True, slots=True)
class Normal:
    """Draws below zero count as zero."""

    mean: float
    deviation: float


Distribution = Fixed | Uniform | Exponential | Normal


@dataclass(frozen=True, slots=True)
class Wait:
    where: Position
    name: str
    time: Distribution


@dataclass(frozen=True, slots=True)
class Repeat:
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


# --- the file -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS options of one socket: absolute paths of PEM files, None = the default.

    `ca` None: the system's. `key` None: in the same file as `cert`. `server_name` None: the URL's
    host. `where` is of no account when two are compared.
    """

    where: Position | None = field(default=None, compare=False)
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    server_name: str | None = None
    verify: bool = True
    alpn: tuple[str, ...] = ()
    min_version: str | None = None
    max_version: str | None = None

    @property
    def versions(self) -> tuple[str | None, str | None]:
        return self.min_version, self.max_version

    def with_ca(self, ca: str) -> Tls:
        return replace(self, ca=ca)


@dataclass(frozen=True, slots=True)
class Socket:
    """Options of one socket; buffers in bytes, `linger` in seconds, None = the kernel's default.

    `to` names its target, one of `Scenario.servers`. `source` is an address or a CIDR block.
    `written` is the value of `framing` as the file has it, where it is a plugin's. `on_connect`
    are steps of this socket, carried out on each of its connections before anything else. What
    `ignore` and `answer` hold may come at any time. `idle_close` `allowed`: the server may end the
    connection in order while nothing is owed.
    """

    name: str
    nodelay: bool = True
    receive_buffer: int | None = None
    send_buffer: int | None = None
    source: str | None = None
    linger: float | None = None
    framing: Framing | None = None
    on_connect: tuple[Step, ...] = ()
    ignore: tuple[Unasked, ...] = ()
    answer: tuple[Unasked, ...] = ()
    idle_close: Literal["fault", "allowed"] = "fault"
    read: Pace | None = None
    to: str = ""
    tls: Tls | None = None
    written: object = field(default=None, compare=False)


MEMBER = re.compile(r"([\w.-]+)\[([0-9]{1,9})\]")
"""The name of one socket of a group."""


def group_of(name: str) -> str:
    """The declared name of a socket: of its group, if it is one of several."""
    member = MEMBER.fullmatch(name)
    return name if member is None else member[1]


@dataclass(frozen=True, slots=True)
class Url:
    """Where a server listens: `tcp`, `tls`, `udp` with host and port, or `unix` with a path."""

    scheme: Literal["tcp", "tls", "udp", "unix"]
    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.scheme == "unix":
            return f"unix://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


PORT = "{port}"
"""Stands in a command for the port on which its server is to listen."""


@dataclass(frozen=True, slots=True)
class Command:
    """A server of the user's own that is started for the run.

    It listens at `url`, by default tcp://127.0.0.1, on `port`, by default a free one, which it is
    told as PORT in its `words`; the port of `url` is 0 where PORT stands there. It is ready within
    `ready_within` seconds: it listens, or a line of its output matches `ready`.
    """

    words: tuple[str, ...]
    port: int | None = None
    url: Url | None = None
    ready: str | None = None
    ready_within: float = 10.0

    @property
    def told_port(self) -> bool:
        """Whether it learns its port from us."""
        return any(PORT in word for word in self.words)

    @property
    def fixed(self) -> bool:
        """Whether it is known beforehand where it will listen."""
        own = self.url is not None and (bool(self.url.port) or self._own_path)
        return self.port is not None or own

    @property
    def _own_path(self) -> bool:
        return self.url is not None and self.url.scheme == "unix" and PORT not in self.url.path


READ_SIZE = "read-size"
"""The option of bundled targets that is `read_size` of others."""


Watch = Literal["report", "fail"]


@dataclass(frozen=True, slots=True)
class Target:
    """One of `url`, `bundled` and `command` is set; `options` are the bundled target's own,
    `--NAME VALUE`. `watch`: what is made of findings about its processes; None: those that we start
    are watched, and findings are told.

    `read_size`: bytes that the server at `url` reads at a time, None where nobody has said so.
    """

    url: Url | None = None
    bundled: str | None = None
    rule: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    read_size: int | None = None
    command: Command | None = None
    watch: Watch | None = None

    @property
    def called(self) -> str:
        """What it is called before it is started."""
        if self.command is not None:
            return shlex.join(self.command.words)
        return str(self.url or self.bundled)

    @property
    def reads_at_most(self) -> int | None:
        """Bytes that it reads at a time, None where nobody has said so."""
        told = self.options.get(READ_SIZE, "")
        return int(told) if told.isdecimal() and int(told) else self.read_size

    @property
    def scheme(self) -> str:
        """How it is spoken to, known before it is started."""
        if self.url is not None:
            return self.url.scheme
        if self.command is not None:
            return "tcp" if self.command.url is None else self.command.url.scheme
        if self.bundled == "udp":
            return "udp"
        return "tls" if "tls" in self.options else "unix" if "unix" in self.options else "tcp"


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the run; `users` is the most that there are at once, of open load `max_users`."""

    name: str
    pacer: Pacer
    users: int

    @property
    def open(self) -> bool:
        return isinstance(self.pacer, Rate)


@dataclass(frozen=True, slots=True)
class Load:
    """`users` is the most that there are at once, `spawn_rate` in users a second (None: all at
    once), times in seconds.

    Without `phases` the load is closed, and ends at `run_time` or when every user has done its
    `iterations`, whichever comes first; the loader sets `iterations` to 1 where neither was given.
    `phases` (one for open load or a ramp that is no more than that) follow each other; `run_time`
    is the time of all of them, and there are no `iterations`.
    """

    users: int = 1
    spawn_rate: float | None = None
    run_time: float | None = None
    iterations: int | None = None
    pacing: float | None = None
    graceful_stop: float = 5.0
    phases: tuple[Phase, ...] = ()

    @property
    def open(self) -> bool:
        """Whether iterations start on a schedule in some phase."""
        return any(phase.open for phase in self.phases)


Pick = Literal["sequential", "shuffled", "random"]
WhenShort = Literal["error", "wrap"]


@dataclass(frozen=True, slots=True)
class Feeder:
    """A table of variables, one row a user; `columns` holds the values of all rows, as UTF-8.

    `file` is its name as the scenario gives it. `when_short`: what happens where there are more
    users than rows; with `random` there never are.
    """

    where: Position
    name: str
    file: str
    columns: Mapping[str, tuple[bytes, ...]]
    pick: Pick = "sequential"
    when_short: WhenShort = "error"

    @property
    def rows(self) -> int:
        return len(next(iter(self.columns.values())))


@dataclass(frozen=True, slots=True)
class Scenario:
    """One file. `target` is the only one, or the first of `targets`, which has those with names.

    `weight` is its share of the load beside other scenarios; None, where the file says none, is 1.
    `rules` are those of plugins, by name; `plugins` are all whose code the scenario needs.
    """

    path: str
    name: str
    description: str
    target: Target | None
    variables: Mapping[str, str]
    sockets: tuple[Socket, ...]
    before: tuple[Step, ...]
    steps: tuple[Step, ...]
    after: tuple[Step, ...]
    load: Load
    thresholds: tuple[Threshold, ...]
    timeout: float = 5.0
    on_error: OnError = "reconnect"
    seed: int | None = None
    feeders: Mapping[str, Feeder] = field(default_factory=dict)
    targets: Mapping[str, Target] = field(default_factory=dict)
    weight: int | None = None
    rules: Mapping[str, Rule] = field(default_factory=dict)
    plugins: tuple[Plugin, ...] = ()
    notices: tuple[Notice, ...] = field(default=(), compare=False)

    @property
    def every_step(self) -> Iterator[Step]:
        """Those of `on_connect`, `before`, `steps` and `after`, nested steps included."""
        for socket in self.sockets:
            yield from flat(socket.on_connect)
        yield from flat((*self.before, *self.steps, *self.after))

    @property
    def datagrams(self) -> frozenset[int]:
        """The sockets that speak UDP."""
        servers = self.servers
        udp = {name for name, target in servers.items() if target.scheme == "udp"}
        return frozenset(place for place, one in enumerate(self.sockets) if one.to in udp)

    @property
    def servers(self) -> Mapping[str, Target]:
        """All targets by name; the only one of a scenario that names none is called ""."""
        if self.targets or self.target is None:
            return self.targets
        return {"": self.target}

    def with_servers(self, servers: Mapping[str, Target]) -> Scenario:
        """The same scenario with other targets of the same names."""
        first = next(iter(servers.values()), None)
        return replace(self, target=first, targets={} if "" in servers else servers)


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line says instead of the file; None leaves the file's word.

    `target` and `reply`: a word for the only target, or several `NAME=WORD`. `variables` are
    `NAME=VALUE`. `command` is as `target`: the words of a command, as a shell has them.
    """

    target: str | tuple[str, ...] | None = None
    reply: str | tuple[str, ...] | None = None
    users: int | None = None
    spawn_rate: str | None = None
    run_time: str | None = None
    iterations: int | None = None
    seed: int | None = None
    thresholds: tuple[str, ...] = ()
    rate: str | None = None
    variables: tuple[str, ...] = ()
    command: str | tuple[str, ...] | None = None
