"""Makes of an `expect` what a step awaits.

Replies that hold no other are made here; those that do, or that ask something of what comes, are
left to `Expecting`, which comes back here for what they hold.
"""

from __future__ import annotations

from functools import partial

from loadmux.checking import rules, verifying
from loadmux.language.meaning.expected import (
    Answer,
    Body,
    ByRule,
    Exactly,
    Frame,
    Length,
    Reply,
    Until,
)
from loadmux.language.meaning.scenario import Scenario
from loadmux.running.compiling.expecting import Expecting
from loadmux.running.compiling.payloads import Payloads
from loadmux.running.compiling.ruling import Rules
from loadmux.running.steps import forms, framed, headed, replies, stretches


class Replies:
    """Of the steps of a scenario."""

    def __init__(self, scenario: Scenario, payloads: Payloads, rules: Rules) -> None:
        self._scenario = scenario
        self._payloads = payloads
        self._rules = rules

    def reply(self, reply: Reply, sockets: tuple[int, ...]) -> replies.Reply:
        """What a step awaits; replies that hold others, or ask something of them, apart."""
        return self.expecting(sockets).reply(reply)

    def expecting(self, sockets: tuple[int, ...]) -> Expecting:
        simple = partial(self._simple_reply, sockets=sockets)
        return Expecting(self._payloads.constant, self._payloads.render, simple)

    def _simple_reply(self, reply: Reply, sockets: tuple[int, ...]) -> replies.Reply:
        match reply:
            case Exactly(payload=payload):
                return replies.ExactReply(
                    self._payloads.constant(payload), self._payloads.render(payload)
                )
            case Frame():
                return self._frame(reply, sockets)
            case Answer():
                return self._answer(reply)
            case ByRule():
                return self._rule_reply({i: self._rules.of(reply, i) for i in sockets})
            case Length(size=size):
                return replies.FormReply(partial(verifying.LengthOf, size), stretches.length(size))
            case Until(delimiter=delimiter):
                make = partial(verifying.UntilDelimiter, delimiter)
                return replies.FormReply(make, stretches.until(delimiter))
        raise AssertionError(reply)

    def _frame(self, reply: Frame, sockets: tuple[int, ...]) -> replies.Reply:
        framing = reply.framing
        if reply.header is not None:
            header, body = self._asked(reply.header), self._asked(reply.body)
            return headed.HeadedReply(framing, header, body, self._payloads.place, reply.answers)
        match reply.body:
            case Exactly(payload=payload):
                constant, render = self._payloads.constant(payload), self._payloads.render(payload)
                return framed.FrameReply(
                    framing, constant, render, self._payloads.place, reply.answers
                )
            case ByRule() as by:
                found = {self._scenario.sockets[i].name: self._rules.of(by, i) for i in sockets}
                return framed.FrameByRule(framing, found, self._payloads.place)
        raise AssertionError(reply)

    def _asked(self, body: Body) -> headed.Asked:
        """What a header or a body is asked beside the other."""
        match body:
            case Exactly(payload=payload):
                return headed.Asked(
                    self._payloads.constant(payload), self._payloads.render(payload)
                )
            case ByRule():
                return headed.Asked(rule=self._rules.of(body, self._payloads.sockets[0]))
        made = self.expecting(()).judge(body)
        layout = self.expecting(()).layout(body)
        return headed.Asked(judge=made.make, fixed=made.constant, layout=layout)

    def _answer(self, reply: Answer) -> replies.Reply:
        parts = reply.form.payloads()
        found = [self._payloads.constant(part) for part in parts]
        known = tuple(part for part in found if part is not None)
        constants = known if len(known) == len(found) else None
        renders = [self._payloads.render(part) for part in parts]
        return forms.AnswerReply(reply.form, reply.framing, constants, renders)

    def _rule_reply(self, by_socket: dict[int, rules.Rule]) -> replies.Reply:
        found = list(by_socket.values())
        if all(rule == found[0] for rule in found):
            return replies.RuleReply(found[0])
        names = self._scenario.sockets
        return replies.RuleReplies({names[i].name: rule for i, rule in by_socket.items()})
