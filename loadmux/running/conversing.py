"""What a protocol's framing makes of a socket: a greeting, what comes unasked, its requests.

What a framing cannot read is no one's business: it says so in its plugin's name (`tripped`), and
the bytes are judged as any others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from loadmux.checking.framing import Framing, Session, Talkative, Unasked
from loadmux.checking.tripping import tripped
from loadmux.driver.endpoint import Endpoint, Greeting, UnaskedJudge


def learned(endpoint: Endpoint, framing: Framing) -> Endpoint:
    """The same endpoint, now that this is known to be spoken there."""
    _, unasked, begun = conversation(framing, "")
    told = requests(framing)
    return replace(
        endpoint, unasked=unasked, begun=begun, requests=told, framing=framing, learns=False
    )


def requests(framing: Framing | None) -> Callable[[bytes], tuple[list[bytes], bytes]] | None:
    """What tells requests apart, where a protocol's framing does."""
    if framing is None or type(framing).requests is Framing.requests:
        return None
    return framing.requests


def conversation(
    framing: Framing | None, where: str
) -> tuple[Greeting | None, UnaskedJudge | None, Callable[[bytes], bool] | None]:
    """How connections begin, and what becomes of what the server says unasked."""
    if not isinstance(framing, Talkative):
        return None, None, None
    greeting = None
    if isinstance(framing, Session):
        greeting = partial(framing.greeting, authority=where)
    return greeting, partial(_unasked, framing), partial(_begun, framing)


def _unasked(framing: Talkative, data: bytes, awaited: bool) -> Unasked:
    """What the framing says of bytes; what it cannot read is no one's business.

    Where a reply is `awaited`, what may be one is left to who awaits it.
    """
    try:
        end = framing.awaited_from(data) if awaited else len(data)
        found = framing.unasked(data[:end])
        return found._replace(rest=found.rest + data[end:])
    except Exception as error:
        tripped(error)
        return Unasked(b"", data)


def _begun(framing: Talkative, rest: bytes) -> bool:
    try:
        return framing.begun(rest)
    except Exception as error:
        tripped(error)
        return False
