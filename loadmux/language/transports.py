"""What a scenario asks of its sockets and their target's transport cannot do.

Known once the target in force is: a datagram socket has no end that the other side could see, and
no datagram is larger than UDP allows; TLS options need a target that speaks TLS. (What means
nothing for a transport and harms nobody, as `nodelay` for UDP, is passed over, so that the same
file runs against several targets.)
"""

from __future__ import annotations

from loadmux.checking.framing import Session
from loadmux.checking.rules import RULES
from loadmux.checking.simple import LARGEST_DATAGRAM, UntilClose
from loadmux.errors import Position
from loadmux.language.meaning.contents import size_of
from loadmux.language.meaning.expected import ByRule, Closed, Frame, WasReset, every
from loadmux.language.meaning.scenario import Scenario, Tls, group_of
from loadmux.language.meaning.stepvalues import Call, Exchange, OnSockets, Performed, Send, Step
from loadmux.language.text.nodes import Mistakes
from loadmux.units import quoted

UNFIT = {
    "tls": "a tls one speaks TLS from the beginning, unless the socket has 'handshake: later'",
    "udp": "UDP has no connection for it",
}
"""Schemes of targets on whose connections TLS cannot begin."""
WITHOUT_END = "UDP has no connection whose end could be"


def check(scenario: Scenario, mistakes: Mistakes) -> None:
    """Report what cannot work with the scenario's targets."""
    later = _upgraded(scenario)
    schemes = [scenario.servers[one.to].scheme for one in scenario.sockets if scenario.servers]
    plain = {
        one.tls.where: scheme
        for one, scheme in zip(scenario.sockets, schemes, strict=False)
        if one.tls is not None and scheme != "tls" and one.tls.where not in later
    }
    for where, scheme in plain.items():
        if where is not None:
            message = f"'tls' needs a target that speaks it, not {scheme}; write tls://HOST:PORT"
            mistakes.add(where, f"{message}, {{bundled: MODEL, tls: true}}, or 'start_tls'")
    _check_sessions(scenario, mistakes)
    _check_options(scenario, mistakes)
    for step in scenario.every_step:
        check_step(scenario, step, mistakes)


def _upgraded(scenario: Scenario) -> set[Position | None]:
    """The places of TLS options of sockets on which some step begins TLS, or code may."""
    found: set[Position | None] = set()
    for step in scenario.every_step:
        if isinstance(step, Call):
            return {one.tls.where for one in scenario.sockets if one.tls is not None}
        if isinstance(step, OnSockets) and step.action == "start_tls":
            named = [scenario.sockets[place].tls for place in step.sockets]
            found.update(one.where for one in named if one is not None)
    return found


def check_step(scenario: Scenario, step: Step, mistakes: Mistakes) -> None:
    """Report what one step asks of its sockets' transport in vain."""
    if isinstance(step, OnSockets) and step.action == "start_tls":
        _check_upgrade(scenario, step, mistakes)
        return
    if isinstance(step, Exchange) and step.send is not None and scenario.servers:
        _check_send(scenario, step, step.send, mistakes)
    if isinstance(step, Exchange | OnSockets) and not scenario.datagrams.isdisjoint(step.sockets):
        _check_datagrams(scenario, step, mistakes)


def _check_send(scenario: Scenario, step: Exchange, send: Send, mistakes: Mistakes) -> None:
    schemes = {scenario.servers[scenario.sockets[place].to].scheme for place in step.sockets}
    unfit = next((one for one in sorted(schemes) if one != "tcp"), None)
    if send.urgent and unfit is not None:
        mistakes.add(step.where, f"'urgent' bytes need a tcp target, {unfit} has none")
    elif send.until is not None and "udp" in schemes:
        mistakes.add(step.where, "a datagram socket is never 'full': what finds no room is lost")


