"""Asks a server that nobody knows anything of, and makes a scenario of what it answers.

It is asked twice, each time on a new connection: what differs then is expected in a form that both
answers fit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from loadmux.errors import TargetFailed
from loadmux.language.describing.suggesting import announced, constant, suggested, varied
from loadmux.language.loading import load
from loadmux.language.text.yamltext import flow
from loadmux.measuring.exitcodes import ExitCode
from loadmux.running.interrupts import Interrupts
from loadmux.running.tracing.trace import watched
from loadmux.running.tracing.tracer import Talk, Tracer

NAME = "scenario.yaml"
CONNECT = "connect main"
LINE_END = b"\r\n"
_GET = re.compile(rb"GET (/[!-~]*) HTTP/1\.1\r\n")
HEAD = """\
# What {target} answered. Run it: loadmux run {name}
# All that goes over the wire, step by step: loadmux trace {name}
# What an expect may say besides exact bytes: loadmux help replies"""

SHARED = """\
# All users ask the same. Where one changes what another is answered, write ${user} into what they
# send and expect, or begin with one user."""


def silent(line: str, style: str) -> None:
    """Says nothing."""


@dataclass
class Probe:
    """A server to be asked: a URL, or a target with a command. `verify`: its certificate is right.

    `look` must come first. Raises TargetFailed where it cannot be reached.
    """

    target: object
    interrupts: Interrupts | None = None
    verify: bool = True

    def look(self) -> None:
        """Connect once; a certificate that cannot be trusted is written down."""
        try:
            self.ask([])
        except TargetFailed as error:
            if "certificate" not in str(error):
                raise
            self.verify = False
            self.ask([])

    def ask(self, messages: Sequence[bytes]) -> dict[str, Talk]:
        """What came, by the names of the steps: CONNECT, and `send 0`, `send 1`, …"""
        steps: list[object] = [{"connect": "main", "name": CONNECT}]
        for number, message in enumerate(messages):
            steps.append({"send": {"hex": message.hex()}, "name": f"send {number}"})
            steps.append({"connect": "main", "name": f"again {number}"})
        keys = {"target": self.target, **self.sockets(), "steps": steps[:-1] or steps}
        tracer = Tracer(load(NAME, text=json.dumps(keys)), silent, check=False)
        part, verdict = watched(tracer, interrupts=self.interrupts)
        if verdict.code is ExitCode.UNREACHABLE or part.died:
            raise TargetFailed(verdict.reason)
        return {one.step: one for one in tracer.answers}

    def sockets(self) -> dict[str, object]:
        return {} if self.verify else {"sockets": {"main": {"tls": {"verify": False}}}}


@dataclass
class Asked:
    """A message and both answers to it."""

    message: bytes
    first: Talk
    second: Talk
    notes: list[str] = field(default_factory=list)

    @property
    def replies(self) -> list[str]:
        """What is expected, in YAML; nothing where nothing came."""
        first, second = self.first, self.second
        ended = first.ended and second.ended
        if not (first.came or second.came):
            return ["closed"] if ended else []
        if first.came == second.came:
            return suggested(self.message, first.came, ended)
        closes = ended and not announced(first.came)
        return [varied(first.came, second.came), *(["closed"] if closes else [])]


def answered(probe: Probe, messages: Sequence[bytes]) -> tuple[Asked, list[Asked]]:
    """The greeting, and what was asked. A message that nothing answers is tried as a line."""
    first = probe.ask(messages)
    messages = [
        one if one.endswith(b"\n") or _talk(first, number).came else one + LINE_END
        for number, one in enumerate(messages)
    ]
    first, second = probe.ask(messages), probe.ask(messages)
    greeting = Asked(b"", first.get(CONNECT, Talk("main")), second.get(CONNECT, Talk("main")))
    found = [
        Asked(message, _talk(first, number), _talk(second, number))
        for number, message in enumerate(messages)
    ]
    return greeting, found


def _talk(talks: dict[str, Talk], number: int) -> Talk:
    return talks.get(f"send {number}", Talk("main"))


def written(probe: Probe, messages: Sequence[bytes]) -> str:
    """The text of a scenario that calls itself NAME. Raises TargetFailed, UsageError."""
    greeting, found = answered(probe, messages)
    return "\n".join(_lines(probe, greeting, found)) + "\n"


def _lines(probe: Probe, greeting: Asked, found: Sequence[Asked]) -> Iterator[str]:
    shown = probe.target if isinstance(probe.target, str) else "the server"
    yield HEAD.format(target=shown, name=NAME)
    yield ""
    yield f"target: {flow(probe.target)}"
    options = [] if probe.verify else ["tls: {verify: false}"]
    if greeting.replies:
        steps = ", ".join(f"{{expect: {one}}}" for one in greeting.replies)
        options.append(f"on_connect: [{steps}]")
    if options:
        yield f"sockets: {{main: {{{', '.join(options)}}}}}"
    yield "steps:"
    for one in found:
        yield from _step(one)
    if not found:
        yield "  - {connect: main}"
        yield "  - {close: main}"
    if len(found) > 1:
        yield SHARED
    yield "load: {users: 10, run_time: 5s}"


def _step(asked: Asked) -> Iterator[str]:
    """The steps of one message: its answer, and what else came."""
    send = constant(asked.message)
    get = _GET.match(asked.message)
    if get and asked.first.came.startswith(b"HTTP/1."):
        send = f"{{http: {flow(get[1].decode())}}}"
    if not asked.replies:
        yield f"  - {{send: {send}}}  # nothing came within 1 s"
        return
    first, *rest = asked.replies
    differs = "  # the answers differed" if asked.first.came != asked.second.came else ""
    yield f"  - {{send: {send}, expect: {first}}}{differs}"
    for one in rest:
        yield f"  - {{expect: {one}}}"
