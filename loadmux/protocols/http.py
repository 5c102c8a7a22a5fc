"""HTTP/1.1 over h11: one request, its whole response, on connections that are kept.

    steps:
      - send: {http: {method: POST, path: "/users/${user}", headers: {X-Id: "${uuid}"}, body: hi}}
        expect: {http: {status: 201, headers: {content-type: text/plain}, body: created}}
      - {send: {http: /index.html}, expect: {http: 200}}       # GET, any body

A request is `method` (GET), `path` (/), `headers`, `body` (any PAYLOAD), or just its path. Host
comes from the target and Content-Length from the body unless `headers` say otherwise. A response is
judged by `status` (one, or a list; any 2xx where it is not given), `headers` (those named must be
there and be so: a text or `{regex: RE}`) and `body` (a text or PAYLOAD, `{regex: RE}`,
`{length: SIZE}`; any where it is not given), or just its status. `save` keeps the body.

A response is whole as RFC 9112, section 6.3 has it: HEAD, 204 and 304 have no body; chunks, a
length, or the end of the connection end the others. 1xx are passed over. Where the server says that
it will close (or speaks HTTP/1.0), the connection is closed after the response, and the next step
connects anew. Each `{http: ...}` that is sent is answered in its own step; where requests were sent
as other bytes (malformed, in pieces, pipelined), responses answer them in their order:

      - send: "GET /a HTTP/1.1\\r\\nHost: x\\r\\n\\r\\nHEAD /b HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n"
      - {expect: {http: 200}}
      - {expect: {http: 404}}
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import h11

from loadmux.checking.framed import Judgement
from loadmux.checking.framing import Decoder, Frame, FrameError, Framing, raised, too_large
from loadmux.checking.verifying import MAX_FRAME
from loadmux.plugins.contracts import Framer, Incoming, Spec
from loadmux.plugins.payloads import Outgoing, Payload, Surroundings, Text
from loadmux.protocols.judging import ANY, Wanted, mismatch, wanted

Headers = Sequence[tuple[bytes, bytes]]

MOST_HEADERS = 256 * 1024
SMALLEST_HEAD = len(b"HTTP/1.1 200 \r\n\r\n")
REMEMBERED = 16 * 1024
END_OF_HEAD = b"\r\n\r\n"
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})")
CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r]*chunked")
NO_HEAD = "the status line and headers of a response"
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
WITH_BODY = (b"POST", b"PUT", b"PATCH")
MEASURES = frozenset({b"content-length", b"transfer-encoding"})
TARGET = re.compile(rb"[!-~]+")
VALUE = re.compile(rb"[!-~]+( [!-~]+)*").fullmatch
"""Values that are right without a doubt; h11 says which others are."""
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


# --- what comes ---------------------------------------------------------------------------------


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

    def owed(self) -> str:
        return NO_HEAD if self._parser is None else self._parser.owed()


@lru_cache(maxsize=128)
def parsed(data: bytes, method: bytes, max_size: int) -> Response | None:
    """The response that these bytes are, if they are just one."""
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
        head, connection = self._head, self._connection
        assert head is not None
        return Response(
            bytes(self._body),
            connection.trailing_data[0],
            head.status_code,
            bytes(head.http_version),
            bytes(head.reason),
            tuple((bytes(name), bytes(value)) for name, value in head.headers),
            connection.their_state is h11.DONE,
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


@dataclass(frozen=True, slots=True)
class Http(Framing):
    """`framing: http`: the body of a frame is that of the response to a request of `method`."""

    max_size: int = MAX_FRAME
    method: bytes = b"GET"

    def encode(self, body: bytes) -> bytes:
        raise ValueError("a request has more than a body; write {http: {path: /, body: ...}}")

    def decoder(self) -> ResponseDecoder:
        return ResponseDecoder(self.method, self.max_size)

    def holding(self, least: int) -> Http:
        """Beside the body there is room for the head, and for the lines of small chunks."""
        return replace(
            self, max_size=raised(self.max_size, least + SMALLEST_HEAD, MOST_HEADERS + least)
        )

    def answering(self, sent: bytes) -> Http:
        method = sent.partition(b" ")[0]
        return replace(self, method=method) if method == b"HEAD" else self

    def requests(self, sent: bytes) -> tuple[list[bytes], bytes]:
        found = []
        while (size := _whole_request(sent)) is not None:
            found.append(sent[:size])
            sent = sent[size:]
        return found, sent


def _whole_request(sent: bytes) -> int | None:
    """Bytes of the request that some bytes begin with; None where it is not whole."""
    end = sent.find(END_OF_HEAD)
    if end < 0:
        return None
    head, size = sent[:end].lower(), end + len(END_OF_HEAD)
    length = CONTENT_LENGTH.search(head)
    if length is not None:
        size += int(length[1])
    elif CHUNKED.search(head):
        last = sent.find(b"\r\n0\r\n\r\n", end)
        size = last + 7 if last >= 0 else len(sent) + 1
    return size if size <= len(sent) else None


# --- requests -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Request(Outgoing):
    """One request; `names` are those of the headers, whose values are `values`."""

    alone = True

    method: str
    path: Text
    names: tuple[str, ...] = ()
    values: tuple[Text, ...] = ()
    body: Payload | None = None

    def payloads(self) -> tuple[Payload, ...]:
        return (self.path, *self.values, *(() if self.body is None else (self.body,)))

    def encode(self, parts: Sequence[bytes], around: Surroundings) -> bytes:
        with_body = self.body is not None
        head = shape(self.method, self.names, with_body, around.authority)
        last = len(self.names) + 1
        if head is None or not (TARGET.fullmatch(parts[0]) and all(map(VALUE, parts[1:last]))):
            return self._written(parts, around)
        if not with_body:
            return head % (*parts,)
        body = parts[last]
        return head % (*parts[:last], len(body)) + body

    def _written(self, parts: Sequence[bytes], around: Surroundings) -> bytes:
        names = [name.encode() for name in self.names]
        body = b"" if self.body is None else parts[-1]
        given = {name.lower() for name in names}
        measured = bool(given & MEASURES)
        headers = list(zip(names, parts[1 : 1 + len(names)], strict=True))
        method = self.method.encode()
        if not measured and (body or self.body is not None or method in WITH_BODY):
            headers.append((b"Content-Length", b"%d" % len(body)))
        return written(method, parts[0], headers, body, around.authority)


def written(method: bytes, path: bytes, headers: Headers, body: bytes, authority: str) -> bytes:
    """The bytes of a request. Raises ValueError where there is none such."""
    if not any(name.lower() == b"host" for name, _ in headers):
        headers = [(b"Host", authority.encode()), *headers]
    try:
        connection = h11.Connection(h11.CLIENT)
        data = connection.send(h11.Request(method=method, target=path, headers=list(headers)))
        data += connection.send(h11.Data(data=body)) if body else b""
        return data + connection.send(h11.EndOfMessage())
    except h11.LocalProtocolError as error:
        text = SHOWN.sub(rb"\1", str(error).encode()).decode()
        where = f" in the path {path[:60]!r}; write %20 for a space"
        raise ValueError(text + where if "target" in text else text) from None


@lru_cache(maxsize=1024)
def shape(method: str, names: tuple[str, ...], with_body: bool, authority: str) -> bytes | None:
    """The format of a request's head, as `written` writes it, for its path, the values of its
    headers and the size of its body; None where that is not all that it hangs on.
    """
    encoded = [name.encode() for name in names]
    if MEASURES & {name.lower() for name in encoded} or (
        method.encode() in WITH_BODY and not with_body
    ):
        return None
    marks = [b"~%d~" % number for number in range(len(names) + 1)]
    headers = [*zip(encoded, marks[1:], strict=True)]
    if with_body:
        headers.append((b"Content-Length", b"1"))
    try:
        head = written(method.encode(), marks[0], headers, b"x" * with_body, authority)
    except ValueError:
        return None
    form = head[: len(head) - with_body].replace(b"%", b"%%")
    places = [form.find(mark) for mark in marks]
    if places != sorted(places) or any(form.count(mark) != 1 for mark in marks):
        return None  # h11 has Host come first
    for mark in marks:
        form = form.replace(mark, b"%b")
    if not with_body:
        return form
    before, length, after = form.rpartition(b"\r\nContent-Length: 1\r\n")
    return before + length.replace(b"1", b"%d") + after if length else None


# --- responses ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ResponseReply(Incoming):
    """One response; no `statuses` mean any 2xx."""

    answers = True

    statuses: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    values: tuple[Wanted, ...] = ()
    body: Wanted = ANY

    def payloads(self) -> tuple[Payload, ...]:
        return tuple(part for one in (*self.values, self.body) for part in one.payloads())

    def captures(self) -> tuple[str, ...]:
        return tuple(name for one in (*self.values, self.body) for name in one.captures())

    def least(self, sizes: Sequence[int]) -> int:
        return self.body.least(sizes[len(sizes) - len(self.body.payloads()) :])

    def judge(self, frame: Frame, parts: Sequence[bytes]) -> Judgement:
        assert isinstance(frame, Response)
        judgement = self._status(frame)
        captured: dict[str, bytes] = {}
        left = list(parts)
        for name, value in zip(self.names, self.values, strict=True):
            own, left = left[: len(value.payloads())], left[len(value.payloads()) :]
            if judgement.problem is None:
                judgement = header(frame, name, value, own)
                captured.update(judgement.captured)
        if judgement.problem is None:
            judgement = self.body.judge("the response's body", frame.body, left)
            captured.update(judgement.captured)
        return judgement if judgement.problem is not None else Judgement(captured=captured)

    def _status(self, frame: Response) -> Judgement:
        statuses = self.statuses
        if frame.status in statuses or (not statuses and 200 <= frame.status < 300):
            return Judgement()
        wanted_ = " or ".join(map(str, statuses)) or "2xx"
        line = frame.status_line.decode(errors="replace")
        expected = b"HTTP/%b %b" % (frame.version, wanted_.encode())
        text = f"the response is {line!r}, expected the status {wanted_}"
        return mismatch(text, expected, frame.status_line)


def header(frame: Response, name: str, value: Wanted, parts: Sequence[bytes]) -> Judgement:
    """Whether a header is there, and one of its lines is right."""
    lines = frame.values(name.lower().encode())
    if not lines:
        heads = b"\r\n".join(b"%b: %b" % pair for pair in frame.headers)
        return mismatch(f"the response has no header {name!r}", name.encode(), heads)
    found = [value.judge(f"the response's header {name!r}", line, parts) for line in lines]
    return next((one for one in found if one.problem is None), found[0])


# --- what files say -----------------------------------------------------------------------------


def read_status(spec: Spec) -> tuple[int, ...]:
    specs = spec.items() if spec.kind == "list" else [spec]
    if not specs:
        spec.refuse("'status' names no status; leave it out for any 2xx")
    return tuple(one_status(each) for each in specs)


def one_status(spec: Spec) -> int:
    status = spec.integer()
    if not 200 <= status <= 599:
        spec.refuse(f"a status is 200 to 599, not {status}")
    return status


def read_names(fields: Mapping[str, Spec]) -> Mapping[str, Spec]:
    entries = fields["headers"].entries() if "headers" in fields else {}
    for name, spec in entries.items():
        if TOKEN.fullmatch(name) is None:
            spec.refuse(f"{name[:60]!r} is not the name of a header")
    return entries


class HttpFramer(Framer):
    """`http`; see the module."""

    framing = Http

    def read_framing(self, options: Spec | None, max_size: int) -> Http:
        if options is not None:
            options.refuse(
                "'http' has no options; write 'framing: http' or {http: true, max: SIZE}"
            )
        return Http(max_size)

    def read_payload(self, spec: Spec) -> Request:
        if spec.kind == "text":
            return Request("GET", spec.text())
        fields = spec.fields(("method", "path", "headers", "body"))
        method = fields["method"].constant() if "method" in fields else "GET"
        if method == "CONNECT" or TOKEN.fullmatch(method) is None:
            fields["method"].refuse(f"{method[:60]!r} is no method that can be sent; write GET")
        headers = read_names(fields)
        return Request(
            method,
            fields["path"].text() if "path" in fields else Text(("/",)),
            tuple(headers),
            tuple(each.text() for each in headers.values()),
            fields["body"].payload() if "body" in fields else None,
        )

    def read_reply(self, spec: Spec) -> ResponseReply:
        if spec.kind in ("number", "list"):
            return ResponseReply(read_status(spec))
        fields = spec.fields(("status", "headers", "body"))
        headers = read_names(fields)
        return ResponseReply(
            read_status(fields["status"]) if "status" in fields else (),
            tuple(headers),
            tuple(wanted(each) for each in headers.values()),
            wanted(fields["body"]) if "body" in fields else ANY,
        )


FRAMER = HttpFramer()
