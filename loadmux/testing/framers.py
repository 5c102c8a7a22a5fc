"""Does a framing keep its contract (`checking.framing`)? Frames must not depend on the cutting."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Mapping, Sequence

from loadmux.checking.framing import Frame, FrameError, Framing

TRAILING = (b"\x00", b"\r\n", b"x" * 33)


def check_framer(
    framing: Framing,
    frames: Mapping[bytes, bytes],
    *,
    malformed: Sequence[bytes] = (),
    until_end: bool = False,
    tight: bool = True,
) -> None:
    """Check a framing with some of the server's `frames`, the bytes on the wire and their bodies.

    `malformed` are streams that are no frame and must be refused. `until_end`: a frame is whole
    only when the stream ends. `tight`: `max_size`, if there is one, counts every byte of these
    frames. Raises AssertionError.
    """
    assert frames, "check_framer needs at least one frame"
    _travels(framing)
    for wire, body in frames.items():
        _whole(framing, wire, body, until_end)
        _split(framing, wire, body, until_end)
        _begun(framing, wire)
        if not until_end:
            _with_more_behind(framing, wire, body)
        if framing.symmetric:
            _encodes(framing, wire, body, until_end)
        if tight:
            _bounded(framing, wire, body, until_end)
    for wire in malformed:
        _refused(framing, wire)


def fed(framing: Framing, chunks: Sequence[bytes], until_end: bool) -> Frame | None:
    """What a decoder makes of chunks; it must not be fed on after it has given its frame."""
    decoder = framing.decoder()
    for number, chunk in enumerate(chunks):
        found = decoder.feed(chunk)
        if found is not None:
            rest = b"".join(chunks[number + 1 :])
            return dataclasses.replace(found, rest=found.rest + rest)
    return decoder.end() if until_end else None


def _travels(framing: Framing) -> None:
    again = pickle.loads(pickle.dumps(framing))
    assert again == framing, "the framing is not equal to itself once pickled: make it a dataclass"
    assert hash(again) == hash(framing), "equal framings have different hashes: freeze the class"
    assert framing.symmetric or not framing.certain, "canonical framings are symmetric"


def _is(found: Frame | None, body: bytes, rest: bytes, how: str) -> None:
    assert found is not None, f"{how}: no frame came"
    assert isinstance(found, Frame), f"{how}: {type(found).__name__!r} is no Frame"
    assert found.body == body, f"{how}: the body is {found.body!r}, not {body!r}"
    assert found.rest == rest, f"{how}: the rest is {found.rest!r}, not {rest!r}"


def _whole(framing: Framing, wire: bytes, body: bytes, until_end: bool) -> None:
    _is(fed(framing, [wire], until_end), body, b"", f"{wire!r} whole")
    single = [wire[i : i + 1] for i in range(len(wire))]
    _is(fed(framing, single, until_end), body, b"", f"{wire!r} byte by byte")
    if len(wire) > 1 and not until_end:
        early = fed(framing, single[:-1], False)
        assert early is None, f"{wire!r} gives a frame before its last byte"


def _split(framing: Framing, wire: bytes, body: bytes, until_end: bool) -> None:
    for cut in range(1, len(wire)):
        how = f"{wire!r} cut at {cut}"
        _is(fed(framing, [wire[:cut], wire[cut:]], until_end), body, b"", how)


def _with_more_behind(framing: Framing, wire: bytes, body: bytes) -> None:
    for more in (*TRAILING, wire):
        stream = wire + more
        for cut in range(1, len(stream)):
            how = f"{wire!r} with {more!r} behind it, cut at {cut}"
            _is(fed(framing, [stream[:cut], stream[cut:]], False), body, more, how)


def _begun(framing: Framing, wire: bytes) -> None:
    """Of a frame that is not whole it can be said what is missing, and its end is no accident."""
    for cut in range(1, len(wire)):
        decoder = framing.decoder()
        decoder.feed(wire[:cut])
        owed = decoder.owed()
        assert isinstance(owed, str), f"owed() must be a text, not {owed!r}"
        assert owed.strip(), f"owed() says nothing after {wire[:cut]!r}"
        assert len(owed.splitlines()) == 1, f"owed() must be one line, not {owed!r}"
        try:
            found = decoder.end()
        except FrameError:
            continue
        assert found is None or isinstance(found, Frame), f"end() gave {found!r}, not a Frame"


def _encodes(framing: Framing, wire: bytes, body: bytes, until_end: bool) -> None:
    made = framing.encode(body)
    if framing.certain:
        assert made == wire, f"certain, but {body!r} is encoded as {made!r}, not {wire!r}"
    _is(fed(framing, [made], until_end), body, b"", f"the encoded {body!r}")


def _bounded(framing: Framing, wire: bytes, body: bytes, until_end: bool) -> None:
    """A `max_size` that just suffices does; one less does not, both ways."""
    if not (dataclasses.is_dataclass(framing) and hasattr(framing, "max_size")) or len(wire) < 2:
        return
    just = dataclasses.replace(framing, max_size=len(wire))
    _is(fed(just, [wire], until_end), body, b"", f"{wire!r} with max_size {len(wire)}")
    less = dataclasses.replace(framing, max_size=len(wire) - 1)
    for chunks in ([wire], [wire[i : i + 1] for i in range(len(wire))]):
        try:
            found = fed(less, chunks, until_end)
        except FrameError:
            continue
        raise AssertionError(f"max_size {len(wire) - 1} did not refuse {wire!r}: {found!r}")
    if not framing.symmetric:
        return
    try:
        less.encode(body)
    except ValueError:
        return
    raise AssertionError(f"max_size {len(wire) - 1}: encode({body!r}) raised no ValueError")


def _refused(framing: Framing, wire: bytes) -> None:
    for chunks in ([wire], [wire[i : i + 1] for i in range(len(wire))]):
        error = raised(framing, chunks)
        assert error is not None, f"{wire!r} is malformed, and no FrameError was raised"
        assert str(error).strip(), f"the FrameError for {wire!r} says nothing"
        assert len(str(error).splitlines()) == 1, f"{error!s:.200} is not one line"
        assert 0 <= error.offset <= len(wire), f"offset {error.offset} is not in {wire!r}"


def raised(framing: Framing, chunks: Sequence[bytes]) -> FrameError | None:
    """The FrameError that a stream gives; none of its chunks may give a frame."""
    decoder = framing.decoder()
    try:
        for chunk in chunks:
            found = decoder.feed(chunk)
            assert found is None, f"{b''.join(chunks)!r} is malformed, and gave {found!r}"
        decoder.end()
    except FrameError as error:
        return error
    return None
