"""What an expected reply comes to: whether its bytes can be known beforehand, and can ever come.

What can be no reply is told at its place, with the remedy; there is no reply then.
"""

from __future__ import annotations

from typing import Any

from loadmux.checking.checked import unchecked
from loadmux.checking.framing import Framing
from loadmux.checking.prefixed import LengthPrefixed
from loadmux.checking.simple import Fixed
from loadmux.errors import Position
from loadmux.language.grammar.reading import Reading
from loadmux.language.meaning.contents import constant, is_empty, parts, size_of
from loadmux.language.meaning.expected import Body, ByRule, Exactly, Frame, Length
from loadmux.language.messages.payloadforms import bounded, fitting, header_fits
from loadmux.plugins.payloads import Data, Framed, Payload, Picked, Random, Spoken, Text
from loadmux.units import quoted

LONGEST_ANSWER = 4
"""Bytes that a rule makes of one: `received` answers a zero with `\\x00`."""


def by_rule(r: Reading, where: Position) -> ByRule | None:
    """The word `reply`: by the rule of the targets of the step's sockets."""
    unruled = [name for name in r.targets if name in r.unruled]
    if not unruled:
        return ByRule(None)
    name = unruled[0]
    whose = f"the rule of the target {quoted(name)}" if name else "the target's rule"
    given = f"{name}=" if name else ""
    message = f"'reply' needs to know {whose}; write 'reply: RULE' in the target, or give"
    r.add(where, f"{message} --reply {given}RULE (one of {', '.join(r.options.rules)})")
    return None


def foretold(r: Reading, where: Position, payload: Payload) -> bool:
    if not bounded(r, where, payload):
        return False
    found = list(parts(payload))
    if any(isinstance(one, Spoken) for one in found):
        r.add(where, "what a plugin sends cannot stand in a reply")
        return False
    if any(isinstance(one, Picked) for one in found):
        r.add(where, "a 'pick' cannot be foretold; 'set' it first, and send and expect its name")
        return False
    if any(isinstance(one, Random) for one in found):
        r.add(where, "'random' bytes cannot be foretold; expect {length: SIZE} or 'reply'")
        return False
    return True


def exactly(r: Reading, where: Position, payload: Payload | None) -> Exactly | None:
    if payload is None or not foretold(r, where, payload):
        return None
    if any(isinstance(one, Framed) and not _certain(one) for one in parts(payload)):
        r.add(where, "a frame of this framing is no fixed bytes; expect {frame: ...} by itself")
    elif is_empty(payload):
        r.add(where, "there is nothing to expect; for silence write {silence: DURATION}")
    else:
        return Exactly(payload)
    return None


def _certain(frame: Framed) -> bool:
    """Whether the bytes of a frame are known; where a varint could be longer, the shortest is."""
    framing = unchecked(frame.framing)
    if frame.header is not None or framing.certain:
        return True
    return isinstance(framing, LengthPrefixed) and not framing.beside


def exact_body(r: Reading, where: Position, payload: Payload | None) -> Exactly | None:
    if payload is None or not foretold(r, where, payload):
        return None
    return Exactly(payload)


def answer_of(r: Reading, where: Position, found: ByRule | None) -> ByRule | None:
    """A rule as a frame's body: it answers the body of the frame that the step sends."""
    if found is None:
        return None
    if not r.wire.answers:
        message = "a rule in a 'frame' answers the frame that the same step sends; write 'send:"
        r.add(where, f"{message} {{frame: ...}}' beside it")
    elif found.rule == "sink":
        r.add(where, "the rule 'sink' answers nothing, so no frame would come")
    else:
        return found
    return None


def frame_of(
    r: Reading, where: Position, body: Body, framing: Framing, headed: Any = None
) -> Frame | None:
    answers = r.wire.answers and framing.symmetric
    fit: Framing | None = framing
    if isinstance(body, Exactly) and framing.symmetric:
        fit = fitting(r, where, body.payload, framing)
    elif isinstance(body, Exactly):
        fit = _coming(r, where, body.payload, framing)
    elif isinstance(body, ByRule) and not framing.symmetric:
        message = "with this framing a server's frames are not like ours; a rule cannot answer"
        r.add(where, message)
        return None
    elif isinstance(body, ByRule):
        fit = _answering(r, framing)
    elif isinstance(body, Length):
        fit = _awaited(r, where, body.size, framing)
    return None if fit is None else Frame(body, fit, answers, headed)


def header_of(r: Reading, where: Position, found: Any, framing: Framing | None) -> Any:
    """What a header is asked; None where nothing can be."""
    if isinstance(found, ByRule):
        r.add(where, "a rule answers the body of a frame, not its header; write what it must be")
        return None
    payload = found.payload if isinstance(found, Exactly) else Text(())
    if not isinstance(found, Exactly) and framing is not None:
        payload = Data(bytes(framing.header_size))
    return found if header_fits(r, where, framing, payload) else None


def _coming(r: Reading, where: Position, payload: Payload, framing: Framing) -> Framing | None:
    """The framing for a body of the server's own kind; None where none can come."""
    known = constant(payload)
    try:
        if known is not None:
            framing.expected(known)
        return framing.holding(size_of(payload))
    except ValueError as error:
        r.add(where, f"this reply can never come: {error}")
    return None


def _awaited(r: Reading, where: Position, size: int, framing: Framing) -> Framing | None:
    """The framing for a body of `size` bytes; None where none can come."""
    try:
        if isinstance(framing, Fixed) and size < framing.size:
            raise ValueError(f"every frame has {framing.size} bytes ('fixed')")
        return framing.holding(size)
    except ValueError as error:
        r.add(where, f"this reply can never come: {error}")
    return None


def _answering(r: Reading, framing: Framing) -> Framing:
    """The framing for what a rule makes of the frame that the step sends."""
    try:
        return framing.holding(0 if r.sends is None else LONGEST_ANSWER * size_of(r.sends))
    except ValueError:
        return framing
