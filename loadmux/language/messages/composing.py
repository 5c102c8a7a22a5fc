"""What replies come to that hold other replies, and what is contradictory in them.

Who reads the words of the language (`replies`) has read what they hold already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from loadmux.checking.framing import Framing
from loadmux.checking.simple import Datagram, UntilClose
from loadmux.errors import Position
from loadmux.language.grammar.contract import Schema, Schemas, Type, Writing
from loadmux.language.grammar.reading import Reading
from loadmux.language.meaning.contents import constant
from loadmux.language.meaning.expected import (
    AnyNumber,
    AnyOrder,
    Anything,
    Body,
    ByRule,
    Closed,
    Counted,
    Exactly,
    Frame,
    Length,
    Listed,
    OneOf,
    Parts,
    Reply,
    Saved,
    Silence,
    Skipping,
    Until,
    WasReset,
    every,
    framing_of,
    is_frame,
)
from loadmux.language.messages.payloadforms import FORM
from loadmux.language.text.yamltree import Entry, ListNode, Node, ScalarNode
from loadmux.plugins.payloads import Data, Sized

ANY = "any"
UNKNOWN = frozenset(
    ("length", "until", "regex", ANY, "one_of", "starts_with", "contains", "not", "save", "rule")
)
"""Words that no payload has: what holds one is not known beforehand."""


def patterned(node: Node) -> bool:
    """Whether something that may be a payload holds what no payload does."""
    if isinstance(node, ScalarNode):
        return node.value == ANY
    if isinstance(node, ListNode):
        return any(map(patterned, node.items))
    holders = ("join", "sized", "int", "varint")
    return any(one.key in UNKNOWN for one in node.entries) or any(
        patterned(one.value) for one in node.entries if one.key in holders
    )


def framed_or_datagram(r: Reading, form: Entry, instead: str = "") -> Framing | None:
    """The framing of the step's sockets; datagrams that have none are whole bodies."""
    if r.wire.framing is not None:
        return r.wire.framing
    if by_datagrams(r):
        return Datagram()
    if r.wire.reason:
        text = f"'{form.key}' needs to know where a frame ends: {r.wire.reason}{instead}"
        r.add(form.where, text)
    return None


def by_datagrams(r: Reading) -> bool:
    """Whether the step's sockets have no framing because they speak UDP."""
    return bool(r.targets) and r.wire.unframed and all(one in r.datagrams for one in r.targets)


def anything(r: Reading, form: Entry, others: Mapping[str, Node]) -> Reply | None:
    """`any`: one frame or datagram where there are such."""
    if isinstance(form.value, ScalarNode) and form.value.value not in (True, ANY):
        return r.refuse(form.value, "'any' can only be true; write any, or {any: true}")
    if r.wire.framing is not None or by_datagrams(r):
        framing = framed_or_datagram(r, form)
        return None if framing is None else Frame(Anything(), framing)
    if r.wire.unframed or not r.wire.reason:
        return Anything()
    framed_or_datagram(r, form)
    return None


def saved(reply: Reply, name: str) -> Reply:
    """What a name stands for: of a frame, not of those that are passed over before it."""
    if isinstance(reply, Skipping):
        return replace(reply, reply=Saved(reply.reply, name))
    return Saved(reply, name)


# --- replies made of replies --------------------------------------------------------------------


def listed(r: Reading, node: ListNode, replies: tuple[Reply, ...]) -> Listed | None:
    if not replies:
        return r.refuse(node, "there is nothing to expect in this list; write [REPLY, REPLY]")
    for item, one in zip(node.items, replies, strict=True):
        last = one is replies[-1]
        if isinstance(one, Closed | WasReset) and not last:
            word = "closed" if isinstance(one, Closed) else "reset"
            r.add(item.where, f"nothing comes after '{word}'; put it last")
        elif isinstance(one, ByRule):
            text = "a rule judges all that a socket gets, not one reply of a list; expect 'reply'"
            r.add(item.where, f"{text} in a step of its own")
        elif isinstance(one, Silence):
            r.add(item.where, "'silence' cannot stand in a list; expect it in a step of its own")
        elif isinstance(one, Anything) and not last:
            text = "'any' has no end in a stream, so nothing can come after it; put it last, or"
            r.add(item.where, f"{text} give the socket a framing")
        else:
            continue
        return None
    return Listed(replies)


def one_of(r: Reading, where: Position, reply: OneOf) -> OneOf | None:
    """Options that a stream can tell apart."""
    for one in reply.options:
        if isinstance(one, ByRule | Silence):
            word = "'silence'" if isinstance(one, Silence) else "a rule"
            r.add(where, f"{word} cannot stand in 'one_of'; expect it in a step of its own")
            return None
    known = [constant(one.payload) for one in reply.options if isinstance(one, Exactly)]
    texts = sorted({one for one in known if one})
    if r.wire.framing is None and not by_datagrams(r):
        for first, second in pairwise(texts):
            if second.startswith(first):
                text = f"{second!r} begins with {first!r}, which is whole before it; end both with"
                r.add(where, f"{text} a delimiter, or give the socket a framing")
                return None
    return reply


