"""What may come at any time on a socket: its `ignore` and `answer` put into its endpoint."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from loadmux.checking.framing import Framing
from loadmux.driver.endpoint import AnyTime, Endpoint
from loadmux.language.meaning.expected import Frame
from loadmux.language.meaning.scenario import Socket, Unasked, group_of
from loadmux.measuring.rows import IGNORED
from loadmux.measuring.stats import Stats
from loadmux.running.compiling.payloads import Payloads
from loadmux.running.compiling.replies import Replies
from loadmux.running.steps.made import Made
from loadmux.running.steps.messages import Render
from loadmux.running.steps.place import Place
from loadmux.running.steps.unasked import Unexpected


def attentive(
    endpoint: Endpoint, socket: Socket, payloads: Payloads, replies: Replies, stats: Stats
) -> Endpoint:
    """The same, where the socket's `ignore` and `answer` say anything."""
    if not (socket.ignore or socket.answer):
        return endpoint
    every = (*socket.ignore, *socket.answer)
    judges, sends = [], list[Render | None]()
    for one in every:
        payloads.place = Place(one.where, "ignore" if one.send is None else "answer")
        judges.append(_judge(one, socket.framing, replies))
        sends.append(None if one.send is None else payloads.render(one.send))
    row = stats.row_of(f"ignored {group_of(socket.name)}", IGNORED)
    unexpected = Unexpected(judges, sends, row.pass_untimed)
    constant = unexpected.constant is not None
    told = AnyTime(socket.framing, unexpected.judges, unexpected.taken, constant)
    return replace(endpoint, any_time=told)


def _judge(one: Unasked, framing: Framing | None, replies: Replies) -> Made[Any]:
    """What judges a frame: its body, or its header and its body."""
    if one.header is not None and framing is not None:
        return replies.expecting(()).both(Frame(one.body, framing, header=one.header))
    return replies.expecting(()).judge(one.body)
