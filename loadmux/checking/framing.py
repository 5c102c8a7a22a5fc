"""Where one message ends: framings, sans-I/O. Bytes in, frames out; nothing here knows a socket.

The contract, which a framing of one's own implements too:

- A `Framing` says how bodies are put on the wire. It is a value: stateless, comparable, picklable
  (it travels to the generator processes) and shared by all sockets that have it.
  `encode(body)` gives the bytes of one frame, or raises ValueError (one line that says why) for a
  body that no frame can carry. `decoder()` makes a `Decoder` for *one* frame of the server's.
  `symmetric` says that the server's frames are like ours: decoding what `encode` made gives the
  body back. (Not so where requests and responses differ, or clients mask what servers do not.)
  `canonical` says besides that a body has one frame only, what `encode` makes; an expected body
  is then compared byte by byte as it comes, without a decoder; `certain` says so of one framing
  where others of its class are not. `headed` is `encode` with a header of one's own. Where the end
  of a frame hangs on what it answers (a response to HEAD has no body), `answering` gives the
  framing of that answer. `holding` gives the framing of a frame whose body is known to be large.
- A `Decoder` is fed what arrives, cut anywhere (never an empty chunk), until it returns a `Frame`
  or raises `FrameError`; after either it is not used again. `feed` must give the same frame
  however the stream was cut, must not wait for a byte beyond the frame's end, and must raise once
  it knows that the frame is malformed or larger than allowed, so that what it keeps is bounded.
  `end` is called instead of `feed` when the peer has ended the stream in order. `so_far` may say
  how the body begins.
- A `Frame` has the `body`, and as `rest` the bytes after its end, of all that was fed: they belong
  to the next frame. A framing whose frames have structure (headers, a type) returns a subclass of
  Frame that says more; whoever reads only `body` need not know it. A frame that is `last` ends the
  connection: it is closed once the frame was right.
- A `Talkative` framing is one on which a server may speak unasked (pings, pushes), a `Session` one
  whose connections begin with a handshake, besides. What the protocol owes the server for that,
  decoders tell by `answer`; how many such messages they passed over on the way to the frame by
  `aside`, how many bytes of what was fed lie before the frame for it by `gone` (offsets count from
  there), and by `moved` whether the frame itself came nearer: a server that only pings is late.

Framings with a length are in `prefixed`, those with marks or several lines in `marked`, and with a
checksum in `checked`. All framings here are symmetric. Their `max_size` bounds a
whole frame in bytes, delimiter included, both ways.

`line` ends in LF, and a CR before it is a byte of the body like any other: a protocol with CRLF has
`Delimited(b"\\r\\n")`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from loadmux.checking.verifying import MAX_FRAME, Verifier
from loadmux.errors import Kind
from loadmux.units import size_text

if TYPE_CHECKING:
    from random import Random

MEBI = 2**20
LARGEST_FRAME = 2**30
"""Bytes that a `max` may be at most."""


class FrameError(ValueError):
    """What came is no frame: malformed, or too large; `str()` is one line for a person.

    `offset` counts from the frame's first byte to the first one that no right frame has there.
    `kind` is what the report calls it.
    """

    def __init__(self, message: str, offset: int, kind: Kind = Kind.MISMATCH) -> None:
        super().__init__(message)
        self.offset = offset
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Frame:
    """One whole frame: its body, and the bytes that came after its end."""

    body: bytes
    rest: bytes

    @property
    def last(self) -> bool:
        """Whether the connection ends with it."""
        return False

    @property
    def other(self) -> bytes | None:
        """What is as good as the body: whoever asks for this is answered, too."""
        return None


class Decoder:
    """Finds the end of one frame; see the module."""

    __slots__ = ()

    def feed(self, data: bytes) -> Frame | None:
        """Take the next bytes (at least one); the frame if it is whole now. Raises FrameError."""
        raise NotImplementedError

    def end(self) -> Frame | None:
        """The stream has ended in order: the frame if that completes it. Raises FrameError."""
        return None

    def owed(self) -> str:
        """What is still missing, in a few words."""
        raise NotImplementedError

    def answer(self) -> bytes:
        """What the server must be sent at once for what came; asking takes it away."""
        return b""

    def so_far(self) -> bytes | None:
        """How the body begins, as far as it has come; None where that is not known yet."""
        return None

    @property
    def aside(self) -> int:
        """Messages that came before the frame, and are none of it."""
        return 0

    @property
    def gone(self) -> int:
        """Bytes that were fed before the first one of the frame."""
        return 0

    @property
    def moved(self) -> bool:
        """Whether what was fed last brought anything of the frame."""
        return True


class Framing:
    """How bodies become frames; see the module."""

    __slots__ = ()

    symmetric: ClassVar[bool] = False
    canonical: ClassVar[bool] = False

    @property
    def certain(self) -> bool:
        """`canonical`, for a framing of which that hangs on how it is used."""
        return self.canonical

    def encode(self, body: bytes) -> bytes:
        """The frame of a body. Raises ValueError where there is none."""
        raise NotImplementedError

    def headed(self, header: bytes, body: bytes) -> bytes:
        """The frame of a body with a header of one's own. Raises ValueError where there is none."""
        raise ValueError("with this framing a frame has no header to fill in")

    def expected(self, body: bytes) -> bytes:
        """The body of the frame that a reply with this body is. ValueError: none ever comes.

        Where framings are symmetric, `encode` says all that there is to say.
        """
        return body

    @property
    def header_size(self) -> int:
        """Bytes of a header that `headed` takes."""
        return 0

    def check_header(self, header: bytes) -> None:
        """Raises ValueError unless `headed` takes this header."""
        raise ValueError("with this framing a frame has no header to fill in")

    def decoder(self) -> Decoder:
        """A decoder for one frame."""
        raise NotImplementedError

    def answering(self, sent: bytes) -> Framing:
        """The framing of what answers these bytes; b"" where the step sends nothing."""
        return self

    def requests(self, sent: bytes) -> tuple[list[bytes], bytes]:
        """The messages in these bytes that are answered one by one, and the beginning of another.

        A framing that says so is told what each reply answers (`answering`), however it was sent.
        """
        return [sent], b""

    def holding(self, least: int) -> Framing:
        """The same for a frame whose body has `least` bytes or more. ValueError: none can."""
        return self


