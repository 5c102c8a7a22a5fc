"""Makes of the replies of a scenario what judges them: constants once, the rest for each user.

`Made` is something that is always the same, or what makes it of a user, the name of a socket, and
what the same step sent. All that holds other replies is made of what those make.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from loadmux.checking import bodies, frames
from loadmux.checking.bodies import HasLength, IsExactly, Matches, Prefix
from loadmux.checking.framing import Framing, Talkative
from loadmux.checking.headed import BothRight, HeaderIs
from loadmux.checking.judging import Judge
from loadmux.checking.parts import CountedIn, HasParts, Measure, Part, UntilIn, has_parts, varint_in
from loadmux.checking.pieces import CountedStretch, Ended, NumberOf, Some, VarintOf
from loadmux.driver.user import VirtualUser
from loadmux.language.meaning.expected import (
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
    WasReset,
    framing_of,
    groups_of,
    is_frame,
)
from loadmux.plugins.payloads import Payload, Regex, Sized
from loadmux.running.steps import replies
from loadmux.running.steps.composed import (
    Choice,
    FramesReply,
    InTurnReply,
    JudgedFrame,
    OneOfReply,
    UntilReply,
    matched,
)
from loadmux.running.steps.framed import body_of, remembered
from loadmux.running.steps.headed import prefixed
from loadmux.running.steps.made import Made, fixed, of_all
from loadmux.running.steps.matching import Layout, Piece
from loadmux.running.steps.messages import Render


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

    def layout(self, body: Reply) -> Layout | None:
        """The parts of a body whose places hang on what was sent; None if some are elsewhere."""
        if not isinstance(body, Parts):
            return None
        pieces = []
        for part in body.parts:
            inner, name = (part.reply, part.name) if isinstance(part, Saved) else (part, None)
            match inner:
                case Exactly(payload=payload):
                    piece = Piece(self._render(payload), None, name, bytes)
                case Length(size=size) | AnyNumber(bytes=int(size)):
                    piece = Piece(None, size, name, value_of(inner))
                case Anything() if part is body.parts[-1]:
                    piece = Piece(None, None, name, bytes)
                case _:
                    return None
            pieces.append(piece)
        return Layout(pieces)

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
        known = exact and len(found) > 1 and not captures
        wholes = self._wholes(found) if known else None
        return FramesReply(framing_of(found[0]), wants, skip, first, captures, wholes)

    def _wholes(self, found: Sequence[Reply]) -> list[Render] | None:
        """What makes the bytes of each of these frames; None where they are not known."""
        wholes = list[Render]()
        for one in found:
            match one:
                case Frame(body=Exactly(payload=payload), framing=framing, header=None):
                    if not framing.certain or isinstance(framing, Talkative):
                        return None
                    wholes.append(whole(framing, self._render(payload), one.answers))
                case _:
                    return None
        return wholes

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
                fast, layout = matched(framing, made.constant), self.layout(body)
                return JudgedFrame(framing, made, answers, fast, layout)
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
            case WasReset():
                return replies.FormReply(partial(Ended, by_reset=True))
            case AnyNumber(bytes=int(size), order=order):
                return replies.FormReply(partial(NumberOf, size, order))
            case AnyNumber():
                return replies.FormReply(VarintOf)
            case Counted(body=body, how=how):
                return JudgedFrame(CountedStretch(prefix_of(how)), self.judge(body), False)
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


def whole(framing: Framing, render: Render, answers: bool) -> Render:
    """The bytes of the frame with what `render` makes, empty where there is none."""

    def frame(user: VirtualUser, socket: str, sent: bytes) -> bytes:
        return whole_of(framing, render(user, socket, body_of(framing, sent) if answers else sent))

    return frame


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
