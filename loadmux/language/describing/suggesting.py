"""What to write as an `expect` for what a server has answered."""

from __future__ import annotations

import re
from collections.abc import Iterator

from loadmux.checking.framing import FrameError, Framing
from loadmux.language.text.yamltext import flow, quoted

LONGEST = 1024
"""Bytes of a reply that are written out; of a longer one only its length is."""
SHORTEST = 2
"""Bytes of a message that are looked for in its reply: one may be there by chance."""
QUIET = "500ms"
_HTTP = re.compile(rb"HTTP/1\.[01] ([0-9]{3})\b")
BODILESS = (b"204", b"304")
"""Of these statuses a response ends with its head (RFC 9112, section 6.3)."""


def suggested(
    sent: bytes, came: bytes, ended: bool = False, framing: Framing | None = None
) -> list[str]:
    """The replies that came one after the other, as YAML; the first one answers what was sent.

    `ended`: the server closed the connection after them.
    """
    found = list(_frames(sent, came, framing))
    if ended and not announced(came):
        found.append("closed")
    return found or [flow({"silence": QUIET})]


def announced(came: bytes) -> bool:
    """Whether a response over HTTP says that it ends its connection: `http` then closes, too."""
    head = came.partition(b"\r\n\r\n")[0].lower()
    found = _HTTP.match(came)
    if found is None:
        return False
    stays = b"keep-alive" in head or came.startswith(b"HTTP/1.1")
    ended = b"content-length" in head or b"chunked" in head or found[1] in BODILESS
    return b"connection: close" in head or not (stays and ended)


def _frames(sent: bytes, came: bytes, framing: Framing | None) -> Iterator[str]:
    """Whole frames, and what is left as it is."""
    asked = _body(sent, framing)
    while framing is not None and came:
        try:
            frame = framing.decoder().feed(came)
        except FrameError:
            break
        if frame is None or len(frame.rest) >= len(came):
            break
        yield f"{{frame: {constant(frame.body, asked)}}}"
        came = frame.rest
    if (status := _HTTP.match(came)) and framing is None:
        yield f"{{http: {status[1].decode()}}}"
    elif came:
        yield constant(came, sent)


def _body(sent: bytes, framing: Framing | None) -> bytes:
    try:
        frame = framing.decoder().feed(sent) if framing is not None and sent else None
    except FrameError:
        frame = None
    return sent if frame is None else frame.body


def constant(data: bytes, sent: bytes = b"") -> str:
    """Exactly these bytes; where they hold what was sent, it says so."""
    if len(data) > LONGEST and data != sent:
        return f"{{length: {len(data)}}}"
    if data == sent and sent:
        return '"${sent}"'
    text = as_text(data)
    if text is None:
        return f'{{hex: "{data.hex(" ")}"}}'
    return template(text, as_text(sent) or "")


def varied(first: bytes, second: bytes) -> str:
    """A reply that two answers to the same message fit, which differ."""
    statuses = [match[1] for one in (first, second) if (match := _HTTP.match(one))]
    if len(statuses) == 2 and statuses[0] == statuses[1]:
        return f"{{http: {statuses[0].decode()}}}"
    head = _common(first, second)
    tail = _common(first[len(head) :][::-1], second[len(head) :][::-1])[::-1]
    ends = [as_text(head), as_text(tail)]
    lines = all(one.endswith(b"\n") and one.count(b"\n") == 1 for one in (first, second))
    if lines and None not in ends:
        pattern = ".*".join(_escaped(one or "") for one in ends)
        return f'{{regex: {quoted(pattern)}, until: "\\n"}}'
    if len(first) == len(second):
        return f"{{length: {len(first)}}}"
    end = tail[-4:]
    if end and all(one.index(end) == len(one) - len(end) for one in (first, second)):
        return f"{{until: {constant(end)}}}"
    return f"{{length: {min(len(first), len(second))}}}"


def _common(first: bytes, second: bytes) -> bytes:
    """How both begin."""
    size = min(len(first), len(second))
    return first[: next((at for at in range(size) if first[at] != second[at]), size)]


def _escaped(text: str) -> str:
    """A text in a regular expression, no more escaped than it must be."""
    return "".join(f"\\{one}" if one in ".^$*+?{}[]\\|()" else one for one in text)


def as_text(data: bytes) -> str | None:
    """The text that these bytes are, None where they are none that people write."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return text if all(one.isprintable() or one in "\r\n\t" for one in text) else None


def template(text: str, asked: str = "") -> str:
    """A text in quotes, `${sent}` in place of what was asked."""
    if len(asked) < SHORTEST or asked not in text:
        return quoted(text.replace("${", "$${"))
    parts = (part.replace("${", "$${") for part in text.split(asked))
    return quoted("${sent}".join(parts))