def first_frame(framing: Framing, data: bytes) -> Frame | None:
    """The frame that a message is or begins with, its end being the end of the stream; None where
    it is none. Raises FrameError.
    """
    decoder = framing.decoder()
    return (decoder.feed(data) if data else None) or decoder.end()


class Unasked(NamedTuple):
    """What bytes between two frames are: `answer` them with this; `rest` is no one's business.

    `ended`: why the server has ended the conversation; empty if it has not. `aside`: how many
    messages were counted, of those that need no answer.
    """

    answer: bytes
    rest: bytes
    ended: str = ""
    aside: int = 0


class Talkative(Framing):
    """A framing of connections on which a server may speak unasked."""

    __slots__ = ()

    def unasked(self, data: bytes) -> Unasked:
        """Judge bytes that came between two frames and that no step asked for."""
        raise NotImplementedError

    def begun(self, rest: bytes) -> bool:
        """Whether these bytes are the beginning of what may come unasked."""
        return False


class Session(Talkative):
    """A framing of connections with a handshake, and a server that may speak unasked."""

    __slots__ = ()

    def greeting(self, random: Random, authority: str) -> tuple[bytes, Verifier]:
        """What to send when a connection is new, and what verifies the server's answer.

        `authority` is the target's `HOST:PORT`. Chance comes from `random` alone.
        """
        raise NotImplementedError


