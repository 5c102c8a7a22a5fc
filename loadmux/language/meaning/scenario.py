"""What a scenario file means, as frozen values: the contract between reading it and all the rest.

Every name is resolved, every unit converted (durations in seconds, sizes in bytes, rates in events
a second) and every mistake already reported, so whoever reads these values never validates again.
Sockets are numbered by their place in `Scenario.sockets`, groups laid flat (`group[0]`,
`group[1]`). Values only: how a file is read stands in `loading`, how it is carried out in
`running.compiling`. What its steps mean is in `stepvalues`, what they expect in `expected`, and
where the servers are in `servers`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from typing import TYPE_CHECKING, Literal

from loadmux.checking.framing import Framing
from loadmux.checking.frozen import dataclass
from loadmux.driver.pacer import Pacer, Rate
from loadmux.errors import Notice, Position
from loadmux.language.meaning.expected import Body
from loadmux.language.meaning.servers import Target
from loadmux.language.meaning.stepvalues import Step, flat
from loadmux.measuring.thresholds import Threshold
from loadmux.plugins.payloads import Payload

if TYPE_CHECKING:
    from loadmux.checking.rules import Rule
    from loadmux.plugins.contracts import Plugin

OnError = Literal["reconnect", "stop_user", "abort"]


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


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS options of one socket: absolute paths of PEM files, None = the default.

    `ca` None: the system's. `key` None: in the same file as `cert`. `server_name` None: the URL's
    host. `handshake` "later": a connection to a `tls://` target begins in plain text. `where` is of
    no account when two are compared.
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
    handshake: Literal["at_once", "later"] = "at_once"

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
