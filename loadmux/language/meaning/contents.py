"""What a payload comes to, as far as it is known before a step runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from loadmux.checking import checksums
from loadmux.checking.framing import Framing
from loadmux.plugins.formulas import decimal
from loadmux.plugins.payloads import (
    Checked,
    Coded,
    Data,
    Framed,
    Joined,
    Number,
    Payload,
    Picked,
    Random,
    Repeated,
    Sized,
    Spoken,
    Text,
    Varint,
)


def parts(payload: Payload) -> Iterator[Payload]:
    """It, and all that is in it."""
    yield payload
    if isinstance(payload, Repeated | Framed | Sized | Checked):
        yield from parts(payload.payload)
        if isinstance(payload, Framed) and payload.header is not None:
            yield from parts(payload.header)
    elif isinstance(payload, Number | Varint) and isinstance(payload.value, Text):
        yield payload.value
    elif isinstance(payload, Joined | Picked):
        for one in payload.payloads:
            yield from parts(one)


def size_of(payload: Payload) -> int:
    """Bytes, the values of variables not counted."""
    match payload:
        case Text(texts):
            return sum(len(part.encode()) for part in texts if isinstance(part, str))
        case Data(data):
            return len(data)
        case Random(size):
            return size * len(max(payload.alphabet or "-").encode())
        case Number(_, width):
            return width
        case Varint():
            return 1
        case Sized(inner) | Checked(inner):
            size = size_of(inner)
            return size + _beside(payload, size)
        case Picked(payloads):
            return max(map(size_of, payloads))
        case Repeated(inner, times):
            return size_of(inner) * times
        case Joined(payloads):
            return sum(map(size_of, payloads))
        case Framed(inner, framing):
            return size_of(inner) + _overhead(framing)
        case Spoken():
            return 1


def _beside(payload: Sized | Checked, size: int) -> int:
    """Bytes of the length or the checksum, as far as they are known."""
    if isinstance(payload, Checked):
        return checksums.width(payload.check)
    return payload.bytes or payload.digits or 1


def _overhead(framing: Framing) -> int:
    """Bytes that a frame has even without a body; 0 where every frame has one."""
    try:
        return len(framing.encode(b""))
    except ValueError:
        return 0


def is_empty(payload: Payload) -> bool:
    """Whether it can never hold a byte."""
    if isinstance(payload, Text):
        return not payload.parts
    return size_of(payload) == 0 and not any(
        isinstance(one, Text) and any(not isinstance(part, str) for part in one.parts)
        for one in parts(payload)
    )


def constant(payload: Payload) -> bytes | None:
    """Its bytes, None where they are not the same each time."""
    match payload:
        case Text(texts):
            known = [part for part in texts if isinstance(part, str)]
            return "".join(known).encode() if len(known) == len(texts) else None
        case Data(data):
            return data
        case Repeated(inner, times):
            unit = constant(inner)
            return None if unit is None else unit * times
        case Joined(payloads):
            found = [constant(inner) for inner in payloads]
            return None if None in found else b"".join(one for one in found if one is not None)
        case Framed():
            return framed(payload, constant)
        case Number() | Varint() | Sized() | Checked():
            return coded(payload, constant)
    return None


def framed(payload: Framed, of: Callable[[Payload], bytes | None]) -> bytes | None:
    """The frame, where `of` knows its body and header, else None. ValueError: there is none."""
    body = of(payload.payload)
    if payload.header is None:
        return None if body is None else payload.framing.encode(body)
    header = of(payload.header)
    known = body is not None and header is not None
    return payload.framing.headed(header or b"", body or b"") if known else None


def coded(payload: Coded, of: Callable[[Payload], bytes | None]) -> bytes | None:
    """Its bytes, where `of` knows those of what is in it, else None.

    Raises ValueError where they cannot be made.
    """
    if isinstance(payload, Sized | Checked):
        body = of(payload.payload)
        return None if body is None else payload.encode(body)
    if isinstance(payload.value, int):
        return payload.encode(payload.value)
    written = of(payload.value)
    return None if written is None else payload.encode(decimal(written))


def spoken_in(payload: Payload | None) -> Iterator[Spoken]:
    """The payload forms of framers in a payload."""
    for one in () if payload is None else parts(payload):
        if isinstance(one, Spoken):
            yield one