def raised(max_size: int, least: int, beside: int = 0) -> int:
    """A bound for frames of `least` bytes and perhaps as many as `beside` them (heads, chunks).

    A bound that nobody chose gives way to what the file itself asks for; one that somebody chose
    and that cannot be kept is refused (ValueError).
    """
    if least + beside <= max_size or (least <= max_size != MAX_FRAME):
        return max_size
    if max_size != MAX_FRAME:
        roomy = -(-(least + beside) // MEBI) * MEBI if beside else least
        remedy = f"give the framing 'max: {size_text(roomy)}'"
        text = f"its frame has {'at least ' if beside else ''}{least} bytes"
        raise ValueError(f"{text}, more than 'max' ({max_size}); {remedy}")
    if least > LARGEST_FRAME:
        raise ValueError(f"its frame has {least} bytes, and the largest has {LARGEST_FRAME}")
    return least + beside


def fitting(frame: bytes, max_size: int) -> bytes:
    """`frame`, unless it is too large: then ValueError."""
    if len(frame) > max_size:
        raise ValueError(f"its frame has {len(frame)} bytes, more than 'max' ({max_size})")
    return frame


def too_large(max_size: int, offset: int) -> FrameError:
    return FrameError(f"a frame of more than {max_size} bytes ('max') came", offset)


# --- line, delimiter ----------------------------------------------------------------------------


class DelimitedDecoder(Decoder):
    """Up to a delimiter, of which the first `kept` bytes count as body."""

    __slots__ = ("_delimiter", "_kept", "_max_size", "_taken")

    def __init__(self, delimiter: bytes, max_size: int, kept: int = 0) -> None:
        self._delimiter = delimiter
        self._max_size = max_size
        self._kept = kept
        self._taken = bytearray()

    def feed(self, data: bytes) -> Frame | None:
        taken, size = self._taken, len(self._delimiter)
        start = max(0, len(taken) - size + 1)
        taken += data
        found = taken.find(self._delimiter, start)
        end = found + size
        if end > self._max_size or (found < 0 and len(taken) >= self._max_size):
            raise too_large(self._max_size, self._max_size)
        if found < 0:
            return None
        return Frame(bytes(taken[: found + self._kept]), bytes(taken[end:]))

    def so_far(self) -> bytes:
        taken, mark = self._taken, self._delimiter
        for size in range(min(len(taken), len(mark) - 1), 0, -1):
            if taken.endswith(mark[:size]):  # it may be the delimiter that has begun
                return bytes(taken[:-size])
        return bytes(taken)

    def owed(self) -> str:
        return f"the delimiter {self._delimiter!r}"


@dataclass(frozen=True, slots=True)
class Delimited(Framing):
    """`{delimiter: BYTES}`, and `line`: the body, then the delimiter, which no body holds."""

    delimiter: bytes
    max_size: int = MAX_FRAME
    symmetric: ClassVar[bool] = True
    canonical: ClassVar[bool] = True

    def encode(self, body: bytes) -> bytes:
        frame = body + self.delimiter
        if frame.find(self.delimiter) != len(body):
            raise ValueError(f"the delimiter {self.delimiter!r} would end its frame early")
        return fitting(frame, self.max_size)

    def decoder(self) -> Decoder:
        return DelimitedDecoder(self.delimiter, self.max_size)

    def holding(self, least: int) -> Delimited:
        return replace(self, max_size=raised(self.max_size, least + len(self.delimiter)))


def line(max_size: int = MAX_FRAME) -> Delimited:
    """`line`: ends in LF; a CR before it stays in the body."""
    return Delimited(b"\n", max_size)


# --- fixed ----------------------------------------------------------------------------------------


class FixedDecoder(Decoder):
    __slots__ = ("_size", "_taken")

    def __init__(self, size: int) -> None:
        self._size = size
        self._taken = bytearray()

    def feed(self, data: bytes) -> Frame | None:
        self._taken += data
        if len(self._taken) < self._size:
            return None
        return Frame(bytes(self._taken[: self._size]), bytes(self._taken[self._size :]))

    def owed(self) -> str:
        return f"{self._size - len(self._taken)} of {self._size} bytes of the frame"


@dataclass(frozen=True, slots=True)
class Fixed(Framing):
    """`{fixed: SIZE}`: every frame has `size` bytes, all of them body."""

    size: int
    symmetric: ClassVar[bool] = True
    canonical: ClassVar[bool] = True

    def encode(self, body: bytes) -> bytes:
        if len(body) != self.size:
            raise ValueError(f"it has {len(body)} bytes, and every frame has {self.size} ('fixed')")
        return body

    def decoder(self) -> Decoder:
        return FixedDecoder(self.size)

    def holding(self, least: int) -> Fixed:
        if least > self.size:
            raise ValueError(f"it has {least} bytes, and every frame has {self.size} ('fixed')")
        return self


# --- until_close --------------------------------------------------------------------------------


class UntilCloseDecoder(Decoder):
    __slots__ = ("_max_size", "_taken")

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._taken = bytearray()

    def feed(self, data: bytes) -> Frame | None:
        self._taken += data
        if len(self._taken) > self._max_size:
            raise too_large(self._max_size, self._max_size)
        return None

    def end(self) -> Frame:
        return Frame(bytes(self._taken), b"")

    def owed(self) -> str:
        return "the end of the connection, which ends the frame"


@dataclass(frozen=True, slots=True)
class UntilClose(Framing):
    """`until_close`: all that comes until the peer ends the stream in order is one body.

    `encode` adds nothing: what ends a frame of our own is the `half_close` or `close` after it.
    """

    max_size: int = MAX_FRAME
    symmetric: ClassVar[bool] = True

    def encode(self, body: bytes) -> bytes:
        return fitting(body, self.max_size)

    def decoder(self) -> Decoder:
        return UntilCloseDecoder(self.max_size)

    def holding(self, least: int) -> UntilClose:
        return replace(self, max_size=raised(self.max_size, least))
