"""How a server reads what it is sent: the chunks that it may have read, and how large they are."""

from __future__ import annotations

from collections.abc import Iterable
from sys import maxsize

from loadmux.checking.frozen import dataclass

ONE_CHUNK = 1024
"""A message of at most so many bytes, sent at once and alone, arrives in one piece."""


@dataclass(frozen=True, slots=True)
class Reads:
    """How a server reads, in bytes: at most `most` at a time.

    A message of up to `whole` that arrives alone is surely read at once.
    """

    whole: int = ONE_CHUNK
    most: int = maxsize

    @classmethod
    def at_most(cls, size: int) -> Reads:
        """It reads `size` bytes at a time, less only where less has arrived."""
        return cls(min(ONE_CHUNK, size), size)


ORDINARY = Reads()
"""As a bundled target that was not told to read less."""


UNKNOWN = Reads(whole=1)
"""Nothing is known: only a single byte cannot be cut."""


def recut(payload: bytearray, start: int, bodies: list[bytes], whole: bool) -> list[bytes]:
    """Cut payload[start:] as the server seems to have cut it, for a report that lines up.

    `bodies` is what came in place of each chunk, the first with the wrong byte, the last one cut
    short unless `whole`. Bodies at the end that are right keep their cuts, whatever was lost or
    added before them; the others keep their lengths; the last of these takes what is left.
    """
    end, bodies = len(payload), bodies[:]
    right: list[bytes] = []
    while whole and bodies and bodies[-1] and payload.endswith(bodies[-1], start, end):
        end -= len(bodies[-1])
        right.append(bodies.pop())
    chunks = []
    for body in bodies[:-1]:
        if body and start + len(body) < end:
            chunks.append(bytes(payload[start : start + len(body)]))
            start += len(body)
    if start < end:
        chunks.append(bytes(payload[start:end]))
    return chunks + right[::-1]


def split(chunks: Iterable[bytes], most: int) -> list[bytes]:
    """The chunks, those of more than `most` bytes cut further; none is empty."""
    return [chunk[at : at + most] for chunk in chunks for at in range(0, len(chunk), most)]
