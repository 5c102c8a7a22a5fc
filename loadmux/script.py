"""Compiles a Scenario into the Script that virtual users run: all that can be known is worked out
once.

Constant payloads are encoded here, `variables` are folded into the texts (unless a step redefines
them), each step gets the row of statistics it records into, and each socket its endpoint.
"""

from __future__ import annotations

import random
import socket
import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from loadmux import form_steps, frame_steps, rules, steps
from loadmux.driver.connection import Endpoint
from loadmux.driver.user import Operation, Script, VirtualUser
from loadmux.errors import Kind, TargetFailed
from loadmux.framed import HasLength, Matches, match_until
from loadmux.framing import Framing, Session
from loadmux.scenario import (
    Answer,
    ByRule,
    Closed,
    Data,
    Distribution,
    Exactly,
    Exchange,
    Expect,
    Exponential,
    Fixed,
    For,
    Frame,
    Framed,
    Joined,
    Length,
    Normal,
    OnSockets,
    Payload,
    Performed,
    Random,
    Regex,
    Repeat,
    Repeated,
    Scenario,
    Send,
    Set,
    Silence,
    Spoken,
    Step,
    Text,
    Uniform,
    Until,
    Url,
    Variable,
    Wait,
    WasReset,
    groups_of,
)
from loadmux.stats import Stats

BUILT_IN: dict[str, steps.Render] = {
    "user": lambda user, name, sent: b"%d" % user.number,
    "iteration": lambda user, name, sent: b"%d" % user.iteration,
    "socket": lambda user, name, sent: name.encode(),
    "sent": lambda user, name, sent: sent,
    "uuid": lambda user, name, sent: str(
        uuid.UUID(int=user.random.getrandbits(128), version=4)
    ).encode(),
}


def flat(script: Sequence[Step]) -> Iterator[Step]:
    """All steps in the file's order, nested ones included."""
    for step in script:
        yield step
        if isinstance(step, Repeat | For):
            yield from flat(step.do)


def compile_scenario(
    scenario: Scenario, url: Url, rule: str | None, seed: int, stats: Stats
) -> Script:
    """The script of a scenario against a target that listens at `url` and replies by `rule`.

    Makes a row in `stats` for each step that is measured, in the file's order. Raises UsageError
    when the host's name cannot be resolved.
    """
    return _Compiler(scenario, url, rule, seed, stats).script(resolve(url), str(url))


