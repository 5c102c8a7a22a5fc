"""Makes of the replies of a scenario what judges them: constants once, the rest for each user.

`Made` is something that is always the same, or what makes it of a user, the name of a socket, and
what the same step sent. All that holds other replies is made of what those make.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from loadmux.checking import bodies, frames
from loadmux.checking.bodies import Prefix
from loadmux.checking.composed import Alternatives, InTurn, Item
from loadmux.checking.framed import FrameVerifier, HasLength, IsExactly, Judge, Matches
from loadmux.checking.framing import Framing
from loadmux.checking.headed import BothRight, HeaderIs
from loadmux.checking.parts import (
    CountedIn,
    Fast,
    HasParts,
    Measure,
    Part,
    UntilIn,
    has_parts,
    varint_in,
)
from loadmux.checking.pieces import CountedStretch, Ended, NumberOf, Some, VarintOf
from loadmux.checking.simple import Delimited, DelimitedDecoder
from loadmux.checking.verifying import MAX_FRAME, Verifier
from loadmux.driver.user import VirtualUser
from loadmux.language.expected import (
    Answer,
    AnyNumber,
    AnyOrder,
    Anything,
    ByRule,
    Closed,
    Contains,
    Counted,
    Exactly,
    Frame,
    Length,
    Listed,
    Not,
    OneOf,
    Parts,
    Reply,
    Saved,
    Skipping,
    StartsWith,
    Until,
    framing_of,
    groups_of,
    is_frame,
)
from loadmux.plugins.payloads import Payload, Regex, Sized
from loadmux.running.frame_steps import body_of, remembered
from loadmux.running.headed_steps import prefixed
from loadmux.running.steps import replies
from loadmux.running.steps.messages import Render
from loadmux.running.swift import Match

T = TypeVar("T")
Make = Callable[[VirtualUser, str, bytes], T]


@dataclass(frozen=True, slots=True)
class Made(Generic[T]):
    """`constant` if it is always the same, or what `make` makes of the moment."""

    constant: T | None
    make: Make[T]


def fixed(value: T) -> Made[T]:
    return Made(value, lambda user, socket, sent: value)


def of_all(inner: Sequence[Made[Any]], build: Callable[[list[Any]], T]) -> Made[T]:
    """What `build` makes of these."""
    known = [one.constant for one in inner]
    if all(one is not None for one in known):
        return fixed(build(known))
    return Made(None, lambda *now: build([one.make(*now) for one in inner]))


class Expecting:
    """Makes what judges replies; `constant` and `render` are those of payloads, `simple` makes what
    answers a reply that holds no other.
    """

    def __init__(
        self,
        constant: Callable[[Payload], bytes | None],
        render: Callable[[Payload], Render],
        simple: Callable[[Reply], replies.Reply],
    ) -> None:
        self._constant = constant
        self._render = render
        self._simple = simple

    # --- bodies ---------------------------------------------------------------------------------

    def _bytes(self, payload: Payload) -> Made[bytes]:
        return Made(self._constant(payload), self._render(payload))

    def _of_bytes(self, payload: Payload, build: Callable[[bytes], Judge]) -> Made[Judge]:
        return of_all([self._bytes(payload)], lambda found: build(found[0]))

    def judge(self, body: Reply) -> Made[Judge]:
        """What judges all of a body."""
        match body:
            case Exactly(payload=payload):
                return self._of_bytes(payload, IsExactly)
            case StartsWith(payload=payload):
                return self._of_bytes(payload, bodies.StartsWith)
            case Contains(payload=payload):
                return self._of_bytes(payload, bodies.Contains)
            case Length(size=size):
                return fixed(HasLength(size))
            case Regex():
                texts = [self._bytes(text) for text in body.texts]
                return of_all(texts, lambda found: Matches(remembered(body.source(found))))
            case Anything():
                return fixed(bodies.anything)
            case AnyNumber(bytes=size):
                return fixed(bodies.IsVarint() if size is None else HasLength(size))
            case Until(matches=matches):
                return fixed(bodies.anything) if matches is None else self.judge(matches)
            case Not(body=inner):
                return of_all([self.judge(inner)], lambda found: bodies.IsNot(found[0]))
            case Counted(body=inner, how=how):
                prefix = prefix_of(how)
                return of_all([self.judge(inner)], lambda one: bodies.IsCounted(prefix, one[0]))
            case Parts(parts=parts):
                made = of_all(list(map(self._part, parts)), tuple)
                if made.constant is not None:
                    return fixed(has_parts(made.constant))
                return of_all([made], lambda found: HasParts(found[0]))
            case OneOf(options=options, names=labels, which=which):
                names = groups_of(OneOf(options))
                build = partial(bodies.FirstOf, labels=labels, which=which, names=names)
                return of_all(list(map(self.judge, options)), build)
            case Saved(reply=inner, name=name):
                value = value_of(inner)
                return of_all(
                    [self.judge(inner)], lambda found: bodies.Named(found[0], name, value)
                )
        raise AssertionError(body)

    def _part(self, part: Reply) -> Made[Part]:
        inner = part.reply if isinstance(part, Saved) else part
        made = self.judge(part)
        match inner:
            case Exactly(payload=payload):
                return of_all(
                    [made, self._bytes(payload)], lambda found: Part(found[0], len(found[1]))
                )
            case Length(size=size) | AnyNumber(bytes=int(size)):
                return of_all([made], lambda found: Part(found[0], size))
            case Counted(how=how):
                measure: Measure = CountedIn(prefix_of(how))
            case AnyNumber():
                measure = varint_in
            case Until(delimiter=delimiter):
                measure = UntilIn(delimiter)
            case Parts(parts=parts):
                return of_all([made, *map(self._part, parts)], _nested)
            case _:
                return of_all([made], lambda found: Part(found[0]))
        return of_all([made], lambda found: Part(found[0], None, measure))

    # --- frames ---------------------------------------------------------------------------------

    def want(self, reply: Reply) -> Made[frames.Want]:
        """What judges a whole frame."""
        match reply:
            case Frame(header=None):
                return self._body_want(reply.body, reply.framing, reply.answers)
            case Frame():
                return of_all([self.both(reply)], lambda found: frames.ByForm(found[0]))
            case Answer(form=form):
                parts = [self._bytes(part) for part in form.payloads()]
                return of_all(
                    parts, lambda found: frames.ByForm(partial(form.judge, parts=tuple(found)))
                )
            case OneOf(options=options, names=labels, which=which):
                names = groups_of(OneOf(options))
                build = partial(frames.OneWant, labels=labels, which=which, names=names)
                return of_all(list(map(self.want, options)), build)
            case Saved(reply=inner, name=name):
                return of_all([self.want(inner)], lambda found: frames.NamedWant(found[0], name))
        raise AssertionError(reply)

    def _body_want(self, body: Reply, framing: Framing, answers: bool) -> Made[frames.Want]:
        made = self.judge(body)

        def build(found: list[Judge]) -> frames.Want:
            (judge,) = found
            known = judge.expected if isinstance(judge, IsExactly) else None
            return frames.WithBody(judge, whole_of(framing, known))

        if made.constant is not None or not answers:
            return of_all([made], build)
        inner = made.make
        return Made(
            None,
            lambda user, socket, sent: build([inner(user, socket, body_of(framing, sent))]),
        )

    def _frames(self, reply: AnyOrder | Skipping) -> replies.Reply:
        found = reply.replies if isinstance(reply, AnyOrder) else (reply.reply,)
        wants = of_all(list(map(self.want, found)), tuple)
        skip = None if reply.skip is None else self.want(reply.skip)
        exact = all(isinstance(_bare(one), Exactly) for one in found)
        first = exact or reply.skip is None or _is_any(reply.skip)
        captures = bool(groups_of(reply))
        return FramesReply(framing_of(found[0]), wants, skip, first, captures)

    def both(self, reply: Frame) -> Made[BothRight]:
        """What judges the header and the body of a frame."""
        assert reply.header is not None
        header, framing = self.judge(reply.header), prefixed(reply.framing)
        if isinstance(reply.header, Exactly):
            exact = self._bytes(reply.header.payload)
            header = of_all([exact], lambda found: HeaderIs(framing, found[0]))
        return of_all([header, self.judge(reply.body)], lambda found: BothRight(*found))

    # --- replies --------------------------------------------------------------------------------

    def reply(self, reply: Reply) -> replies.Reply:
        """What a step awaits."""
        match reply:
            case Frame(header=header) if header is not None:
                return self._simple(reply)
            case Frame(body=Exactly() | ByRule()):
                return self._simple(reply)
            case Frame(body=body, framing=framing, answers=answers):
                made = self.judge(body)
                return Judged(framing, made, answers, _matched(framing, made.constant))
            case AnyOrder() | Skipping():
                return self._frames(reply)
            case Listed(replies=several):
                return self._in_turn(several)
            case Parts(parts=parts):
                return self._in_turn(parts)
            case Saved():
                return self._in_turn((reply,))
            case OneOf() if is_frame(reply):
                return FramesReply(
                    framing_of(reply), of_all([self.want(reply)], tuple), None, True, True
                )
            case OneOf(options=options, names=labels, which=which):
                found = [self._item(one) for one in options]
                return OneOfReply(found, labels, which, groups_of(OneOf(options)))
            case Anything():
                return replies.FormReply(Some)
            case Closed():
                return replies.FormReply(Ended)
            case AnyNumber(bytes=int(size), order=order):
                return replies.FormReply(partial(NumberOf, size, order))
            case AnyNumber():
                return replies.FormReply(VarintOf)
            case Counted(body=body, how=how):
                return Judged(CountedStretch(prefix_of(how)), self.judge(body), False)
            case Until(delimiter=delimiter, matches=matches) if matches is not None:
                return UntilReply(delimiter, self.judge(matches))
        return self._simple(reply)

    def _in_turn(self, several: Sequence[Reply]) -> replies.Reply:
        items = [self._item(one) for one in several]
        forms = [one.reply if isinstance(one, Saved) else one for one in several]
        asked = [one.framing for one in forms if isinstance(one, Answer) and one.form.answers]
        requests = asked[0].requests if asked and len(asked) == len(forms) else None
        return InTurnReply(items, bool(groups_of(Listed((*several,)))), requests)

    def _item(self, reply: Reply) -> Choice:
        if isinstance(reply, Saved):
            return Choice(self.reply(reply.reply), reply.name)
        return Choice(self.reply(reply))


def whole_of(framing: Framing, body: bytes | None) -> bytes:
    """The bytes of the frame with this body, if there is only one."""
    with suppress(ValueError):
        return framing.encode(body) if framing.certain and body is not None else b""
    return b""


def _nested(found: list[Any]) -> Part:
    """Parts in a part, of one length if they all have one."""
    judge, *parts = found
    sizes = [part.size for part in parts]
    return Part(judge, None if None in sizes else sum(sizes))


def _bare(reply: Reply) -> Reply:
    """What a frame holds, its name left out."""
    while isinstance(reply, Saved | Frame):
        reply = reply.reply if isinstance(reply, Saved) else reply.body
    return reply


def _is_any(skip: Reply) -> bool:
    return isinstance(_bare(skip), Anything)


def prefix_of(how: Sized) -> Prefix:
    return Prefix(how.bytes, bool(how.varint), how.digits, how.order or "big", how.adjust)


def value_of(reply: Reply) -> Callable[[bytes], bytes]:
    """What a name keeps of the bytes of a part."""
    match reply:
        case AnyNumber(bytes=None):
            return bodies.varint_decimal
        case AnyNumber(order=order):
            return partial(bodies.decimal, order=order)
        case Counted(how=how):
            return bodies.IsCounted(prefix_of(how), bodies.anything).inner
    return bytes


# --- what steps await ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Judged(replies.Reply):
    """One frame whose body is right for what judges it."""

    framing: Framing
    made: Made[Judge]
    answers: bool
    matched: Match | None = None

    @property
    def swift(self) -> bool:
        return True

    def known(self, payload: bytes) -> replies.Judged | None:
        judge = self.made.constant
        return None if judge is None else (None, self._verifiers(payload, judge))

    def judged(self, user: VirtualUser, socket: str, payload: bytes) -> replies.Judged:
        sent = payload
        if self.answers and self.made.constant is None:
            sent = body_of(self.framing, payload)
        return None, self._verifiers(payload, self.made.make(user, socket, sent))

    @property
    def quick(self) -> bool:
        return self.matched is not None

    def match(self, user: VirtualUser, socket: str, payload: bytes) -> Match | None:
        return self.matched

    def _verifiers(self, payload: bytes, judge: Judge) -> Callable[[], Verifier]:
        framing = self.framing.answering(payload)
        return lambda: FrameVerifier(framing.decoder(), judge)


def _matched(framing: Framing, judge: Judge | None) -> Match | None:
    """What knows a whole frame that is right for a judge which can be fast."""
    if not isinstance(judge, HasParts) or judge.fast is None:
        return None
    return partial(_delimited, framing, judge.fast) if isinstance(framing, Delimited) else None


def _delimited(framing: Delimited, fast: Fast, data: bytes) -> Mapping[str, bytes] | None:
    """What the body of one whole frame gives names to, if it is right."""
    delimiter = framing.delimiter
    end = len(data) - len(delimiter)
    if data.find(delimiter) != end or len(data) > framing.max_size:
        return None
    return fast.match(data[:end])


@dataclass(frozen=True, slots=True)
class UntilReply(replies.Reply):
    """What comes up to and with a delimiter is right for what judges it."""

    delimiter: bytes
    made: Made[Judge]

    @property
    def swift(self) -> bool:
        return True

    def known(self, payload: bytes) -> replies.Judged | None:
        judge = self.made.constant
        return None if judge is None else (None, partial(self._verifier, judge))

    def judged(self, user: VirtualUser, socket: str, payload: bytes) -> replies.Judged:
        return None, partial(self._verifier, self.made.make(user, socket, payload))

    def _verifier(self, judge: Judge) -> Verifier:
        decoder = DelimitedDecoder(self.delimiter, MAX_FRAME, kept=len(self.delimiter))
        return FrameVerifier(decoder, judge)


@dataclass(frozen=True, slots=True)
class FramesReply(replies.Reply):
    """Frames in any order, others among them passed over; see `checking.frames`."""

    framing: Framing
    wants: Made[tuple[frames.Want, ...]]
    skip: Made[frames.Want] | None
    first: bool
    captures: bool

    @property
    def swift(self) -> bool:
        return True

    def known(self, payload: bytes) -> replies.Judged | None:
        skip = None if self.skip is None else self.skip.constant
        if self.wants.constant is None or (self.skip is not None and skip is None):
            return None
        return self._judged(payload, self.wants.constant, skip)

    def judged(self, user: VirtualUser, socket: str, payload: bytes) -> replies.Judged:
        now = user, socket, payload
        skip = None if self.skip is None else self.skip.make(*now)
        return self._judged(payload, self.wants.make(*now), skip)

    def _judged(
        self, payload: bytes, wants: Sequence[frames.Want], skip: frames.Want | None
    ) -> replies.Judged:
        framing = self.framing.answering(payload)
        wholes = [one.whole for one in wants]
        likely = b"".join(wholes) if all(wholes) and not self.captures else None
        return likely, lambda: frames.Frames(framing.decoder, wants, skip, self.first)


@dataclass(frozen=True, slots=True)
class Choice:
    """A reply among others; `save` names what came."""

    reply: replies.Reply
    save: str | None = None

    def item(self, user: VirtualUser, socket: str, payload: bytes) -> Item:
        return Item(lambda: self.reply.judged(user, socket, payload)[1](), self.save)


@dataclass(frozen=True, slots=True)
class InTurnReply(replies.Reply):
    """One after the other; what one `captures` may stand in the next.

    `requests`: each answers a request of its own, as this tells them apart.
    """

    items: Sequence[Choice]
    captures: bool
    requests: Callable[[bytes], tuple[list[bytes], bytes]] | None = None

    @property
    def swift(self) -> bool:
        return self.requests is None and all(one.reply.swift for one in self.items)

    @property
    def several(self) -> bool:
        return len(self.items) > 1 or self.items[0].reply.several

    def known(self, payload: bytes) -> replies.Judged | None:
        payloads = self._payloads(payload)
        found = [one.reply.known(p) for one, p in zip(self.items, payloads, strict=True)]
        judged = [one for one in found if one is not None]
        if self.captures or len(judged) < len(found):
            return None
        return self._judged(judged)

    def judged(self, user: VirtualUser, socket: str, payload: bytes) -> replies.Judged:
        both = list(zip(self.items, self._payloads(payload), strict=True))
        if not self.captures:
            return self._judged([one.reply.judged(user, socket, p) for one, p in both])
        items = [one.item(user, socket, p) for one, p in both]
        return None, lambda: InTurn(items, partial(_name, user), self._answers)

    def _judged(self, judged: Sequence[replies.Judged]) -> replies.Judged:
        wholes = [one[0] or b"" for one in judged]
        items = [Item(make) for _, make in judged]
        likely = b"".join(wholes) if all(wholes) and self.requests is None else None
        return likely, lambda: InTurn(items, None, self._answers)

    @property
    def _answers(self) -> int:
        return 1 if self.requests is None else len(self.items)

    def _payloads(self, payload: bytes) -> list[bytes]:
        """What each reply answers."""
        count = len(self.items)
        if self.requests is None:
            return [payload] * count
        whole, rest = self.requests(payload)
        return (whole + [rest] * count)[:count]


def _name(user: VirtualUser, captured: Mapping[str, bytes]) -> None:
    for name, value in captured.items():
        user.set(name, value)


@dataclass(frozen=True, slots=True)
class OneOfReply(replies.Reply):
    """One of several; see `checking.composed.Alternatives`."""

    options: Sequence[Choice]
    labels: Sequence[str]
    which: str | None
    names: Sequence[str]

    @property
    def swift(self) -> bool:
        return True

    @property
    def several(self) -> bool:
        return any(one.reply.several for one in self.options)

    def known(self, payload: bytes) -> replies.Judged | None:
        found = [one.reply.known(payload) for one in self.options]
        makes = [one[1] for one in found if one is not None]
        if len(makes) < len(found):
            return None
        saves = [one.save for one in self.options]
        return self._judged([Item(*both) for both in zip(makes, saves, strict=True)])

    def judged(self, user: VirtualUser, socket: str, payload: bytes) -> replies.Judged:
        return self._judged([one.item(user, socket, payload) for one in self.options])

    def _judged(self, items: Sequence[Item]) -> replies.Judged:
        return None, lambda: Alternatives(items, self.labels, self.which, self.names)
