"""What `loadmux trace` has printed, read back: the exchange that was seen, as a scenario.

The exchange is the first message of a connection that was answered, with all that came until the
next one; what the server said before it is its greeting. Bytes are as they were shown: text in
quotes, line by line, or rows of a hexdump.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from loadmux.errors import UsageError
from loadmux.language.describing.suggesting import constant, suggested
from loadmux.language.text.yamltext import flow

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_TARGET = re.compile(r"target(?: [\w.-]+)?  (?:tcp|tls|udp|unix)://\S.*")
_TOLD = re.compile(r"  +\d+\.\d+ s  (?P<name>\S+)  (?P<what>.+)")
_BYTES = re.compile(r" {8}(?P<way>->|<-) (?P<shown>.+)")
_TEXT = re.compile(r'"(.*)"')
_ROW = re.compile(r"[0-9a-f]{4,}  ((?:[0-9a-f]{2} )*[0-9a-f]{2}) ")
_ESCAPE = re.compile(r'\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|([nrt"\\]))')
_NAMED = {"n": "\n", "r": "\r", "t": "\t"}
CONNECTED = "connected to "
SECURED, CLOSED = "TLS has begun", "closed by the server"


@dataclass
class Talk:
    """What was seen of one connection to `url`."""

    url: str
    greeting: bytes = b""
    sent: bytes = b""
    came: bytes = b""
    ended: bool = False
    upgraded: bool = False
    over: bool = False
    """The next message was sent, or it was closed."""

    def moved(self, way: str, data: bytes) -> None:
        if self.over:
            return
        if way == "->" and self.came:
            self.over = True
        elif way == "->":
            self.sent += data
        elif self.sent:
            self.came += data
        else:
            self.greeting += data


def is_trace(text: str) -> bool:
    """Whether `loadmux trace` has printed this."""
    return _TARGET.match(_COLOUR.sub("", text).lstrip()) is not None


def scenario_text(text: str, name: str) -> str:
    """The scenario of what a trace, called `name`, has seen. Raises UsageError."""
    seen = list(talks(_COLOUR.sub("", text).splitlines()))
    found = next((one for one in seen if one.sent and one.came), None)
    if found is None:
        raise UsageError(f"{name}: the trace shows no message that was answered; nothing to probe")
    if found.upgraded:
        raise UsageError(f"{name}: TLS begins in mid-connection; probe the traced scenario itself")
    return "\n".join(written(found)) + "\n"


def written(seen: Talk) -> Iterator[str]:
    """Its lines."""
    yield f"target: {flow(seen.url)}"
    if seen.greeting:
        first = ", ".join(f"{{expect: {one}}}" for one in suggested(b"", seen.greeting))
        yield f"sockets: {{main: {{on_connect: [{first}]}}}}"
    yield "steps:"
    reply, *more = suggested(seen.sent, seen.came, seen.ended)
    yield f"  - {{send: {constant(seen.sent)}, expect: {reply}}}"
    for one in more:
        yield f"  - {{expect: {one}}}"


def talks(lines: Iterable[str]) -> Iterator[Talk]:
    """The connections, in the order in which they were opened."""
    every: list[Talk] = []
    now: dict[str, Talk] = {}
    speaking = ""
    for line in lines:
        if told := _TOLD.fullmatch(line):
            speaking, what = told["name"], told["what"]
            if what.startswith(CONNECTED):
                now[speaking] = Talk(what.removeprefix(CONNECTED))
                every.append(now[speaking])
            elif speaking in now:
                happened(now[speaking], what)
        elif (shown := _BYTES.fullmatch(line)) and speaking in now:
            now[speaking].moved(shown["way"], data_of(shown["shown"]))
    return iter(every)


def happened(seen: Talk, what: str) -> None:
    """Something else than bytes."""
    seen.upgraded = seen.upgraded or (what == SECURED and not seen.over)
    if not seen.over and what == CLOSED:
        seen.ended = seen.over = True


def data_of(shown: str) -> bytes:
    """The bytes of a line."""
    if text := _TEXT.fullmatch(shown):
        return _ESCAPE.sub(_unescaped, text[1]).encode()
    row = _ROW.match(f"{shown} ")
    return bytes.fromhex(row[1]) if row else b""


def _unescaped(match: re.Match[str]) -> str:
    if match[3] is not None:
        return _NAMED.get(match[3], match[3])
    return chr(int(match[1] or match[2], 16))