class _Compiler:
    """`place` is the step that is being compiled."""

    place: frame_steps.Place

    def __init__(
        self, scenario: Scenario, url: Url, rule: str | None, seed: int, stats: Stats
    ) -> None:
        self.scenario = scenario
        self.authority = form_steps.authority(url)
        self.rule = rule
        self.seed = seed
        self.stats = stats
        self.one_chunk = one_chunk(scenario)
        everything = (*scenario.before, *scenario.steps, *scenario.after)
        self.changing: set[str] = set()
        self.reads: set[int] = set()
        self.rules: dict[int, str] = {}
        self.last: dict[int, str] = {}
        for step in flat(everything):
            self._survey(step)

    def _survey(self, step: Step) -> None:
        """Learn what the whole file does with a name or a socket before compiling any step."""
        if isinstance(step, For):
            self.changing.add(step.variable)
        elif isinstance(step, Set):
            self.changing.update(step.values)
        elif isinstance(step, Performed):
            self.changing.update(step.action.defines())
            self.last.update(dict.fromkeys(step.sockets, step.name))
            self.reads.update(step.sockets)
        elif isinstance(step, Exchange):
            self.last.update(dict.fromkeys(step.sockets, step.name))
            if step.expect is not None:
                self._survey_expect(step.sockets, step.expect)

    def _survey_expect(self, sockets: tuple[int, ...], expect: Expect) -> None:
        if expect.save is not None:
            self.changing.add(expect.save)
        self.changing.update(groups_of(expect.reply))
        self.reads.update(sockets)
        if isinstance(expect.reply, ByRule):
            for index in sockets:
                self.rules.setdefault(index, self._rule_name(expect.reply))

    def _rule_name(self, reply: ByRule) -> str:
        name = reply.rule or self.rule
        assert name is not None, "the loader refuses `reply` where no rule is known"
        return name

    def script(self, address: tuple[int, object], url: str) -> Script:
        scenario = self.scenario
        family, where = address
        endpoints = [
            Endpoint(
                family,
                where,  # type: ignore[arg-type]
                url,
                one.nodelay,
                one.receive_buffer,
                one.send_buffer,
                one.source,
                one.linger,
                **self._session(one.framing),
            )
            for one in scenario.sockets
        ]
        return Script(
            before=self._steps(scenario.before),
            steps=self._steps(scenario.steps),
            after=self._steps(scenario.after),
            endpoints=endpoints,
            names=[one.name for one in scenario.sockets],
            last_rows=[self.last.get(i, "close") for i in range(len(endpoints))],
            timeout=scenario.timeout,
            on_error=scenario.on_error,
            seed=self.seed,
        )

    def _session(self, framing: Framing | None) -> dict[str, Any]:
        if not isinstance(framing, Session):
            return {}
        where = self.authority
        return {
            "greeting": lambda random: framing.greeting(random, where),
            "unasked": framing.unasked,
        }

    # --- steps ----------------------------------------------------------------------------------

    def _steps(self, script: Sequence[Step]) -> list[Operation]:
        return [self._step(step) for step in script]

    def _step(self, step: Step) -> Operation:
        match step:
            case Exchange():
                return self._exchange(step)
            case OnSockets(name=name, action=action, sockets=sockets):
                record: steps.Record = (
                    self._record(name, "connect") if action == "connect" else _unrecorded
                )
                timeout = step.within or self.scenario.timeout
                return steps.OnSockets(name, action, sockets, timeout, record)
            case Wait(name=name, time=time):
                sessions = any(isinstance(s.framing, Session) for s in self.scenario.sockets)
                wait = form_steps.AttentiveWait if sessions else steps.Wait
                return wait(name, drawer(time))
            case Performed():
                return self._perform(step)
            case Repeat(name=name, times=times, do=do):
                return steps.Repeat(name, times, self._steps(do))
            case For(name=name, variable=variable, values=values, do=do):
                texts = [self._render(value) for value in values]
                return steps.For(name, variable, texts, self._steps(do))
            case Set(name=name, values=pairs):
                return steps.Set(name, {key: self._render(text) for key, text in pairs.items()})

    def _perform(self, step: Performed) -> Operation:
        return form_steps.Perform(
            step.name,
            step.sockets,
            step.action,
            [self._render(part) for part in step.action.payloads()],
            [self._rule_of(index) for index in step.sockets],
            step.within or self.scenario.timeout,
            self._record(step.name, "exchange"),
        )

    def _rule_named(self, name: str) -> rules.Rule:
        """A rule of a plugin, or a built-in one."""
        found = self.scenario.rules.get(name)
        return rules.rule(name, self.one_chunk) if found is None else found

    def _rule_of(self, index: int) -> rules.Rule | None:
        """The reply rule of a socket, if some step checks by it."""
        name = self.rules.get(index)
        return None if name is None else self._rule_named(name)

    def _record(self, name: str, kind: str) -> steps.Record:
        row = self.stats.row(name)
        row.kind = kind
        return row.samples.append

    def _exchange(self, step: Exchange) -> Operation:
        self.place = frame_steps.Place(step.where, step.name)
        timeout = step.within or self.scenario.timeout
        message = None if step.send is None else self._message(step.send, step)
        if step.expect is None:
            assert message is not None
            record = self._record(step.name, "send")
            return steps.Send(step.name, step.sockets, message, timeout, record)
        record = self._record(step.name, "exchange")
        reply = step.expect.reply
        if isinstance(reply, Closed | WasReset | Silence):
            wanted = {Closed: Kind.CLOSED, WasReset: Kind.RESET}.get(type(reply))
            if isinstance(reply, Silence):
                timeout = reply.seconds
            passed = self.stats.row(step.name).pass_untimed
            return steps.End(step.name, step.sockets, message, wanted, timeout, record, passed)
        return steps.Exchange(
            step.name,
            step.sockets,
            message,
            self._reply(reply),
            timeout,
            record,
            step.expect.save,
            step.within is not None,
            bool(groups_of(reply)),
        )

    def _message(self, send: Send, step: Exchange) -> steps.Message:
        index = step.sockets[0]
        return steps.Message(
            self._constant(send.payload),
            self._render(send.payload),
            send.pieces,
            send.gap,
            self._rule_of(index),
            index in self.reads,
        )

    def _reply(self, reply: Exactly | ByRule | Length | Until | Frame | Answer) -> steps.Reply:
        match reply:
            case Exactly(payload=payload):
                return steps.ExactReply(self._constant(payload), self._render(payload))
            case Frame():
                return self._frame(reply)
            case Answer():
                return self._answer(reply)
            case ByRule():
                return steps.RuleReply(self._rule_named(self._rule_name(reply)))
            case Length(size=size):
                return steps.FormReply(partial(rules.LengthOf, size))
            case Until(delimiter=delimiter, matches=None):
                return steps.FormReply(partial(rules.UntilDelimiter, delimiter))
            case Until(delimiter=delimiter, matches=Regex(pattern=pattern)):
                compiled = frame_steps.compiled(pattern)
                return steps.FormReply(partial(match_until, delimiter, compiled))
        raise AssertionError(reply)

    def _frame(self, reply: Frame) -> steps.Reply:
        framing = reply.framing
        match reply.body:
            case Exactly(payload=payload):
                constant, render = self._constant(payload), self._render(payload)
                return frame_steps.FrameReply(framing, constant, render, self.place, reply.answers)
            case ByRule() as by:
                rule = self._rule_named(self._rule_name(by))
                return frame_steps.FrameByRule(framing, rule, self.place)
            case Length(size=size):
                return frame_steps.FrameByJudge(framing, HasLength(size))
            case Regex(pattern=pattern):
                return frame_steps.FrameByJudge(framing, Matches(frame_steps.compiled(pattern)))

    def _answer(self, reply: Answer) -> steps.Reply:
        parts = reply.form.payloads()
        found = [self._constant(part) for part in parts]
        known = tuple(part for part in found if part is not None)
        constants = known if len(known) == len(found) else None
        renders = [self._render(part) for part in parts]
        return form_steps.FormReply(reply.form, reply.framing, constants, renders)

    # --- payloads -------------------------------------------------------------------------------

    def _fold(self, payload: Text) -> tuple[bytes | Variable, ...]:
        """A text's parts with constants put in, neighbours joined."""
        folded: list[bytes | Variable] = []
        for part in payload.parts:
            value: bytes | Variable
            if isinstance(part, Variable):
                known = part.name in self.scenario.variables and part.name not in self.changing
                value = self.scenario.variables[part.name].encode() if known else part
            else:
                value = part.encode()
            if folded and isinstance(value, bytes) and isinstance(folded[-1], bytes):
                folded[-1] += value
            else:
                folded.append(value)
        return tuple(folded)

    def _constant(self, payload: Payload) -> bytes | None:
        """The payload's bytes, if they are always the same."""
        match payload:
            case Data(data=data):
                return data
            case Random():
                return None
            case Repeated(payload=inner, times=times):
                once = self._constant(inner)
                return None if once is None else once * times
            case Joined(payloads=parts):
                found = [self._constant(part) for part in parts]
                known = [one for one in found if one is not None]
                return b"".join(known) if len(known) == len(found) else None
            case Framed(payload=inner, framing=framing):
                return frame_steps.encoded(framing, self._constant(inner))
            case Spoken(form=form):
                said = [self._constant(part) for part in form.payloads()]
                return form_steps.constant(form, said, self.authority)
            case Text():
                folded = self._fold(payload)
                known = [part for part in folded if isinstance(part, bytes)]
                return b"".join(known) if len(known) == len(folded) else None

    def _render(self, payload: Payload) -> steps.Render:
        constant = self._constant(payload)
        if constant is not None:
            return lambda user, name, sent: constant
        match payload:
            case Random(size=size):
                return lambda user, name, sent: user.random.randbytes(size)
            case Repeated(payload=inner, times=times):
                once = self._render(inner)
                return lambda user, name, sent: once(user, name, sent) * times
            case Joined(payloads=parts):
                renders = [self._render(part) for part in parts]
                return lambda user, name, sent: b"".join(r(user, name, sent) for r in renders)
            case Framed(payload=inner, framing=framing):
                return frame_steps.wrapped(framing, self._render(inner), self.place)
            case Spoken(form=form):
                renders = [self._render(part) for part in form.payloads()]
                return form_steps.rendered(form, renders, self.authority, self.place)
            case Text():
                pieces = [self._part(part) for part in self._fold(payload)]
                return lambda user, name, sent: b"".join(p(user, name, sent) for p in pieces)
        raise AssertionError(payload)

    def _part(self, part: bytes | Variable) -> steps.Render:
        if isinstance(part, bytes):
            return lambda user, name, sent: part
        name = part.name
        if name in BUILT_IN:
            return BUILT_IN[name]
        default = self.scenario.variables.get(name, "").encode()
        return lambda user, socket, sent: user.get(name, default)


