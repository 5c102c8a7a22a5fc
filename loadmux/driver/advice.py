"""What a fault's message adds where the scenario is the likely mistake: a remedy in one clause.

Each clause is told only where the bytes say so themselves, or a port that everybody knows.
"""

from __future__ import annotations

from collections.abc import Sequence

from loadmux.checking.framing import FrameError, Framing, first_frame
from loadmux.checking.verifying import Verifier
from loadmux.driver.peer import Peer
from loadmux.errors import Kind, Moment

TLS_ALERT = b"\x15\x03"
"""How a record begins that tells an alert; RFC 8446, section 5.1."""
_USUAL = "443 465 563 636 853 989 990 992 993 995 4433 5061 5349 5671 6380 6443 6697 8443 8883 9443"
TLS_PORTS = tuple(f":{port}" for port in _USUAL.split())
"""OpenSSL sends no alert to a client that does not speak TLS: it closes."""
ENDS = frozenset({Kind.CLOSED, Kind.RESET, Kind.TLS})


def speaks_tls(connection: Peer, kind: Kind, moments: Sequence[Moment]) -> str:
    """That the server speaks TLS and we do not, where what it did first says so, or its port."""
    scheme, _, place = connection.endpoint.url.partition(":")
    if scheme != "tcp":
        return ""
    came = next((one.data for one in moments if one.what == "received"), b"")
    if came.startswith(TLS_ALERT):
        return f"; it answers with a TLS alert: it speaks TLS, write tls:{place}"
    if kind in ENDS and connection.opened_at and not came and place.endswith(TLS_PORTS):
        return f"; TLS is usual on this port: if it is spoken there, write tls:{place}"
    return ""


def is_framed(connection: Peer, expected: bytes, came: bytes) -> str:
    """That what came is a frame of just what was expected: a text is all bytes of a reply."""
    if not expected or _body(connection.endpoint.framing, came) != expected:
        return ""
    return "; a whole frame came, with just the expected body: `expect: {frame: …}` asks for it"


def sent_no_frame(connection: Peer, verifier: Verifier) -> str:
    """That nothing was ever answered, and what was sent is no frame as the replies are."""
    framing, sent = connection.endpoint.framing, connection.payload
    if framing is None or not sent or connection.last or verifier.received:
        return ""
    if _body(framing, sent) is not None:
        return ""
    return "; what was sent is no whole frame of this socket: `send: {frame: …}` makes one"


def _body(framing: Framing | None, data: bytes) -> bytes | None:
    """The body of the frame that these bytes are, just so; None where they are none."""
    if framing is None or not framing.symmetric or not data:
        return None
    try:
        frame = first_frame(framing, data)
    except FrameError:
        return None
    return None if frame is None or frame.rest else frame.body
