"""What a scenario lacks, told where the faults of a run show it. Pure; a guess, never a verdict.

Three things that newcomers meet: a server that says something at any time (`ignore`), one that
frames its messages otherwise than the scenario says (`framing`), and one that wants a login on each
connection (`on_connect`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal

from loadmux.errors import Evidence, Kind
from loadmux.language.meaning.scenario import Scenario, Socket
from loadmux.measuring.stats import FaultGroup, Stats

ALIKE = 2
"""So many examples at least must look alike."""
LONGEST = 120
SIZES = (4, 2, 1, 8)
LOGIN = re.compile(
    rb"noauth|authentication (is )?required|not (authenticated|logged in|authorized)"
    rb"|login required|please (log|sign) ?in|must (authenticate|log ?in)|unauthorized",
    re.IGNORECASE,
)


def remedies(scenario: Scenario, stats: Stats) -> Iterator[str]:
    """Remarks with what to write, each once."""
    found: dict[str, None] = {}
    for group in stats.faults_in_order:
        for remark in (
            _ignored(scenario, group),
            _framed(scenario, group),
            _login(scenario, group),
        ):
            if remark is not None:
                found.setdefault(remark)
    yield from found


def _socket(scenario: Scenario, group: FaultGroup) -> Socket | None:
    """The socket that all examples were met on."""
    names = {one.socket for one in group.examples}
    return next((one for one in scenario.sockets if names == {one.name}), None)


def _ignored(scenario: Scenario, group: FaultGroup) -> str | None:
    """Frames that nobody asked for, and that look alike."""
    socket = _socket(scenario, group)
    if group.kind is not Kind.SURPLUS or socket is None or len(group.examples) < ALIKE:
        return None
    came = [one.received or b"" for one in group.examples]
    ended = all(one.endswith(b"\n") for one in came)
    if not ended or any(one.count(b"\n") > 1 for one in came):
        return None
    pattern = _pattern([one.rstrip(b"\r\n") for one in came])
    if pattern is None:
        return None
    framing = "" if socket.framing is not None else "framing: line, "
    return (
        f"what came unasked on socket '{socket.name}' looks alike; if the server may say it at any"
        f" time, write sockets: {{{socket.name}: {{{framing}ignore: [{{regex: '{pattern}'}}]}}}}"
    )


def _pattern(bodies: Sequence[bytes]) -> str | None:
    """A regex of all of them: as the first one, with any number where it has one."""
    first = bodies[0]
    if not first or len(first) > LONGEST or not first.isascii() or b"'" in first:
        return None
    text = first.decode()
    if not text.isprintable():
        return None
    pattern = re.sub(r"\d+", r"\\d+", re.escape(text).replace("\\ ", " "))
    compiled = re.compile(pattern.encode())
    return pattern if all(map(compiled.fullmatch, bodies)) else None


def _framed(scenario: Scenario, group: FaultGroup) -> str | None:
    """A reply that did not end, though what came is whole by another framing."""
    socket = _socket(scenario, group)
    if group.kind is not Kind.TIMEOUT or socket is None or not group.examples:
        return None
    if any(one.said_size != len(one.said) or not one.said for one in group.examples):
        return None
    for name in _framings(socket):
        if all(_whole(name, one) for one in group.examples):
            return (
                f"what came on socket '{socket.name}' until the time-out would be whole as"
                f" framing: {name}"
            )
    return None


def _framings(socket: Socket) -> Iterator[str]:
    own = repr(socket.framing)
    if "\\n" not in own:
        yield "line"
    if "Delimited" in own or socket.framing is None:
        for size in SIZES:
            for order in ("", ", order: little") if size > 1 else ("",):
                yield f"{{length_prefix: {{bytes: {size}{order}}}}}"


def _whole(name: str, one: Evidence) -> bool:
    if name == "line":
        return one.said.endswith(b"\n")
    size = int(name.partition("bytes: ")[2][0])
    order: Literal["little", "big"] = "little" if "little" in name else "big"
    length = int.from_bytes(one.said[:size], order)
    return len(one.said) > size and length == len(one.said) - size


def _login(scenario: Scenario, group: FaultGroup) -> str | None:
    """The server wants a login, and nothing is said on a connection that is new."""
    socket = _socket(scenario, group)
    if socket is None or socket.on_connect:
        return None
    if not group.examples or not all(LOGIN.search(one.said) for one in group.examples):
        return None
    return (
        f"the server wants a login on socket '{socket.name}'; a connection that is made anew"
        f" (after a fault, after a close) begins without one: put it into"
        f" sockets: {{{socket.name}: {{on_connect: [...]}}}}"
    )
