"""WebSocket's handshake, RFC 6455, section 4.1: what a server must answer to the request for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import h11
from wsproto.utilities import generate_accept_token

from loadmux.checking.framing import Decoder, Frame, FrameError
from loadmux.checking.judging import Judgement
from loadmux.protocols.judging import mismatch

MOST_HANDSHAKE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Handshaken(Frame):
    """The server's answer to the request for an upgrade."""

    status_line: bytes
    headers: Sequence[tuple[bytes, bytes]]

    def values(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.headers if key == name]


class HandshakeDecoder(Decoder):
    """The head of the answer; what follows a switch of protocols is frames already."""

    __slots__ = ("_connection", "_fed", "_taken")

    def __init__(self, request: h11.Request) -> None:
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MOST_HANDSHAKE)
        self._connection.send(request)
        self._connection.send(h11.EndOfMessage())

    def feed(self, data: bytes) -> Handshaken | None:
        self._connection.receive_data(data)
        try:
            event = self._connection.next_event()
            while isinstance(event, h11.InformationalResponse) and event.status_code != 101:
                event = self._connection.next_event()
        except h11.RemoteProtocolError as error:
            raise FrameError(f"no right answer to the handshake: {error}", 0) from None
        if not isinstance(event, h11.InformationalResponse | h11.Response):
            return None
        line = b"HTTP/%b %d %b" % (event.http_version, event.status_code, event.reason)
        headers = tuple((bytes(name), bytes(value)) for name, value in event.headers)
        return Handshaken(b"", self._connection.trailing_data[0], line, headers)

    def owed(self) -> str:
        return "the answer to the WebSocket handshake"


@dataclass(frozen=True, slots=True)
class Upgraded:
    """Judges the answer to a handshake with this key; RFC 6455, section 4.1."""

    key: bytes
    subprotocol: str | None

    def __call__(self, found: Frame) -> Judgement:
        assert isinstance(found, Handshaken)
        line = found.status_line
        if not line.partition(b" ")[2].startswith(b"101"):
            text = f"the WebSocket handshake was refused: {line.decode(errors='replace')!r}"
            return mismatch(text, b"HTTP/1.1 101 Switching Protocols", line)
        chosen = [] if self.subprotocol is None else [self.subprotocol.encode()]
        for name, right in (
            (b"sec-websocket-accept", [generate_accept_token(self.key)]),
            (b"upgrade", [b"websocket"]),
            (b"sec-websocket-protocol", chosen),
            (b"sec-websocket-extensions", []),
        ):
            values = found.values(name)
            same = [v.lower() for v in values] if name == b"upgrade" else values
            if same != right:
                text = f"the WebSocket handshake has {b', '.join(values)!r} as {name.decode()!r}"
                wanted_ = repr(b", ".join(right)) if right else "none"
                return mismatch(f"{text}, expected {wanted_}", b"".join(right), b"".join(values))
        return Judgement()
