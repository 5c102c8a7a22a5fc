"""What helps to tell, of a wrong reply, whose it is and which step it was meant for."""

from __future__ import annotations

from functools import partial

from loadmux.checking.recognition import Context, Shape
from loadmux.language.meaning.expected import Answer, ByRule, Exactly, Frame, Saved, Skipping
from loadmux.language.meaning.scenario import Scenario
from loadmux.language.meaning.stepvalues import Exchange
from loadmux.plugins.payloads import Framed
from loadmux.running.compiling.recognizing import Shapes
from loadmux.running.compiling.ruling import Rules
from loadmux.running.steps import framed


class Strays:
    """Of the steps of a scenario; `users` are the numbers of all its users."""

    def __init__(self, scenario: Scenario, rules: Rules, shapes: Shapes, users: range) -> None:
        self._scenario = scenario
        self._rules = rules
        self._shapes = shapes
        self._users = users

    def context(self, step: Exchange) -> Context:
        """What helps to tell a wrong reply's kind."""
        sockets = self._scenario.sockets
        same = sum(one.to == sockets[step.sockets[0]].to for one in sockets)
        return Context(partial(self._shape, step), self._users, same * len(self._users))

    def _shape(self, step: Exchange) -> Shape | None:
        assert step.expect is not None
        sent, reply = None if step.send is None else step.send.payload, step.expect.reply
        while isinstance(reply, Skipping | Saved):
            reply = reply.reply
        match reply:
            case Exactly(payload=payload):
                return self._shapes.shape(payload, sent)
            case ByRule(rule=rule):
                return self._shapes.by_rule(
                    rule or self._rules.name_of(step.sockets[0]) or "", sent
                )
            case Frame(body=body, framing=framing) if framing.symmetric:
                inner = sent.payload if isinstance(sent, Framed) and reply.answers else sent
                opened = framed.unframed(framing)
                if isinstance(body, ByRule):
                    rule = body.rule or self._rules.name_of(step.sockets[0]) or ""
                    return self._shapes.by_rule(rule, inner, opened)
                if isinstance(body, Exactly):
                    return self._shapes.shape(body.payload, inner, opened)
            case Answer(form=form) if len(parts := list(form.payloads())) == 1:
                return self._shapes.shape(parts[0])
        return None
