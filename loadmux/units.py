"""Reads durations, sizes and rates as scenario files and options write them.

Pure text in, numbers out: seconds, bytes, events a second. Every unit must be written, so that a
file never depends on a reader's guess whether `10` meant seconds or milliseconds; only sizes go
without. Arithmetic is decimal, so `250us` is exactly the float 0.00025. Each function raises
ValueError with one line that says what is wrong and which forms are right.
"""

from __future__ import annotations

import re
from decimal import Decimal

SECONDS = {
    "us": Decimal("0.000001"),
    "ms": Decimal("0.001"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
}
BYTES = {
    "": 1,
    "B": 1,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
}
PERIODS = {"s": Decimal(1), "m": Decimal(60)}

# 24 days of milliseconds overflow the 32-bit time-out of poll(2) and epoll_wait(2).
LONGEST = 20 * 24 * 3600
LARGEST = 2**50
# A schedule of 20 days then has less than 2**53 starts, and each has a number of its own.
HIGHEST_RATE = 10**9

DURATION_FORMS = "write a number with a unit such as 250us, 10ms, 5s, 2m, 1h"
SIZE_FORMS = "write a number of bytes such as 64, 64KiB, 1MB"
RATE_FORMS = "write a number a second or a minute such as 500/s, 30/m"

NUMBER = r"([0-9]{1,15}(?:\.[0-9]{1,15})?)"
DURATION = re.compile(NUMBER + r"(us|ms|s|m|h)")
SIZE = re.compile(NUMBER + r"(|B|[KMG]i?B)")
RATE = re.compile(NUMBER + r"/([sm])")


def quoted(text: str) -> str:
    """`text` as one short printable line, for messages."""
    return repr(text if len(text) <= 60 else text[:57] + "...")


def duration(text: str) -> float:
    """Seconds: `250us`, `10ms`, `1.5s`, `2m`, `1h`."""
    match = DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{quoted(text)} is not a duration; {DURATION_FORMS}")
    seconds = Decimal(match[1]) * SECONDS[match[2]]
    if seconds > LONGEST:
        raise ValueError(f"{quoted(text)} is too long; at most {LONGEST // 3600}h")
    return float(seconds)


def size(text: str) -> int:
    """Bytes: `64`, `64B`, `64KiB` (1024), `1MB` (1000²), `1.5KiB`."""
    match = SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"{quoted(text)} is not a size; {SIZE_FORMS}")
    count = Decimal(match[1]) * BYTES[match[2]]
    if count != int(count):
        raise ValueError(f"{quoted(text)} is not a whole number of bytes; {SIZE_FORMS}")
    if count > LARGEST:
        raise ValueError(f"{quoted(text)} is too large; at most {LARGEST} bytes")
    return int(count)


def rate(text: str) -> float:
    """Events a second: `500/s`, `30/m`."""
    match = RATE.fullmatch(text)
    if match is None:
        raise ValueError(f"{quoted(text)} is not a rate; {RATE_FORMS}")
    found = Decimal(match[1]) / PERIODS[match[2]]
    if found > HIGHEST_RATE:
        raise ValueError(f"{quoted(text)} is too high; at most {HIGHEST_RATE}/s")
    return float(found)


def plain_rate(text: str) -> float:
    """A rate, or a plain number of events a second: `500/s`, `30/m`, `10`, `0.5`."""
    return rate(text + "/s" if re.fullmatch(NUMBER, text) else text)


def plain_duration(text: str) -> float:
    """A duration, or a plain number of seconds: `10s`, `10`."""
    return duration(text + "s" if re.fullmatch(NUMBER, text) else text)


# --- the other way round ------------------------------------------------------------------------


def duration_text(seconds: float) -> str:
    """The shortest text that `duration` reads as exactly `seconds`, which it gave: `1.5s`, `2m`."""
    exact = Decimal(repr(seconds))
    for unit in ("h", "m", "s", "ms"):
        count = exact / SECONDS[unit]
        if (
            count == int(count)
            and (count or unit == "s")
            and duration(f"{count:.0f}{unit}") == seconds
        ):
            return f"{count:.0f}{unit}"
    return _plain(exact / SECONDS["us"]) + "us"


def size_text(count: int) -> str:
    """`64KiB` for 65536; the number alone where no unit divides it."""
    for unit in ("GiB", "MiB", "KiB"):
        if count and count % BYTES[unit] == 0:
            return f"{count // BYTES[unit]}{unit}"
    return str(count)


def rate_text(per_second: float) -> str:
    """A text that `rate` reads as exactly `per_second`, which it gave: `500/s`, `10/m`."""
    for unit, period in PERIODS.items():
        exact = Decimal(per_second) * period
        for places in range(16):
            text = f"{_plain(round(exact, places))}/{unit}"
            if RATE.fullmatch(text) and rate(text) == per_second:
                return text
    raise ValueError(f"no rate is written as {per_second!r}")


def _plain(number: Decimal) -> str:
    """Without an exponent, and without zeros after the point."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
