"""What a scenario asks of its sockets and their target's transport cannot do.

Known once the target in force is: a datagram socket has no end that the other side could see, and
no datagram is larger than UDP allows; TLS options need a target that speaks TLS. (What means
nothing for a transport and harms nobody, as `nodelay` for UDP, is passed over, so that the same
file runs against several targets.)
"""

from __future__ import annotations

from loadmux.datagrams import LARGEST
from loadmux.loader.payloads import size_of
from loadmux.loader.reader import Mistakes
from loadmux.scenario import Closed, Exchange, OnSockets, Scenario, Send, Step, WasReset

WITHOUT_END = "UDP has no connection whose end could be"


def check(scenario: Scenario, mistakes: Mistakes) -> None:
    """Report what cannot work with the scenario's targets."""
    schemes = [scenario.servers[one.to].scheme for one in scenario.sockets if scenario.servers]
    plain = {
        one.tls.where: scheme
        for one, scheme in zip(scenario.sockets, schemes, strict=False)
        if one.tls is not None and scheme != "tls"
    }
    for where, scheme in plain.items():
        if where is not None:
            message = f"'tls' needs a target that speaks it, not {scheme}; write tls://HOST:PORT"
            mistakes.add(where, f"{message}, or {{bundled: MODEL, tls: true}}")
    for step in scenario.every_step:
        check_step(scenario, step, mistakes)


def check_step(scenario: Scenario, step: Step, mistakes: Mistakes) -> None:
    """Report what one step asks of a datagram socket in vain."""
    if isinstance(step, Exchange | OnSockets) and not scenario.datagrams.isdisjoint(step.sockets):
        _check_datagrams(step, mistakes)


def _check_datagrams(step: Exchange | OnSockets, mistakes: Mistakes) -> None:
    if isinstance(step, OnSockets):
        if step.action in ("half_close", "reset"):
            mistakes.add(step.where, f"{WITHOUT_END} told by '{step.action}'; write 'close'")
        return
    if step.expect is not None and isinstance(step.expect.reply, Closed | WasReset):
        mistakes.add(step.where, f"{WITHOUT_END} expected; write {{silence: DURATION}}")
    if step.send is not None and _largest_piece(step.send) > LARGEST:
        message = f"a datagram has at most {LARGEST} bytes; send less, or in 'pieces'"
        mistakes.add(step.where, message)


def _largest_piece(send: Send) -> int:
    """Bytes of the largest datagram, the values of variables not counted."""
    size, largest = size_of(send.payload), 0
    for piece in send.pieces[:-1]:
        largest = max(largest, min(piece, size))
        size = max(0, size - piece)
    return max(largest, min(send.pieces[-1], size)) if send.pieces else size
