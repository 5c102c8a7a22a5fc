"""WebSocket (RFC 6455) over wsproto: a handshake when a socket connects, then messages.

    sockets: {main: {framing: {websocket: {path: /chat, subprotocol: v1, headers: {X-Id: a}}}}}
    steps:
      - {send: {websocket: "hello ${user}"},       expect: {websocket: "hello ${user}"}}
      - {send: {websocket: {binary: {hex: 00ff}}}, expect: {websocket: {binary: {length: 2}}}}
      - {send: {websocket: {ping: are you there}}, expect: {websocket: {pong: are you there}}}
      - {send: {websocket: {close: 1000}},         expect: {websocket: {close: 1000}}}

The handshake counts as part of the connect. A message that comes in fragments is one message. Pings
of the server are answered while a reply is awaited, in a `wait` and before a send, pongs that
nobody asked for are passed over, and a close that nobody asked for is `closed`. `{close: CODE}`
expects the close frame and then the end of the connection; what the server closes is answered.
Extensions (compression) are not offered. Masks come from the seed; those of pongs from what they
carry, for they are random enough where no browser is in the way. With `frame` and `regex` the body
is what a message carries, text or binary.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

import h11
from wsproto.frame_protocol import Frame as WireFrame
from wsproto.frame_protocol import FrameDecoder, MessageDecoder, Opcode, ParseFailed

from loadmux.checking.framed import WholeFrameVerifier
from loadmux.checking.framing import Decoder, Frame, FrameError, Framing, Session, Unasked, raised
from loadmux.checking.judging import Judgement
from loadmux.checking.verifying import MAX_FRAME, Verifier
from loadmux.errors import Kind
from loadmux.plugins.contracts import Framer, Incoming, Spec
from loadmux.plugins.payloads import Outgoing, Payload, Surroundings
from loadmux.protocols.judging import ANY, Wanted, mismatch, wanted
from loadmux.protocols.websocket_frames import (
    FIN,
    MOST_CONTROL,
    Message,
    What,
    answer_to,
    closing,
    frame,
    said,
    served,
)
from loadmux.protocols.websocket_handshake import HandshakeDecoder, Upgraded

SMALLEST_HEAD = 2


# --- frames that come ---------------------------------------------------------------------------


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


# --- the handshake ------------------------------------------------------------------------------


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


# --- what steps send and expect -----------------------------------------------------------------


CONTROL = tuple(bytes([0x80 | one]) for one in (Opcode.CLOSE, Opcode.PING, Opcode.PONG))
"""How a control frame begins; it has no fragments, and its length is one byte (RFC 6455, 5.5)."""
PONG = CONTROL[-1]
HEAD = 2


@dataclass(frozen=True, slots=True)
class Said(Outgoing):
    """A message, ping or close; `code` is a close's."""

    varies = True

    what: What
    body: Payload | None = None
    code: int | None = None

    @property
    def alone(self) -> bool:  # type: ignore[override]
        """A close is answered in its own step."""
        return self.what == "close"

    def payloads(self) -> tuple[Payload, ...]:
        return () if self.body is None else (self.body,)

    def encode(self, parts: Sequence[bytes], around: Surroundings) -> bytes:
        body = b"".join(parts)
        if self.code is not None:
            body = self.code.to_bytes(2, "big") + body
        if self.what in ("ping", "close") and len(body) > MOST_CONTROL:
            raise ValueError(f"a {self.what} carries at most {MOST_CONTROL} bytes")
        if self.what == "text":
            try:
                body.decode()
            except UnicodeDecodeError as error:
                raise ValueError(f"a text is UTF-8; send {{binary: ...}} ({error})") from None
        return frame(self.what, body, around.random.randbytes(4))


@dataclass(frozen=True, slots=True)
class Heard(Incoming):
    """A message, pong or close, with this body or code."""

    what: What
    body: Wanted = ANY
    code: int | None = None

    def payloads(self) -> tuple[Payload, ...]:
        return self.body.payloads()

    def captures(self) -> tuple[str, ...]:
        return self.body.captures()

    def least(self, sizes: Sequence[int]) -> int:
        return self.body.least(sizes)

    def over(self, framing: Framing) -> WebSocket:
        assert isinstance(framing, WebSocket)
        if self.what == "close":
            return replace(framing, wants="close")
        return replace(framing, wants="pong" if self.what == "pong" else "message")

    def likely(self, parts: Sequence[bytes]) -> bytes | None:
        if self.body.payload is None or self.what == "close":
            return None
        return served(self.what, parts[0])

    def judge(self, frame: Frame, parts: Sequence[bytes]) -> Judgement:
        assert isinstance(frame, Message)
        if frame.what != self.what:
            text = f"a {frame.what} of {len(frame.body)} bytes came, expected a {self.what}"
            return mismatch(text, parts[0] if parts else b"", frame.body)
        if self.code is not None and frame.code != self.code:
            came = f"{frame.code}{said(frame.body)}"
            text = f"the server closed with {came}, expected {self.code}"
            return mismatch(text, str(self.code).encode(), str(frame.code).encode())
        return self.body.judge(f"the {self.what}", frame.body, parts)


# --- what files say -----------------------------------------------------------------------------


def read_code(spec: Spec) -> int:
    code = spec.integer()
    if not (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999):
        spec.refuse(f"{code} is no code to close with; write 1000, or 3000 to 4999")
    return code


class WebSocketFramer(Framer):
    """`websocket`; see the module."""

    framing = WebSocket
    own_socket = True

    def read_framing(self, options: Spec | None, max_size: int) -> WebSocket:
        if options is None:
            return WebSocket(max_size=max_size)
        fields = options.fields(("path", "subprotocol", "headers"))
        headers = fields["headers"].entries() if "headers" in fields else {}
        found = WebSocket(
            fields["path"].constant() if "path" in fields else "/",
            fields["subprotocol"].constant() if "subprotocol" in fields else None,
            tuple((name, value.constant()) for name, value in headers.items()),
            max_size,
        )
        try:
            found.request(b"", "localhost")
        except ValueError as error:
            options.refuse(f"this handshake cannot be sent: {error}")
        return found

    def read_payload(self, spec: Spec) -> Said:
        if spec.kind != "mapping":
            return Said("text", spec.text())
        what, inner = one_of(spec, ("text", "binary", "ping", "close"))
        if what != "close":
            return Said(what, inner.payload())
        if inner.kind != "mapping":
            return Said("close", None, read_code(inner))
        fields = inner.fields(("code", "reason"))
        if "code" not in fields:
            inner.refuse("'close' needs a code; write {close: 1000}")
        reason = fields["reason"].text() if "reason" in fields else None
        return Said("close", reason, read_code(fields["code"]))

    def read_reply(self, spec: Spec) -> Heard:
        if spec.kind != "mapping":
            return Heard("text", Wanted(payload=spec.text()))
        what, inner = one_of(spec, ("text", "binary", "pong", "close"))
        if what != "close":
            return Heard(what, wanted(inner))
        code = inner.integer()
        return Heard("close", ANY, code)


def one_of(spec: Spec, whats: Sequence[What]) -> tuple[What, Spec]:
    """The one form of a message."""
    fields = spec.fields(whats)
    found = [(what, fields[what]) for what in whats if what in fields]
    if len(found) != 1:
        spec.refuse(f"a message has one form, one of {', '.join(whats)}")
    return found[0]


FRAMER = WebSocketFramer()
