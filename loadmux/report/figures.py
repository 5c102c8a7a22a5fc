"""How figures and foreign text are written for a person, the same in the report and the live view.

Units are close to those of the scenario language (`1.50ms`, `2.00s`). Names, messages and bytes
come from files and servers: nothing in them may reach a terminal as a control sequence, or as a
character that its encoding does not have.
"""

from __future__ import annotations

from collections.abc import Callable

from loadmux.measuring.volume import Volume

Plain = Callable[[str], str]

_ASCII = {"µ": "u", "✓": "+", "✗": "x", "…": "..."}
_NAMED = {0x09: "\\t", 0x0A: "\\n", 0x0D: "\\r", 0x22: '\\"', 0x5C: "\\\\"}


def time(seconds: float) -> str:
    """Three significant digits and the unit that fits: `873µs`, `1.50ms`, `12.3s`; else `0s`."""
    if seconds <= 0:
        return "0s"
    for scale, unit in ((1e6, "µs"), (1e3, "ms"), (1.0, "s")):
        figure = three_digits(seconds * scale)
        if float(figure) < 1000 or unit == "s":
            return figure + unit
    raise AssertionError("the last unit always fits")


def three_digits(value: float) -> str:
    """`1.23`, `12.3`, `123`, `1235`; a value below 0.01 as `0.00`."""
    for digits, limit in ((2, 9.995), (1, 99.95)):
        if value < limit:
            return f"{value:.{digits}f}"
    return f"{value:.0f}"


def rate(per_second: float) -> str:
    """Events a second: `0.50/s`, `12.3/s`, `12,346/s`."""
    if per_second < 100:
        return f"{three_digits(per_second)}/s"
    return f"{per_second:,.0f}/s"


def plural(count: int, noun: str, many: str = "") -> str:
    """`1 step`, `2 steps`; `many` where that is not the noun and an s."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {many or noun + 's'}"


def size(count: int) -> str:
    """Bytes: `27 B`, `64.0 KiB`, `1.50 MiB`."""
    if count < 1024:
        return f"{count} B"
    value, unit = count / 1024, "KiB"
    for larger in ("MiB", "GiB", "TiB"):
        if value >= 1024:
            value, unit = value / 1024, larger
    return f"{three_digits(value)} {unit}"


def volume(moved: Volume, duration: float) -> str:
    """Bytes in and out over so many seconds: `1.50 MiB/s in (15.0 MiB), 27 B/s out (270 B)`."""
    ways = ((moved.received, "in"), (moved.sent, "out"))
    return ", ".join(
        f"{size(round(count / duration))}/s {way} ({size(count)})" if duration > 0 else f"0 B {way}"
        for count, way in ways
    )


def plain_for(encoding: str) -> Plain:
    """A function that makes any text safe to print in one line in `encoding`.

    What is not printable (control characters, lone surrogates, newlines) is escaped as Python does;
    what the encoding lacks is replaced by its ASCII look-alike where loadmux prints one itself
    (µ, ✓), and escaped otherwise.
    """

    def plain(text: str) -> str:
        if text.isascii() and text.isprintable():
            return text
        return "".join(map(character, text))

    def character(one: str) -> str:
        if not one.isprintable():
            return one.encode("unicode_escape").decode("ascii")
        try:
            one.encode(encoding)
        except UnicodeEncodeError:
            return _ASCII.get(one) or one.encode("unicode_escape").decode("ascii")
        return one

    return plain


def quoted(data: bytes) -> str:
    """Bytes between double quotes, ASCII as it is and the rest as `\\n` or `\\xNN`."""
    return '"' + "".join(map(_byte, data)) + '"'


def _byte(value: int) -> str:
    named = _NAMED.get(value)
    return named or (chr(value) if 0x20 <= value < 0x7F else f"\\x{value:02x}")


def shortened(data: bytes, width: int) -> str:
    """`quoted`, in at most `width` (24 or more) characters: the beginning, `…`, and the end."""
    whole = quoted(data)
    if len(whole) <= width:
        return whole
    tail = _fitting(data[::-1], width // 3 - 5)
    head = _fitting(data, width - width // 3 - 2)
    return f"{quoted(data[:head])} … {quoted(data[len(data) - tail :])}"


def _fitting(data: bytes, width: int) -> int:
    """How many of the first bytes take at most `width` characters when escaped."""
    used = 0
    for count, value in enumerate(data):
        used += len(_byte(value))
        if used > width:
            return count
    return len(data)
