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
  how the body begins, `opening` what stands before it.
- A `Frame` has the `body`, and as `rest` the bytes after its end, of all that was fed: they belong
  to the next frame. A framing whose frames have structure (headers, a type) returns a subclass of
  Frame that says more; whoever reads only `body` need not know it. A frame that is `last` ends the
  connection: it is closed once the frame was right.
- A `Talkative` framing is one on which a server may speak unasked (pings, pushes), a `Session` one
  whose connections begin with a handshake, besides. What the protocol owes the server for that,
  decoders tell by `answer`; how many such messages they passed over on the way to the frame by
  `aside`, how many bytes of what was fed lie before the frame for it by `gone` (offsets count from
  there), and by `moved` whether the frame itself came nearer: a server that only pings is late.

Framings that end with a delimiter, a size or the connection are in `simple`, those with a length in
`prefixed`, with marks or several lines in `marked`, and with a checksum in `checked`. All of these
are symmetric. Their `max_size` bounds a whole frame in bytes, delimiter included, both ways.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

from loadmux.checking.frozen import dataclass
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

    def opening(self) -> Frame | None:
        """What is known of the frame once its head has come, without a body; None before that."""
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

    def sole(self, data: bytes) -> bytes | None:
        """The body of the frame that these bytes are, if they are just one and it ends nothing."""
        decoder = self.decoder()
        try:
            frame = decoder.feed(data)
        except FrameError:
            return None
        if frame is None or frame.rest or frame.last or decoder.gone or decoder.aside:
            return None
        return None if decoder.answer() else frame.body

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

    def awaited_from(self, data: bytes) -> int:
        """Where in these bytes begins what may answer a message: `unasked` is not asked of it."""
        return len(data)


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