def any_order(r: Reading, where: Position, replies: Sequence[Reply]) -> AnyOrder | None:
    if not replies:
        r.add(where, "'any_order' holds no reply; write [{frame: A}, {frame: B}]")
        return None
    if _by_rule(replies):
        r.add(where, "a rule cannot stand in 'any_order'; expect {frame: reply} in its own step")
        return None
    framings = [framing_of(one) for one in replies]
    if isinstance(framings[0], UntilClose) and len(replies) > 1:
        r.add(where, "with 'until_close' a connection brings one frame, never several")
        return None
    return AnyOrder(tuple(replies))


def skipping(r: Reading, where: Position, reply: Reply | None, skip: Reply | None) -> Reply | None:
    if reply is None or skip is None:
        return None
    if _by_rule([skip]):
        r.add(where, "a rule cannot be skipped; write 'skip: any', or what the frames are")
    elif isinstance(framing_of(skip), UntilClose):
        r.add(where, "with 'until_close' a connection brings one frame, and 'skip' needs several")
    elif isinstance(reply, AnyOrder):
        return replace(reply, skip=skip)
    elif not is_frame(reply):
        text = "'skip' passes frames over, and this reply is no frame; write {frame: ...}"
        r.add(where, f"{text}, skip beside it")
    elif _by_rule([reply]):
        r.add(where, "'skip' cannot stand beside a rule; expect what the frame's body is")
    else:
        return Skipping(reply, skip)
    return None


def _by_rule(replies: Sequence[Reply]) -> bool:
    return any(isinstance(one, ByRule) for reply in replies for one in every(reply))


# --- parts --------------------------------------------------------------------------------------


def is_open(part: Body) -> bool:
    """Whether a part's length is neither known nor stands in it."""
    if isinstance(part, Saved):
        return is_open(part.reply)  # type: ignore[arg-type]
    return not isinstance(part, Exactly | AnyNumber | Counted) and not _measured(part)


def _measured(part: Body) -> bool:
    if isinstance(part, Parts):
        return not any(map(is_open, part.parts))
    return isinstance(part, Length)


def parts_of_body(r: Reading, where: Position, parts: Parts) -> Parts | None:
    """Parts of which one at most is open."""
    if not parts.parts:
        r.add(where, "'join' has no parts; write [PART, PART]")
        return None
    if sum(map(is_open, parts.parts)) > 1:
        text = "two parts of this 'join' have an open length, so nobody can say where the first"
        r.add(where, f"{text} ends; give all but one a {{length: SIZE}}")
        return None
    return parts


def joined(r: Reading, form: Entry, parts: Parts) -> Reply | None:
    """Parts of a frame or datagram where one needs its end, else of the stream."""
    if parts_of_body(r, form.where, parts) is None:
        return None
    if by_datagrams(r):
        return Frame(parts, Datagram())
    flat = [part.reply if isinstance(part, Saved) else part for part in parts.parts]
    needing = [one for one in flat if is_open(one) and not isinstance(one, Until)]  # type: ignore[arg-type]
    if not needing:
        return parts
    if r.wire.framing is None and isinstance(flat[-1], Anything) and needing == [flat[-1]]:
        return parts
    remedy = "; or write 'until: BYTES' beside the part, or put 'any' last"
    framing = framed_or_datagram(r, form, remedy)
    return None if framing is None else Frame(parts, framing)


def any_number(r: Reading, form: Entry, others: Mapping[str, Node]) -> AnyNumber | None:
    """`{int: any, bytes: N}` or `{varint: any}`."""
    if form.key == "varint":
        return AnyNumber()
    if not (isinstance(form.value, ScalarNode) and form.value.value == ANY):
        return None
    beside = {key.name: key for key in FORM["int"].beside}
    found = {
        name: beside[name].type.read(r, node, f"'{name}'")
        for name, node in others.items()
        if name in beside
    }
    return None if None in found.values() else AnyNumber(**found)


def how_counted(r: Reading, form: Entry, others: Mapping[str, Node]) -> Sized | None:
    """How the length of what is not known is written."""
    beside = [key.name for key in FORM["sized"].beside]
    empty = Entry(form.where, "sized", ScalarNode(form.value.where, "", ""))
    known = {name: node for name, node in others.items() if name in beside}
    adjusted = known.pop("adjust", None)
    found = FORM["sized"].read(r, empty, known)
    adjust = 0
    if adjusted is not None:
        adjust = next(k for k in FORM["sized"].beside if k.name == "adjust").type.read(
            r, adjusted, "'adjust'"
        )
    if not isinstance(found, Sized) or adjust is None:
        return None
    return replace(found, payload=Data(b""), adjust=adjust)


class NumberOrAny(Type):
    """A number, or `any`."""

    def __init__(self, number: Type) -> None:
        self._number = number
        self.word = f"{number.word}, or `any`"

    def schema(self, s: Schemas) -> Schema:
        return {"anyOf": [self._number.schema(s), {"const": ANY}]}

    def write(self, value: Any, w: Writing) -> Any:
        return self._number.write(value, w)
