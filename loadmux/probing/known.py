"""The exchange that is known to work, and the scenarios that are made of it.

It is the first of a scenario that sends and awaits an answer. What comes before it (`before`, a
greeting) becomes part of the socket's `on_connect`, so that each connection of a case is ready for
it. Scenarios are made as values and written as files before they run: what ran is what the file of
a failure says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path

from loadmux.checking import rules
from loadmux.errors import Position, UsageError
from loadmux.language.describing.printing import dump
from loadmux.language.keys.file import IMPLIED
from loadmux.language.loading import load
from loadmux.language.meaning.expected import ByRule, Closed, Exactly, Reply, Silence, WasReset
from loadmux.language.meaning.scenario import Load, Scenario, Socket, Tls
from loadmux.language.meaning.stepvalues import (
    Barrier,
    Call,
    Exchange,
    Expect,
    Fixed,
    For,
    OnSockets,
    Performed,
    Repeat,
    Send,
    Set,
    SocketAction,
    Step,
    Together,
    Transaction,
    Uniform,
    Wait,
    flat,
)
from loadmux.language.steps.connecting import moved
from loadmux.plugins.formulas import Variable
from loadmux.plugins.payloads import Data, Joined, Payload, Repeated, Text
from loadmux.plugins.registry import Registry
from loadmux.running.compiling.ruling import reads

PLACE = Position("probe", 1, 1)
CLIENT, FRESH, BYSTANDER = "client", "fresh", "bystander"
LIMIT = 60.0
"""Seconds after which whatever a case does is cut off."""
WRITTEN_OUT = 16
FASTEST = 0.0001
"""Seconds that an exchange takes at least, where nobody knows how fast many in one are answered."""
BUSY_FOR = 4.0
"""Seconds of work that a case may make for a server."""
TRACED = "probe what a trace of it shows: 'loadmux trace FILE | loadmux probe -'"
ENDS = (Closed, WasReset, Silence)


@dataclass(frozen=True, slots=True)
class Known:
    """`payload` is answered by `reply`; `sent` and `came` are their bytes, `took` is in seconds.

    `socket` has all that prepares a connection. `closes`: the server ends the connection after its
    reply. `timeout` is for what a case awaits. `pipelining`: several requests may be under way.
    """

    scenario: Scenario
    socket: Socket
    payload: Payload
    reply: Reply
    sent: bytes = b""
    came: bytes = b""
    took: float = 0.0
    closes: bool = False
    pipelining: bool = True
    timeout: float = 5.0
    seed: int = 0
    capacity: int | None = None
    declared: bool = False
    rate: float = 0.0
    lasts: bool = True
    parts: bool = False
    failing: frozenset[str] = frozenset()
    seeds: tuple[int, ...] = ()
    registry: Registry = field(default_factory=Registry, compare=False)

    def by_rule(self) -> Known | None:
        """The same, judged by the target's rule; None where that is so, or says something else."""
        server = self.scenario.servers[""]
        if server.rule is None or isinstance(self.reply, ByRule):
            return None
        rule = self.scenario.rules.get(server.rule) or rules.rule(server.rule, reads(server))
        return replace(self, reply=ByRule(None)) if rule.likely(self.sent) == self.came else None

    # --- steps ----------------------------------------------------------------------------------

    def exchange(
        self, *places: int, name: str = "", pieces: Sequence[int] = (), gap: float = 0.0
    ) -> Exchange:
        """The exchange, on these sockets, perhaps in pieces, `gap` seconds apart."""
        send = Send(self.payload, tuple(pieces), gap)
        return Exchange(PLACE, name or "exchange", places, send, Expect(self.reply))

    def send(self, place: int, payload: Payload | None = None, **how: object) -> Exchange:
        """Send only; what, if not the request, is given."""
        name = str(how.pop("name", "send"))
        sent = Send(self.payload if payload is None else payload, **how)  # type: ignore[arg-type]
        return Exchange(PLACE, name, (place,), sent, None)

    def expect(self, place: int, reply: Reply | None = None, name: str = "reply") -> Exchange:
        """The answer to a request that was sent."""
        awaited = Expect(self.reply if reply is None else reply)
        return Exchange(PLACE, name, (place,), None, awaited)

    def act(self, action: SocketAction, *places: int, drop: bool = False) -> OnSockets:
        """An action on sockets; `drop`: an end that does not judge what has come."""
        name = "dial" if action == "connect" else action.replace("_", " ")
        return OnSockets(PLACE, name, action, places, pending="drop" if drop else None)

    def gone(self, place: int) -> OnSockets:
        """A close as of a client that was killed."""
        return OnSockets(PLACE, "gone", "close", (place,), pending="abandon")

    def fill(self, place: int, payload: Payload, most: int, within: float, name: str) -> Exchange:
        """Send until the socket takes nothing for `within` seconds, or has taken `most` bytes."""
        send = Send(payload, until="full", at_most=most)
        return Exchange(PLACE, name, (place,), send, None, within)

    def meet(self, barrier: str) -> Barrier:
        """Wait until all users are here."""
        return Barrier(PLACE, barrier, barrier)

    def at_once(self, *branches: Sequence[Step]) -> Together:
        """Branches at once. What only sends leaves its socket to the branch that expects on it."""
        drives = [sockets_of(one) for one in branches]
        uses = [set(one) for one in drives]
        for place, branch in enumerate(branches):
            if only_sends(branch) and any(
                uses[place] & one for number, one in enumerate(drives) if number != place
            ):
                uses[place] = set()
        says = tuple(tuple(sorted(one - use)) for one, use in zip(drives, uses, strict=True))
        return Together(
            PLACE,
            "at once",
            tuple(map(tuple, branches)),
            tuple(tuple(sorted(one)) for one in uses),
            says,
        )

    def volume(self, size: int, seconds: float = BUSY_FOR) -> int:
        """How many requests are answered by so many bytes, of as many as take so many seconds."""
        wanted = -(-size // max(1, len(self.came)))
        if not self.rate:
            return min(wanted, max(100, int(seconds / max(self.took, FASTEST))))
        return max(2, min(wanted, int(self.rate * seconds)))

    def wait(self, seconds: float) -> Wait:
        """Nothing is done for so many seconds."""
        return Wait(PLACE, "wait", Fixed(seconds))

    def wait_up_to(self, seconds: float) -> Wait:
        """Nothing is done for a time that chance draws."""
        return Wait(PLACE, "wait", Uniform(0.0, seconds))

    def again(self, times: int, steps: Sequence[Step]) -> Repeat:
        """Steps so many times."""
        return Repeat(PLACE, "repeat", times, tuple(steps))

    # --- scenarios ------------------------------------------------------------------------------

    def scenario_of(
        self,
        label: str,
        says: str,
        steps: Sequence[Step],
        sockets: Sequence[Socket] = (),
        users: int = 1,
        limit: float = LIMIT,
    ) -> Scenario:
        """A scenario that is called `label` and described by `says`; by default of one client."""
        found = tuple(sockets) or (self.named(CLIENT),)
        prepared = tuple(
            replace(one, on_connect=moved(one.on_connect, place)) for place, one in enumerate(found)
        )
        return replace(
            self.scenario,
            path=str(Path(self.scenario.path).parent / f"{label.replace('/', '-')}.yaml"),
            name=label,
            description=says,
            sockets=prepared,
            before=(),
            steps=tuple(steps),
            after=(),
            load=Load(users=users, iterations=1, run_time=limit, graceful_stop=1.0),
            thresholds=(IMPLIED,),
            timeout=self.timeout,
            on_error="stop_user",
            seed=self.seed,
            weight=None,
        )

    def among_others(self, scenario: Scenario) -> Scenario:
        """The same with a bystander, who is served before and after, and a fresh client after."""
        sockets, steps = scenario.sockets, scenario.steps
        if scenario.load.users > 1 or any(one.name == FRESH for one in sockets):
            return scenario
        places = range(len(sockets), len(sockets) + 2)
        others = [self.named(FRESH), self.named(BYSTANDER)]
        others = [
            replace(one, on_connect=moved(one.on_connect, place))
            for one, place in zip(others, places, strict=True)
        ]
        fresh, old = places
        first: Step = self.exchange(old, name=f"{BYSTANDER} before")
        if not self.lasts:
            first = self.act("connect", old)
        last = [self.exchange(fresh, name=FRESH), self.exchange(old, name=f"{BYSTANDER} after")]
        made = (first, *steps, *last)
        return replace(scenario, sockets=(*sockets, *others), steps=made)

    def reread(self, scenario: Scenario) -> Scenario:
        """The scenario that its file would be. Raises ScenarioErrors."""
        return load(scenario.path, text=dump(scenario), registry=self.registry)

    def named(self, name: str, **options: object) -> Socket:
        """A socket as the known one, of another name."""
        return replace(self.socket, name=name, **options)  # type: ignore[arg-type]

    def group(self, name: str, count: int) -> list[Socket]:
        """So many sockets of one group."""
        return [self.named(f"{name}[{number}]") for number in range(count)]

    def bare(self, socket: Socket) -> Socket:
        """A socket on whose connections nothing is said first, and TLS does not begin later."""
        return replace(socket, on_connect=(), tls=socket.tls if self.tls else None)

    def plain(self, socket: Socket) -> Socket:
        """The same, on whose connections TLS does not begin."""
        if not self.tls:
            return self.bare(socket)
        return replace(self.bare(socket), tls=replace(socket.tls or Tls(), handshake="later"))

    @property
    def tls(self) -> bool:
        """Whether connections begin with a TLS handshake."""
        return self.scheme == "tls"

    @property
    def scheme(self) -> str:
        return self.scenario.servers[""].scheme

    def frozen(self) -> Known:
        """The same bytes every time, and the same answer."""
        return replace(self, payload=Data(self.sent), reply=Exactly(Data(self.came)))

    def raw(self) -> Known:
        """The same bytes every time; their answer is judged as ever."""
        return replace(self, payload=Data(self.sent))

    def waiting(self, clients: int) -> Known:
        """The same, for who may have to wait until so many clients were looked at."""
        return replace(self, timeout=round(min(LIMIT, self.timeout + clients * self.took), 1))

    @property
    def alone(self) -> Known:
        """The same in a form whose answer may be awaited in a step of its own."""
        return self.frozen() if mentions(self.reply, "sent") else self

    def several(self, count: int) -> Payload:
        """So many requests in one."""
        if count == 1:
            return self.payload
        if self.constant or count > WRITTEN_OUT:
            return Repeated(self.payload, count)
        return Joined((self.payload,) * count)

    @property
    def constant(self) -> bool:
        """Whether the request is always the same, as far as its form tells."""
        match self.payload:
            case Data():
                return True
            case Text(parts=parts):
                return all(isinstance(one, str) for one in parts)
        return False

    @property
    def pause(self) -> float:
        """Seconds between two pieces: a server that waits for input has read the first by then."""
        return round(min(0.5, max(0.03, 5 * self.took)), 3)


def sockets_of(steps: Sequence[Step]) -> set[int]:
    """The sockets that steps, and those in them, use."""
    return {place for one in flat(steps) for place in getattr(one, "sockets", ())}


def only_sends(steps: Sequence[Step]) -> bool:
    """Whether a branch expects nothing."""
    every = [one for one in flat(steps) if isinstance(one, Exchange)]
    return bool(every) and all(one.expect is None for one in every)


def mentions(value: object, name: str) -> bool:
    """Whether a text somewhere in `value` has `${name}`."""
    if isinstance(value, Variable):
        return value.name == name
    if isinstance(value, tuple | list):
        return any(mentions(one, name) for one in value)
    if is_dataclass(value):
        return any(mentions(getattr(value, one.name), name) for one in fields(value))
    return False


# --- finding it ---------------------------------------------------------------------------------


def pick(scenario: Scenario) -> Known:
    """The known exchange of a scenario. Raises UsageError where there is none."""
    ahead: list[Step] = list(scenario.before)
    steps = list(opened(scenario.steps))
    for place, step in enumerate(steps):
        if isinstance(step, Exchange) and step.send is not None and step.send.until is None:
            following = steps[place + 1] if place + 1 < len(steps) else None
            reply = answered(step, following)
            if reply is not None and not step.send.urgent:
                return made(scenario, step, reply, ahead, steps[place + 1 : place + 3])
            break
        ahead.append(step)
    if any(isinstance(one, Call) for one in steps):
        raise UsageError(f"{scenario.path}: probe cannot look into code; {TRACED}")
    raise UsageError(
        f"{scenario.path}: probe needs a step that sends and expects: the first of 'steps' that"
        " sends must have an 'expect', or give --send TEXT --expect TEXT"
    )


def opened(steps: Sequence[Step]) -> Iterator[Step]:
    """The steps, those of transactions, repeats and branches in their place."""
    for step in steps:
        if isinstance(step, Repeat | Transaction):
            yield from opened(step.do)
        elif isinstance(step, Together):
            yield from opened(step.branches[0])
        else:
            yield step


def answered(step: Exchange, following: Step | None) -> Reply | None:
    """What a request is answered by, in its own step or the next one."""
    expect = step.expect
    if expect is None and isinstance(following, Exchange) and following.send is None:
        expect = following.expect if following.sockets == step.sockets else None
    return None if expect is None or isinstance(expect.reply, ENDS) else expect.reply


def made(
    scenario: Scenario, step: Exchange, reply: Reply, ahead: Sequence[Step], behind: Sequence[Step]
) -> Known:
    """The exchange of this step, `ahead` of which its socket is prepared."""
    assert step.send is not None
    place = step.sockets[0]
    socket = scenario.sockets[place]
    if place in scenario.datagrams:
        raise UsageError(
            f"{scenario.path}: probe needs a stream; {socket.name!r} speaks UDP, which has no cuts"
            " and no ends to try: load it with 'loadmux run'"
        )
    preparation = (*socket.on_connect, *(one for step in ahead for one in kept(step, place)))
    closes = any(
        isinstance(one, Exchange)
        and one.expect is not None
        and isinstance(one.expect.reply, Closed)
        for one in behind
    )
    server = scenario.servers[socket.to]
    base = scenario.with_servers({"": server})
    socket = replace(socket, on_connect=moved(preparation, 0), to="")
    return Known(base, socket, step.send.payload, reply, closes=closes)


def kept(step: Step, place: int) -> Iterator[Step]:
    """What of a step prepares the connection of a socket. Raises UsageError."""
    match step:
        case Call(name=name):
            raise UsageError(
                f"probe cannot repeat the code of step {name!r} on each connection; {TRACED}"
            )
        case OnSockets(action="start_tls") | Exchange() | Performed() if place in step.sockets:
            yield step
        case Set():
            yield step
        case Repeat(do=do) | For(do=do) | Transaction(do=do):
            if any(place in getattr(one, "sockets", ()) for one in flat(do)):
                yield step
    return
