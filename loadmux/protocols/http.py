"""HTTP/1.1 over h11: one request, its whole response, on connections that are kept.

    steps:
      - send: {http: {method: POST, path: "/users/${user}", headers: {X-Id: "${uuid}"}, body: hi}}
        expect: {http: {status: 201, headers: {content-type: text/plain}, body: created}}
      - {send: {http: /index.html}, expect: {http: 200}}       # GET, any body

A request is `method` (GET), `path` (/), `headers`, `body` (any PAYLOAD), or just its path. Host
comes from the target and Content-Length from the body unless `headers` say otherwise. A response is
judged by `status` (one, or a list; any 2xx where it is not given), `headers` (those named must be
there and be so: a text, or as a body) and `body` (a text or PAYLOAD, `{regex: RE}`,
`{length: SIZE}`, `{starts_with: TEXT}` or `{contains: TEXT}`; any where it is not given), or just
its status. `save` keeps the body.

When a response is whole is said in `http_responses`. Where the server says that it will close (or
speaks HTTP/1.0), the connection is closed after the response, and the next step connects anew. Each
`{http: ...}` that is sent is answered in its own step; where requests were sent as other bytes
(malformed, in pieces, pipelined), responses answer them in their order:

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

from loadmux.checking.framing import Frame, Framing, raised
from loadmux.checking.judging import Judgement
from loadmux.checking.verifying import MAX_FRAME
from loadmux.plugins.contracts import Framer, Incoming, Spec
from loadmux.plugins.payloads import Outgoing, Payload, Surroundings, Text
from loadmux.protocols.http_responses import MOST_HEADERS, SHOWN, Headers, Response, ResponseDecoder
from loadmux.protocols.judging import ANY, Wanted, mismatch, wanted

SMALLEST_HEAD = len(b"HTTP/1.1 200 \r\n\r\n")
END_OF_HEAD = b"\r\n\r\n"
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})")
CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r]*chunked")
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
WITH_BODY = (b"POST", b"PUT", b"PATCH")
MEASURES = frozenset({b"content-length", b"transfer-encoding"})
TARGET = re.compile(rb"[!-~]+")
VALUE = re.compile(rb"[!-~]+( [!-~]+)*").fullmatch
"""Values that are right without a doubt; h11 says which others are."""


# --- the framing --------------------------------------------------------------------------------


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
        opening = self.judge_opening(frame, parts)
        if opening.problem is not None:
            return opening
        left = parts[len(parts) - len(self.body.payloads()) :]
        body = self.body.judge("the response's body", frame.body, left)
        if body.problem is not None:
            return body
        return Judgement(captured={**opening.captured, **body.captured})

    def judge_opening(self, frame: Frame, parts: Sequence[bytes]) -> Judgement:
        assert isinstance(frame, Response)
        judgement = self._status(frame)
        captured: dict[str, bytes] = {}
        for name, value in zip(self.names, self.values, strict=True):
            own, parts = parts[: len(value.payloads())], parts[len(value.payloads()) :]
            if judgement.problem is None:
                judgement = header(frame, name, value, own)
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
