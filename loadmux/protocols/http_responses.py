"""Responses of HTTP/1.1 on the wire, as h11 reads them.

A response is whole as RFC 9112, section 6.3 has it: HEAD, 204 and 304 have no body; chunks, a
length, or the end of the connection end the others. 1xx are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import h11

from loadmux.checking.framing import Decoder, Frame, FrameError, too_large
from loadmux.protocols.http_plainly import plainly

Headers = Sequence[tuple[bytes, bytes]]
MOST_HEADERS = 256 * 1024
REMEMBERED = 16 * 1024
NO_HEAD = "the status line and headers of a response"
SHOWN = re.compile(rb"bytearray\((b'[^']*'|b\"[^\"]*\")\)")


@dataclass(frozen=True, slots=True)
class Response(Frame):
    """A whole response; `kept`: the connection can be used again."""

    status: int
    version: bytes
    reason: bytes
    headers: Headers
    kept: bool

    @property
    def last(self) -> bool:
        return not self.kept

    @property
    def status_line(self) -> bytes:
        return b"HTTP/%b %d %b" % (self.version, self.status, self.reason)

    def values(self, name: bytes) -> list[bytes]:
        """The values of all headers of a name (in lower case)."""
        return [value for key, value in self.headers if key == name]


class ResponseDecoder(Decoder):
    """One response to a request of `method`.

    Servers mostly say the same thing again, so a response that comes in one piece is parsed only if
    it was not seen lately.
    """

    __slots__ = ("_max_size", "_method", "_parser")

    def __init__(self, method: bytes, max_size: int) -> None:
        self._method = method
        self._max_size = max_size
        self._parser: ResponseParser | None = None

    def feed(self, data: bytes) -> Response | None:
        if self._parser is None:
            if len(data) <= REMEMBERED and (known := parsed(data, self._method, self._max_size)):
                return known
            self._parser = ResponseParser(self._method, self._max_size)
        return self._parser.feed(data)

    def end(self) -> Response | None:
        return None if self._parser is None else self._parser.end()

    def opening(self) -> Response | None:
        return None if self._parser is None else self._parser.opening()

    def owed(self) -> str:
        return NO_HEAD if self._parser is None else self._parser.owed()


@lru_cache(maxsize=128)
def parsed(data: bytes, method: bytes, max_size: int) -> Response | None:
    """The response that these bytes are, if they are just one."""
    if method != b"HEAD" and len(data) <= max_size and (plain := plainly(data)) is not None:
        status, reason, headers, body = plain
        return Response(body, b"", status, b"1.1", reason, headers, True)
    try:
        found = ResponseParser(method, max_size).feed(data)
    except FrameError:
        return None
    return None if found is None or found.rest else found


class ResponseParser(Decoder):
    """One response to a request of `method`, as h11 sees it.

    An offset is that of the part that is malformed: the head, a chunk's line, what follows a chunk.
    """

    __slots__ = ("_body", "_connection", "_consumed", "_fed", "_head", "_max_size")

    def __init__(self, method: bytes, max_size: int) -> None:
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MOST_HEADERS)
        self._connection.send(h11.Request(method=method, target=b"/", headers=[(b"Host", b"h")]))
        self._connection.send(h11.EndOfMessage())
        self._max_size = max_size
        self._head: h11.Response | None = None
        self._body = bytearray()
        self._fed = self._consumed = 0

    def feed(self, data: bytes) -> Response | None:
        self._fed += len(data)
        self._connection.receive_data(data)
        found = self._advance()
        size = self._fed if found is None else self._fed - len(found.rest)
        if size > self._max_size:
            raise too_large(self._max_size, self._max_size)
        return found

    def _advance(self) -> Response | None:
        connection = self._connection
        while True:
            try:
                event = connection.next_event()
            except h11.RemoteProtocolError as error:
                text = SHOWN.sub(rb"\1", str(error).encode()).decode()
                raise FrameError(f"no right HTTP response: {text}", self._consumed) from None
            if isinstance(event, h11.Response):
                self._head = event
            elif isinstance(event, h11.Data):
                self._body += event.data
            elif isinstance(event, h11.EndOfMessage):
                return self._whole()
            elif not isinstance(event, h11.InformationalResponse):
                return None
            self._consumed = self._fed - len(connection.trailing_data[0])

    def _whole(self) -> Response:
        assert self._head is not None
        rest = self._connection.trailing_data[0]
        return self._response(self._head, bytes(self._body), rest)

    def opening(self) -> Response | None:
        return None if self._head is None else self._response(self._head, b"", b"")

    def _response(self, head: h11.Response, body: bytes, rest: bytes) -> Response:
        return Response(
            body,
            rest,
            head.status_code,
            bytes(head.http_version),
            bytes(head.reason),
            tuple((bytes(name), bytes(value)) for name, value in head.headers),
            self._connection.their_state is h11.DONE,
        )

    def end(self) -> Response | None:
        """Where neither a length nor chunks say it, the end of the stream ends the body."""
        if self._head is None or self._framed():
            return None
        self._connection.receive_data(b"")
        return self._advance()

    def _framed(self) -> bool:
        assert self._head is not None
        names = {bytes(name) for name, _ in self._head.headers}
        return bool(names & {b"content-length", b"transfer-encoding"})

    def owed(self) -> str:
        if self._head is None:
            return NO_HEAD
        for name, value in self._head.headers:
            if name == b"transfer-encoding":
                return f"the rest of a chunked body, of which {len(self._body)} bytes came"
            if name == b"content-length":
                return f"{int(value) - len(self._body)} of {int(value)} bytes of the body"
        return "the end of the connection, which ends the body"