def _unrecorded(seconds: float) -> None:
    pass


def one_chunk(scenario: Scenario) -> int:
    """The size of a message that the target reads at once: less if it was told to read little."""
    told = scenario.target.options.get("read-size", "") if scenario.target is not None else ""
    return min(rules.ONE_CHUNK, int(told)) if told.isdecimal() else rules.ONE_CHUNK


def drawer(time: Distribution) -> Callable[[VirtualUser], float]:
    """Draws a duration (seconds, not negative) from a user's own source of chance."""
    match time:
        case Fixed(seconds=seconds):
            return lambda user: seconds
        case Uniform(low=low, high=high):
            return lambda user: user.random.uniform(low, high)
        case Exponential(mean=mean):
            return lambda user: user.random.expovariate(1 / mean) if mean else 0.0
        case Normal(mean=mean, deviation=deviation):
            return lambda user: max(0.0, user.random.gauss(mean, deviation))


def resolve(url: Url) -> tuple[int, object]:
    """The address family and address to connect to; the first that the system's resolver names.

    Raises TargetFailed where there is none.
    """
    if url.scheme == "unix":
        return socket.AF_UNIX, url.path
    try:
        found = socket.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise TargetFailed(f"cannot resolve the target's host {url.host!r}: {error}") from None
    return found[0][0], found[0][4]


def draw_seed() -> int:
    """A seed for a run that was given none; printed, so that the run can be repeated."""
    return random.SystemRandom().getrandbits(32)
