"""`sse`: one event of a `text/event-stream`, WHATWG HTML section 9.2, after the response's header.

The body is the event as it came: its fields' lines, joined by LF, without comments and without the
empty line that ends it; what is in the `data` fields is as good as that. What is no event (comments
that keep the connection alive, `retry`, the header) is passed over.

The stream may be chunked (RFC 9112, section 7.1). A decoder reads one event and knows of those
before it only what it sees: where a chunk holds the end of one event and the beginning of the next,
the line with the next chunk's size is known by what it is, since no field consists of hex digits.
No I/O.
"""

from __future__ import annotations

import re
from dataclasses import replace

from loadmux.checking.framing import (
    Decoder,
    Frame,
    FrameError,
    Talkative,
    Unasked,
    fitting,
    raised,
    too_large,
)
from loadmux.checking.frozen import dataclass
from loadmux.checking.verifying import MAX_FRAME
from loadmux.errors import Kind

PROTOCOL = b"HTTP/"
TYPE = b"text/event-stream"
LONGEST_HEADER = 64 * 1024
_STATUS = re.compile(rb"HTTP/\d(?:\.\d)? (\d{3})(?: [^\r\n]*)?\r?\n")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})(?:[ \t]*;[^\r\n]*)?\r\n")
_SIZE_WITHIN = re.compile(rb"\r\n([0-9A-Fa-f]{1,8})(?:[ \t]*;[^\r\n]*)?\r\n")
_SIZE_BEGUN = re.compile(rb"[0-9A-Fa-f]{1,8}(?:[ \t]*;[^\r\n]*)?\r?")
_EMPTY = re.compile(rb"(?:\r?\n)+")
_BLOCK_END = re.compile(rb"\r?\n\r?\n")
_LINE = re.compile(rb"\r?\n")
_LAST = re.compile(rb"(?:\r\n)?0+\r\n(?:[^\r\n]+\r\n)*\r\n")
_BEGUN = re.compile(rb"(?:\r|(?:\r\n)?[0-9A-Fa-f]{0,8}(?:\r|\r\n(?::[^\n]*\n?|\r)?)?|:[^\n]*\n?)")
_EVENT = re.compile(rb"^(?:data|event)(?::|\r?$)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class EventFrame(Frame):
    """One event; `data` is what is in its data fields."""

    data: bytes = b""

    @property
    def other(self) -> bytes | None:
        return self.data


@dataclass(frozen=True, slots=True)
class Events(Talkative):
    """`sse`; see the module. Comments may come at any time."""

    max_size: int = MAX_FRAME

    def encode(self, body: bytes) -> bytes:
        if _BLOCK_END.search(body) or body[:1] in (b"", b"\n", b"\r"):
            raise ValueError("an event has no empty line in it")
        return fitting(body.rstrip(b"\r\n") + b"\n\n", self.max_size)

    def expected(self, body: bytes) -> bytes:
        return b"\n".join(_LINE.split(body)).rstrip(b"\n")

    def decoder(self) -> EventDecoder:
        return EventDecoder(self.max_size)

    def holding(self, least: int) -> Events:
        return replace(self, max_size=raised(self.max_size, least + 2, least))

    def unasked(self, data: bytes) -> Unasked:
        """Comments, the ends of chunks, and the end of the last one are nobody's business."""
        decoder = EventDecoder(self.max_size)
        try:
            found = decoder.feed(data)
        except FrameError:
            return Unasked(b"", data)
        rest = data if found is not None else decoder.left
        if found is None and (rest.startswith(b":") or _LAST.fullmatch(rest)):
            rest = b""
        return Unasked(b"", rest, "", 0 if found is not None else decoder.aside)

    def begun(self, rest: bytes) -> bool:
        return _BEGUN.fullmatch(rest) is not None


class EventDecoder(Decoder):
    """`left` are the bytes after all that was passed over.

    `_room` is what is known of the chunks where these begin: None nothing, -1 that there are none,
    else how many bytes of the current one are left.
    """

    __slots__ = ("_aside", "_gone", "_max_size", "_room", "left")

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._room: int | None = None
        self._gone = self._aside = 0
        self.left = b""

    @property
    def aside(self) -> int:
        return self._aside

    @property
    def gone(self) -> int:
        return self._gone

    @property
    def moved(self) -> bool:
        return bool(self.left) and not self.left.startswith(b":")

    def feed(self, data: bytes) -> Frame | None:
        self.left += data
        if self._room is None and self.left and not self._past_header():
            return None
        while (found := self._block()) is not None:
            text, room, end = found
            if _EVENT.search(text):
                if end > self._max_size:
                    raise too_large(self._max_size, self._max_size)
                return event(text, self.left[end:])
            self._pass_over(end, room)
            self._aside += text.startswith(b":")
        if len(self.left) > self._max_size:
            raise too_large(self._max_size, self._max_size)
        return None

    def _pass_over(self, count: int, room: int | None) -> None:
        self._gone += count
        self.left = self.left[count:]
        self._room = room

    def _past_header(self) -> bool:
        """Whether there is none, or it was there, and was right."""
        if not PROTOCOL.startswith(self.left[: len(PROTOCOL)]):
            return True
        end = _BLOCK_END.search(self.left)
        if end is None:
            if len(self.left) > LONGEST_HEADER:
                raise FrameError(f"a header of more than {LONGEST_HEADER} bytes", LONGEST_HEADER)
            return False
        header = self.left[: end.end()]
        status = _STATUS.match(header)
        if status is None or status[1] != b"200":
            shown = header.partition(b"\n")[0].rstrip().decode("latin-1")
            at = len(PROTOCOL) if status is None else status.start(1)
            raise FrameError(f"a stream of events begins with status 200, not {shown!r}", at)
        fields = _fields(header)
        kind = fields.get(b"content-type", b"")
        if kind.partition(b";")[0].strip().lower() != TYPE:
            shown = kind.decode("latin-1")
            raise FrameError(f"the content type should be text/event-stream, not {shown!r}", 0)
        chunked = b"chunked" in fields.get(b"transfer-encoding", b"").lower()
        self._pass_over(end.end(), 0 if chunked else -1)
        return True

    def _block(self) -> tuple[bytes, int | None, int] | None:
        """The next block of lines: its text, what is known of chunks behind it, and where that is.

        Raises FrameError.
        """
        self._skip_empty()
        text, places = self._text()
        end = _BLOCK_END.search(text)
        if end is None:
            return None
        room, raw = places.of(end.end())
        if room == 0:
            if len(self.left) < raw + 2:
                return None
            raw += 2
        return text[: end.start()], room, raw

    def _skip_empty(self) -> None:
        """Empty lines between events, and lines that only say the size of a chunk."""
        while self.left and self._room is None:
            if found := _EMPTY.match(self.left):
                self._pass_over(found.end(), None)
            elif _SIZE.match(self.left):
                self._room = 0
            else:
                return
        while self._room and self._room > 0 and (found := _EMPTY.match(self.left)):
            count = min(found.end(), self._room)
            self._pass_over(count, self._room - count)
            if not self._room:
                self._pass_over(len(CHUNK_END), 0)
        if self._room == -1 and (found := _EMPTY.match(self.left)):
            self._pass_over(found.end(), -1)

    def _text(self) -> tuple[bytes, Places]:
        """The text of `left` without chunks, as far as it is there, and where its parts are."""
        if self._room == -1:
            return self.left, Places([(0, 0, len(self.left), -1)])
        if self._room is None:
            first = _SIZE_WITHIN.search(self.left)
            end = _BLOCK_END.search(self.left)
            if first is None or (end is not None and end.end() <= first.start() + 2):
                return self.left, Places([(0, 0, len(self.left), None)])
            text = self.left[: first.start()]
            return self._chunks(first.start() + 2, 0, text, [(0, 0, first.start(), None)])
        return self._chunks(0, self._room, b"", [])

    def _chunks(
        self, at: int, room: int, text: bytes, parts: list[tuple[int, int, int, int | None]]
    ) -> tuple[bytes, Places]:
        while True:
            if not room:
                size = _SIZE.match(self.left, at)
                if size is None:
                    self._check_size(at)
                    break
                room = int(size[1], 16)
                if not room:
                    break
                at = size.end()
            piece = self.left[at : at + room]
            parts.append((len(text), at, len(piece), room))
            text += piece
            end = _BLOCK_END.search(text)
            if len(piece) < room or (end is not None and end.end() < len(text)):
                break
            if self.left[at + room : at + room + 2] not in (b"", b"\r", b"\r\n"):
                raise FrameError(f"a chunk of {room} bytes does not end in CR LF", at + room)
            at, room = at + room + 2, 0
            if end is not None:
                break
        return text, Places(parts)

    def _check_size(self, at: int) -> None:
        came = self.left[at : at + 64]
        if came and not _SIZE_BEGUN.fullmatch(came):
            raise FrameError(f"a chunk begins with its size, not {came[:16]!r}", at, Kind.MISMATCH)

    def owed(self) -> str:
        if self._room is None and self.left.startswith(PROTOCOL):
            return "the end of the response's header, then an event"
        return "the empty line that ends an event" if self.left else "an event"


CHUNK_END = b"\r\n"


@dataclass(frozen=True, slots=True)
class Places:
    """Where the parts of a text are: each is (begin in the text, begin in the stream, size, room).

    `room`: how many bytes the chunk has from there on; None or -1 as in the decoder.
    """

    parts: list[tuple[int, int, int, int | None]]

    def of(self, end: int) -> tuple[int | None, int]:
        """What is left of the chunk at this end, and where that is in the stream."""
        begin, raw, size, room = next(one for one in self.parts if end <= one[0] + one[2])
        assert size
        taken = end - begin
        return (room - taken if room is not None and room > 0 else room), raw + taken


def _fields(header: bytes) -> dict[bytes, bytes]:
    lines = (line.partition(b":") for line in _LINE.split(header)[1:])
    return {name.strip().lower(): value.strip() for name, _, value in lines}


def event(text: bytes, rest: bytes) -> EventFrame:
    """The event of a block of lines."""
    lines = [line for line in _LINE.split(text) if not line.startswith(b":")]
    data = [line[5:].removeprefix(b" ") for line in lines if (line + b":").startswith(b"data:")]
    return EventFrame(b"\n".join(lines), rest, b"\n".join(data))
