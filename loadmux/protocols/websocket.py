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

from collections.abc import Sequence
from dataclasses import dataclass, replace

from loadmux.checking.framing import Frame, Framing
from loadmux.checking.judging import Judgement
from loadmux.plugins.contracts import Framer, Incoming, Spec
from loadmux.plugins.payloads import Outgoing, Payload, Surroundings
from loadmux.protocols.judging import ANY, Wanted, mismatch, wanted
from loadmux.protocols.websocket_frames import MOST_CONTROL, Message, What, frame, said, served
from loadmux.protocols.websocket_session import WebSocket

# --- what steps send and expect -----------------------------------------------------------------


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
        judgement = self.body.judge(f"the {self.what}", frame.body, parts)
        if self.what == "pong" and judgement.problem is not None:
            return replace(judgement, doubtful=not (parts and alike(parts[0], frame.body)))
        return judgement


def alike(right: bytes, came: bytes) -> bool:
    """Whether a pong was meant to answer this ping: one that nobody asked for says anything else
    (RFC 6455, 5.5.3).
    """
    if len(right) == len(came):
        return 2 * sum(a == b for a, b in zip(right, came, strict=True)) >= len(right)
    return bool(right and came) and (right.startswith(came) or came.startswith(right))


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
