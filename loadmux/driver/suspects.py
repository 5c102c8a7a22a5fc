"""What a wrong reply may be taken for: what others to the same target got or await, and this
socket's own other replies.

They are gathered when the wrong byte is noticed, before what follows it is waited for: the others
go on meanwhile, and what they had just got would be forgotten. Sockets of this process alone are
known by what they hold; a user of any process is known by its number, where the scenario puts that
into the reply (`recognition`). In a storm of faults the search is cut down, or the generator would
stall.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from loadmux.checking.diagnosis import Alike, Finding, diagnose
from loadmux.checking.recognition import Context, Recognized
from loadmux.checking.verifying import Problem, Verifier, first_difference
from loadmux.driver.loop import Loop
from loadmux.driver.peer import Peer, peers
from loadmux.errors import Kind

STORM = 50
"""Faults of a loop from which on each is searched for less."""
ELSEWHERE = 20_000
ELSEWHERE_IN_STORM = 500
"""Sockets whose replies a wrong one is held against."""
ELSEWHERE_BYTES = 4 * 1024 * 1024
"""Bytes of these replies in all: each is searched for several times."""
REMEMBERED_BYTES = 64 * 1024
ANY_VALUE = 1 << 62
"""As many replies as there are uuids: a flipped bit never made one."""

Labelled = list[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Suspects:
    """`elsewhere`: replies of other sockets, by their labels; `later`: those that the next steps
    await on this one, by the steps' names. `pending`: replies to other messages are under way.
    """

    elsewhere: Labelled
    later: Labelled
    pending: bool
    previous: bytes
    context: Context | None


def suspects(connection: Peer, verifier: Verifier) -> Suspects:
    """As things stand now."""
    known = verifier.context
    context = known if isinstance(known, Context) else None
    return Suspects(
        owed_elsewhere(connection),
        awaited_later(connection, context),
        len(connection.unanswered) > 1,
        connection.last,
        context,
    )


def diagnosed(connection: Peer, verifier: Verifier, known: Suspects) -> Finding:
    """What is wrong with a reply, of which what follows the first wrong byte has been seen."""
    assert verifier.wrong_at is not None
    expected, received = verifier.expected(), bytes(verifier.received)
    others, alike = recognized(connection, known, received, expected)
    return diagnose(
        expected,
        received,
        verifier.wrong_at,
        previous=known.previous,
        owed_elsewhere=[*others, *known.elsewhere],
        later=known.later,
        pending=known.pending,
        crowd=0 if known.context is None else known.context.crowd,
        alike=alike,
    )


def told_by_its_text(
    connection: Peer, came: bytes, problem: Problem, known: Suspects
) -> Finding | None:
    """Whose frame it is that a judge has found wrong, if its body says so.

    `came` is the whole frame, `problem` has what was compared.
    """
    right, wrong = problem.expected or b"", problem.received
    at = first_difference(right, wrong)
    if at >= min(len(right), len(wrong)):
        return None
    for received, expected in ((came, b""), (wrong, right)):
        others, alike = recognized(connection, known, received, expected)
        if others or alike is not None:
            crowd = 0 if known.context is None else known.context.crowd
            owed = [(who, wrong) for who, _ in others]
            finding = diagnose(right, wrong, at, owed_elsewhere=owed, crowd=crowd, alike=alike)
            return finding if finding.kind in (Kind.CROSSTALK, Kind.MISMATCH) else None
    return None


def storm(loop: Loop) -> bool:
    return loop.faults > STORM


def owed_elsewhere(connection: Peer) -> Labelled:
    """What other sockets to the same target failed to get, await, or got last.

    Of this process alone. Another target has never seen what they sent.
    """
    loop, url = connection.loop, connection.endpoint.url
    others = [one for one in peers(loop) if one is not connection and one.endpoint.url == url]
    others.sort(key=lambda one: one.user != connection.user)  # its own sockets first
    label = connection.label
    owed = [(whose, data) for whose, to, data in loop.failed if whose != label and to == url]
    owed += [(whose, data) for whose, to, data in loop.parted if whose != label and to == url]
    room = ELSEWHERE_BYTES
    for other in islice(others, ELSEWHERE_IN_STORM if storm(loop) else ELSEWHERE):
        if room <= 0:
            break
        awaited = other.verifier.expected() if other.verifier is not None else b""
        if other.want and not awaited:
            awaited = other.awaited
        for data in (awaited, other.last):
            if data and len(data) <= room:
                owed.append((other.label, data))
                room -= len(data)
    return owed


def remember(connection: Peer) -> None:
    """A socket is given up: keep for a while what it was owed, and what it got last."""
    url, label, loop = connection.endpoint.url, connection.label, connection.loop
    if connection.verifier is not None:
        expected = connection.verifier.expected()
        if len(expected) <= REMEMBERED_BYTES:
            loop.failed.append((label, url, expected))
    if 0 < len(connection.last) <= REMEMBERED_BYTES:
        loop.parted.append((label, url, connection.last))


def awaited_later(connection: Peer, context: Context | None) -> Labelled:
    """What the steps after this one await; working it out uses up none of the user's chance."""
    if context is None or not context.later:
        return []
    task, found = connection.task, []
    random = getattr(task, "random", None)
    state = None if random is None else random.getstate()
    for step, reply in context.later:
        with suppress(Exception):  # what cannot be worked out is no suspect
            data = reply(task, connection.name)
            if data:
                found.append((step, data))
    if random is not None:
        random.setstate(state)
    return found


def recognized(
    connection: Peer, known: Suspects, received: bytes, expected: bytes
) -> tuple[Labelled, Alike | None]:
    """Whose reply the bytes say that they are: another's, or but for its values ours."""
    context = known.context
    if context is None or context.shape is None or storm(connection.loop):
        return [], None
    found = context.shape.read(received, expected)
    if found is None or found.reply in (expected, known.previous):
        return [], None
    user = connection.user if found.user is None else found.user
    socket = found.socket or connection.name
    if (user, socket) == (connection.user, connection.name):
        return [], _other_values(connection, found, context.crowd)
    if context.users and user not in context.users:
        return [], None
    label = f"user {user}, socket {socket}"
    if found.user is None and len(context.users) != 1:
        label = f"socket {socket} of some user"
    return [(label, found.reply)], None


def _other_values(connection: Peer, found: Recognized, crowd: int) -> Alike | None:
    """A reply that says nothing against being for this socket, and yet is not the right one."""
    now = getattr(connection.task, "iteration", 0)
    if found.iteration is not None and found.iteration != now:
        whose = "" if found.user is not None else " of some user"
        text = f"it is the reply to iteration {found.iteration}{whose}; this is iteration {now}"
        return Alike(text, max(now, 1) * (1 if found.user is not None else max(crowd, 1)))
    if found.likewise:
        text = "it has the form of the right reply, but another uuid: it answers another message"
        return Alike(text, ANY_VALUE)
    return None
