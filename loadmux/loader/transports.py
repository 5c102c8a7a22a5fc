"""What a scenario asks of its sockets and their target's transport cannot do.

Known once the target in force is: a datagram socket has no end that the other side could see, and
no datagram is larger than UDP allows; TLS options need a target that speaks TLS. (What means
nothing for a transport and harms nobody, as `nodelay` for UDP, is passed over, so that the same
file runs against several targets.)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from loadmux.datagrams import LARGEST
from loadmux.loader.payloads import size_of
from loadmux.loader.reader import Mistakes
from loadmux.scenario import (
    Closed,
    Exchange,
    For,
    OnSockets,
    Repeat,
    Scenario,
    Send,
    Step,
    WasReset,
)

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
    datagrams = {place for place, scheme in enumerate(schemes) if scheme == "udp"}
    for step in _flat((*scenario.before, *scenario.steps, *scenario.after)):
        if isinstance(step, Exchange | OnSockets) and datagrams.intersection(step.sockets):
            _check_datagrams(step, mistakes)


def _flat(steps: Sequence[Step]) -> Iterable[Step]:
    for step in steps:
        yield step
        if isinstance(step, Repeat | For):
            yield from _flat(step.do)


def _check_datagrams(step: Step, mistakes: Mistakes) -> None:
    if isinstance(step, OnSockets) and step.action in ("half_close", "reset"):
        mistakes.add(step.where, f"{WITHOUT_END} told by '{step.action}'; write 'close'")
    if not isinstance(step, Exchange):
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
