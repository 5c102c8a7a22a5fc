"""Mistakes in the order of steps, which no step shows by itself; the target would be blamed.

Sending on a socket whose sending side the scenario has shut down: the kernel would refuse it
(EPIPE, send(2)). Expecting an end that a frame `until_close` has taken already: a new connection
would be opened to wait for it.
"""

from __future__ import annotations

from collections.abc import Sequence

from loadmux.checking.checked import unchecked
from loadmux.checking.simple import UntilClose
from loadmux.language.meaning.expected import Listed, Reply, by_end, framing_of, is_frame
from loadmux.language.meaning.scenario import Scenario
from loadmux.language.meaning.stepvalues import (
    Call,
    Exchange,
    For,
    OnSockets,
    Performed,
    Repeat,
    Step,
    Together,
    Transaction,
    flat,
)
from loadmux.language.text.nodes import Mistakes

OUT_OF_BAND = "'urgent' sends beside the stream, which TLS cannot; this socket speaks TLS by now"
TWICE = "TLS has begun on this socket already; 'close' it first, and it connects anew"


def check(scenario: Scenario, mistakes: Mistakes) -> None:
    """Walk `before`, `steps` (twice if repeated: sockets outlive an iteration) and `after`."""
    for socket in scenario.sockets:
        _Flow(mistakes).walk(socket.on_connect)
    flow = _Flow(mistakes, _upgraded(scenario), _renewed(scenario))
    flow.walk(scenario.before)
    flow.walk(scenario.steps)
    if scenario.load.iterations != 1:
        flow.walk(scenario.steps)
    flow.walk(scenario.after)


def _upgraded(scenario: Scenario) -> frozenset[int]:
    """The sockets that speak TLS once `on_connect` was carried out."""
    return frozenset(
        place
        for place, one in enumerate(scenario.sockets)
        for step in flat(one.on_connect)
        if isinstance(step, OnSockets) and step.action == "start_tls"
    )


def _renewed(scenario: Scenario) -> frozenset[int]:
    """The sockets that may connect anew at any time."""
    every = enumerate(scenario.sockets)
    return frozenset(place for place, one in every if one.idle_close == "allowed")


class _Flow:
    """At this point of the walk `shut` sockets cannot send any more, `ended` ones are closed, and
    `secured` ones speak TLS since a `start_tls`, `always` those whose `on_connect` has one.
    `renewed` ones may connect anew at any time.
    """

    def __init__(
        self,
        mistakes: Mistakes,
        always: frozenset[int] = frozenset(),
        renewed: frozenset[int] = frozenset(),
    ) -> None:
        self._renewed = renewed
        self._mistakes = mistakes
        self._always = always
        self._secured = set(always)
        self._shut: set[int] = set()
        self._ended: set[int] = set()

    def walk(self, steps: Sequence[Step]) -> None:
        for step in steps:
            match step:
                case Repeat(do=do, times=times):
                    for _ in range(min(times, 2)):
                        self.walk(do)
                case For(do=do, values=values):
                    for _ in values[:2]:
                        self.walk(do)
                case Transaction(do=do):
                    self.walk(do)
                case OnSockets(action=action, sockets=sockets):
                    self._ended.difference_update(sockets)
                    if action == "start_tls":
                        self._secure(step)
                    elif action == "half_close":
                        self._shut.update(sockets)
                    elif action in ("close", "reset"):
                        self._renew(sockets)
                case Exchange():
                    self._exchange(step)
                case Together(branches=branches):
                    for branch in branches:
                        self.walk(branch)
                case Call():  # what it does to the sockets only the run will show
                    self._shut.clear()
                    self._ended.clear()
                    self._secured.clear()
                case Performed(sockets=sockets):
                    self._renew(sockets)
                    self._ended.difference_update(sockets)
                case _:
                    pass

    def _renew(self, sockets: Sequence[int]) -> None:
        """They connect anew."""
        self._shut.difference_update(sockets)
        self._secured.difference_update(set(sockets) - self._always)

    def _secure(self, step: OnSockets) -> None:
        if (self._secured - self._renewed) & set(step.sockets):
            self._mistakes.add(step.where, TWICE)
        self._secured.update(step.sockets)

    def _exchange(self, step: Exchange) -> None:
        if step.send is not None and self._shut & set(step.sockets):
            self._mistakes.add(
                step.where,
                "this sends on a socket that was half-closed before; 'close' it first, or 'expect:"
                " closed', and it connects anew",
            )
        urgent = step.send is not None and step.send.urgent
        if urgent and self._secured & set(step.sockets):
            self._mistakes.add(step.where, OUT_OF_BAND)
        reply = None if step.expect is None else step.expect.reply
        by_frame = reply is not None and _to_the_end(reply)
        ended = reply is not None and by_end(reply)
        only = ended and not isinstance(reply, Listed) and step.send is None
        if only and self._ended & set(step.sockets):
            self._mistakes.add(
                step.where,
                "the connection has ended already, with the frame before this ('until_close');"
                " leave this step out",
            )
        self._ended.difference_update(step.sockets)
        if by_frame:
            self._ended.update(step.sockets)
        if by_frame or ended:
            self._renew(step.sockets)


def _to_the_end(reply: Reply) -> bool:
    """Whether it is a frame, in whatever words, that the end of the connection ends."""
    last = reply.replies[-1] if isinstance(reply, Listed) else reply
    return is_frame(last) and isinstance(unchecked(framing_of(last)), UntilClose)