def _check_upgrade(scenario: Scenario, step: OnSockets, mistakes: Mistakes) -> None:
    for one in (scenario.sockets[place] for place in step.sockets) if scenario.servers else ():
        scheme, tls = scenario.servers[one.to].scheme, one.tls or Tls()
        if scheme == "tls" and tls.handshake == "later":
            continue
        if scheme in UNFIT:
            mistakes.add(step.where, f"'start_tls' needs a tcp or unix target: {UNFIT[scheme]}")
            return
        if scheme == "unix" and tls.verify and tls.server_name is None:
            message = "a unix target has no host whose name the certificate could bear; write"
            message = f"{message} 'tls: {{server_name: NAME}}' or {{verify: false}} for the socket"
            mistakes.add(step.where, f"{message} {quoted(one.name)}")
            return


def _check_sessions(scenario: Scenario, mistakes: Mistakes) -> None:
    """A handshake needs a connection; told at the first step that uses the socket."""
    told = {i for i in scenario.datagrams if isinstance(scenario.sockets[i].framing, Session)}
    for step in scenario.every_step:
        if isinstance(step, Exchange | OnSockets | Performed) and not told.isdisjoint(step.sockets):
            named = " and ".join(
                quoted(scenario.sockets[i].name) for i in step.sockets if i in told
            )
            message = "its 'framing' begins with a handshake, and UDP has no connection for one"
            mistakes.add(step.where, f"the socket {named}: {message}; use a tcp or tls target")
            told.difference_update(step.sockets)


def _check_options(scenario: Scenario, mistakes: Mistakes) -> None:
    """What sockets say of their connections; told once for a group."""
    told: set[str] = set()
    for place, one in enumerate(scenario.sockets):
        every, name = (*one.ignore, *one.answer), group_of(one.name)
        framed = one.framing is not None and not isinstance(one.framing, UntilClose)
        if every and not (framed or place in scenario.datagrams) and name not in told:
            told.add(name)
            what = "ignore" if one.ignore else "answer"
            message = f"'{what}' needs to know where a frame ends; write 'framing: line' or another"
            mistakes.add(every[0].where, f"{message} framing beside it")
        if one.read is not None and one.read.where is not None and place in scenario.datagrams:
            message = "'read' is for streams: a datagram is read whole; leave it out"
            mistakes.add(one.read.where, message)


def _check_datagrams(scenario: Scenario, step: Exchange | OnSockets, mistakes: Mistakes) -> None:
    if isinstance(step, OnSockets):
        if step.action in ("half_close", "reset"):
            mistakes.add(step.where, f"{WITHOUT_END} told by '{step.action}'; write 'close'")
        return
    reply = None if step.expect is None else step.expect.reply
    inside = [] if reply is None else list(every(reply))
    if any(isinstance(one, Closed | WasReset) for one in inside):
        mistakes.add(step.where, f"{WITHOUT_END} expected; write {{silence: DURATION}}")
    foreign = sorted(_rules_of(scenario, step).difference(RULES))
    if foreign:
        message = (
            f"the rule {quoted(foreign[0])} is a plugin's, which judges streams, not datagrams"
        )
        mistakes.add(step.where, f"{message}; expect their bytes, or {{length: SIZE}}")
    if step.send is not None and _largest_piece(step.send) > LARGEST_DATAGRAM:
        message = f"a datagram has at most {LARGEST_DATAGRAM} bytes; send less, or in 'pieces'"
        mistakes.add(step.where, message)


def _rules_of(scenario: Scenario, step: Exchange) -> set[str]:
    """The reply rules by which a step checks its datagram sockets."""
    reply = None if step.expect is None else step.expect.reply
    by = reply.body if isinstance(reply, Frame) else reply
    if not isinstance(by, ByRule):
        return set()
    targets = {scenario.sockets[i].to for i in scenario.datagrams.intersection(step.sockets)}
    return {name for one in targets if (name := by.rule or scenario.servers[one].rule) is not None}


def _largest_piece(send: Send) -> int:
    """Bytes of the largest datagram, the values of variables not counted."""
    size, largest = size_of(send.payload), 0
    pieces = [piece for piece in send.pieces if isinstance(piece, int)]
    if len(pieces) < len(send.pieces):
        return 0
    for piece in pieces[:-1]:
        largest = max(largest, min(piece, size))
        size = max(0, size - piece)
    return max(largest, min(pieces[-1], size)) if pieces else size
