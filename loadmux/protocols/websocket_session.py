"""A WebSocket connection as frames: the handshake of a client, and the messages that come.

Pings of the server are answered; see `websocket` for what steps say.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

import h11
from wsproto.frame_protocol import Frame as WireFrame
from wsproto.frame_protocol import FrameDecoder, MessageDecoder, Opcode, ParseFailed

from loadmux.checking.framed import WholeFrameVerifier
from loadmux.checking.framing import Decoder, FrameError, Session, Unasked, raised
from loadmux.checking.verifying import MAX_FRAME, Verifier
from loadmux.errors import Kind
from loadmux.protocols.websocket_frames import FIN, Message, What, answer_to, closing, said
from loadmux.protocols.websocket_handshake import HandshakeDecoder, Upgraded

SMALLEST_HEAD = 2
CONTROL = tuple(bytes([0x80 | one]) for one in (Opcode.CLOSE, Opcode.PING, Opcode.PONG))
"""How a control frame begins; it has no fragments, and its length is one byte (RFC 6455, 5.5)."""
PONG = CONTROL[-1]
HEAD = 2


class Conversation(Decoder):
    """One message; pings among its frames are answered.

    `wants`: "pong" and "close" ask for such a frame; a close is whole at the end of the stream.
    """

    __slots__ = (
        "_answer",
        "_aside",
        "_at",
        "_body",
        "_closing",
        "_fed",
        "_frames",
        "_framing",
        "_gone",
        "_messages",
        "_moved",
    )

    def __init__(self, framing: WebSocket) -> None:
        self._framing = framing
        self._frames = FrameDecoder(client=True)
        self._messages = MessageDecoder()
        self._body = bytearray()
        self._answer = b""
        self._closing: Message | None = None
        self._fed = self._at = self._aside = self._gone = 0
        self._moved = True

    def feed(self, data: bytes) -> Message | None:
        if self._closing is not None:
            raise FrameError(
                "something came after the close frame", self._fed - self._gone, Kind.SURPLUS
            )
        self._fed += len(data)
        self._moved = False
        self._frames.receive_bytes(data)
        try:
            return self._advance()
        except FrameError as error:
            error.offset -= self._gone
            raise
        except ParseFailed as error:
            text = f"no right WebSocket frame: {error}"
            raise FrameError(text, self._at - self._gone) from None

    @property
    def gone(self) -> int:
        return self._gone

    @property
    def moved(self) -> bool:
        return self._moved

    def _advance(self) -> Message | None:
        while (one := self._frames.process_buffer()) is not None:
            found = self._control(one) if one.opcode.iscontrol() else self._data(one)
            if found is not None:
                self._check_size()
                return found
            aside = one.opcode.iscontrol() and self._closing is None
            self._moved = self._moved or not aside
            if one.frame_finished:
                at, self._at = self._at, self._fed - len(self._frames.buffer)
                self._aside += (self._at - at) * aside
                if self._aside == self._at:
                    self._gone = self._at
        self._check_size()
        return None

    def _check_size(self) -> None:
        """A frame, or the frames of a message together, are at most `max`; pings do not count."""
        header = self._frames.header
        size = self._fed - len(self._frames.buffer) - self._aside
        if header is not None:
            size = self._at - self._aside + 2 + header.payload_len
        if size > self._framing.max_size:
            text = f"a message of more than {self._framing.max_size} bytes ('max') came"
            raise FrameError(text, self._at)

    def _data(self, one: WireFrame) -> Message | None:
        part = self._messages.process_frame(one)
        payload = part.payload
        assert not isinstance(payload, tuple)
        self._body += payload.encode() if isinstance(payload, str) else payload
        if not (part.frame_finished and part.message_finished):
            return None
        what: What = "text" if part.opcode is Opcode.TEXT else "binary"
        return Message(bytes(self._body), bytes(self._frames.buffer.buffer), what)

    def _control(self, one: WireFrame) -> Message | None:
        body = one.payload
        assert isinstance(body, bytes)
        if one.opcode is Opcode.PING:
            self._answer += answer_to("pong", body)
            return None
        rest = bytes(self._frames.buffer.buffer)
        if one.opcode is Opcode.PONG:
            return Message(body, rest, "pong") if self._framing.wants == "pong" else None
        code, reason = closing(body)
        if self._framing.wants != "close":
            raise FrameError(f"the server closed: {code}{said(reason)}", self._at, Kind.CLOSED)
        if not self._framing.closed_by_us:
            self._answer += answer_to("close", body[:2])
        self._closing = Message(reason, b"", "close", code)
        if rest:
            raise FrameError("something came after the close frame", self._fed, Kind.SURPLUS)
        return None

    def end(self) -> Message | None:
        return self._closing

    def answer(self) -> bytes:
        answer, self._answer = self._answer, b""
        return answer

    def owed(self) -> str:
        if self._closing is not None:
            return "the end of the connection after the close frame"
        if self._body or self._frames.header is not None:
            return f"the rest of a message of which {len(self._body)} bytes came"
        return "a whole message"


@dataclass(frozen=True, slots=True)
class WebSocket(Session):
    """`framing: websocket`; `headers` are more of the request's."""

    path: str = "/"
    subprotocol: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    max_size: int = MAX_FRAME
    wants: Literal["message", "pong", "close"] = "message"
    closed_by_us: bool = False

    def encode(self, body: bytes) -> bytes:
        raise ValueError("a message has a type; write {websocket: TEXT} or {binary: ...} within it")

    def decoder(self) -> Conversation:
        return Conversation(self)

    def holding(self, least: int) -> WebSocket:
        """Beside the message there is room for the heads of its fragments."""
        return replace(self, max_size=raised(self.max_size, least + SMALLEST_HEAD, least))

    def answering(self, sent: bytes) -> WebSocket:
        ours = self.wants == "close" and sent[:1] == bytes([FIN | Opcode.CLOSE])
        return replace(self, closed_by_us=True) if ours else self

    def request(self, key: bytes, authority: str) -> h11.Request:
        """The handshake of a client. Raises ValueError where headers or path are none."""
        headers = [
            ("Host", authority),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", key.decode()),
            ("Sec-WebSocket-Version", "13"),
        ]
        if self.subprotocol is not None:
            headers.append(("Sec-WebSocket-Protocol", self.subprotocol))
        given = {name.lower() for name, _ in self.headers}
        kept = [(name, value) for name, value in headers if name.lower() not in given]
        try:
            return h11.Request(method="GET", target=self.path, headers=[*kept, *self.headers])
        except h11.LocalProtocolError as error:
            raise ValueError(str(error)) from None

    def greeting(self, random: Random, authority: str) -> tuple[bytes, Verifier]:
        key = base64.b64encode(random.randbytes(16))
        request = self.request(key, authority)
        connection = h11.Connection(h11.CLIENT)
        data = connection.send(request) + connection.send(h11.EndOfMessage())
        decoder = HandshakeDecoder(request)
        return data, WholeFrameVerifier(decoder, Upgraded(key, self.subprotocol))

    def unasked(self, data: bytes) -> Unasked:
        decoder = FrameDecoder(client=True)
        decoder.receive_bytes(data)
        answer, rest = b"", data
        try:
            while (one := decoder.process_buffer()) is not None and one.opcode.iscontrol():
                body = one.payload
                assert isinstance(body, bytes)
                rest = bytes(decoder.buffer.buffer)
                if one.opcode is Opcode.PING:
                    answer += answer_to("pong", body)
                elif one.opcode is Opcode.CLOSE:
                    code, reason = closing(body)
                    return Unasked(
                        answer, rest, f"the server closed, unasked: {code}{said(reason)}"
                    )
        except ParseFailed:
            return Unasked(answer, rest)
        return Unasked(answer, rest)

    def begun(self, rest: bytes) -> bool:
        head = rest[:1] in CONTROL
        return head and (len(rest) < HEAD or len(rest) < HEAD + rest[1])

    def awaited_from(self, data: bytes) -> int:
        at = 0
        while data[at : at + 1] in CONTROL and len(data) > at + 1:
            if data[at : at + 1] == PONG:
                return at
            at += HEAD + data[at + 1]
        return len(data)
