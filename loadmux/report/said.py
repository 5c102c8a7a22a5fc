"""What a server has said, for a person: its text, where it is text.

Most servers say in words what they do not like, and one glance at them tells more than a dump. What
is no text (bytes that are not UTF-8, too many control characters, nothing but white space) is left
to the dump.
"""

from __future__ import annotations

from collections.abc import Iterator

from loadmux.errors import Evidence
from loadmux.report.figures import plural

LINES = 8
WIDEST = 300
CONTROLS_AMONG = 4
"""One character in so many may be a control character: an escape sequence, a NUL at the end."""
LAYOUT = "\r\n\t"


def as_text(data: bytes, cut: bool = False) -> str | None:
    """The text that these bytes are, None where they are none; `cut` if they go on."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        if not (cut and error.reason == "unexpected end of data"):
            return None
        text = data[: error.start].decode()
    controls = sum(not (one.isprintable() or one in LAYOUT) for one in text)
    return None if not text.strip() or controls * CONTROLS_AMONG > len(text) else text


def text_of(evidence: Evidence) -> str | None:
    """What the server said, as far as it was kept, if it is text."""
    return as_text(evidence.said, evidence.said_size > len(evidence.said))


def lines(evidence: Evidence) -> Iterator[str]:
    """The server's text in lines, LINES of them at most, each WIDEST characters at most.

    Nothing where it said nothing, or no text. Control characters are still in it.
    """
    text = text_of(evidence)
    if text is None:
        return
    whole = text.removesuffix("\n").split("\n")
    for line in whole[:LINES]:
        line = line.removesuffix("\r")
        yield line if len(line) <= WIDEST else f"{line[:WIDEST]} …"
    rest = evidence.said_size - len("\n".join(whole[:LINES]).encode())
    if len(whole) > LINES or evidence.said_size > len(evidence.said):
        yield f"… and {plural(rest, 'byte')} more"
