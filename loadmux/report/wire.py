"""What went over a wire, for a person: text line by line, anything else as a hexdump; all of it."""

from __future__ import annotations

from collections.abc import Iterator

from loadmux.report import said

ROW = 16
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}


def lines(data: bytes) -> Iterator[str]:
    """The lines of a text in quotes, each with its end; of other bytes rows with their offsets."""
    text = said.as_text(data)
    if text is None:
        yield from dump(data)
        return
    for line in text.splitlines(keepends=True):
        yield f'"{"".join(map(_shown, line))}"'


def _shown(character: str) -> str:
    """A character as it stands in double quotes, in YAML too."""
    if character in _NAMED:
        return _NAMED[character]
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def dump(data: bytes) -> Iterator[str]:
    """Rows of offset, bytes in hex, and what is printable of them."""
    digits = max(4, len(f"{len(data):x}"))
    for at in range(0, len(data), ROW):
        row = data[at : at + ROW]
        text = "".join(chr(one) if 0x20 <= one < 0x7F else "." for one in row)
        yield f"{at:0{digits}x}  {row.hex(' '):<{ROW * 3 - 1}}  {text}"
