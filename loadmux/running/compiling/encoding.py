"""Payloads that are made anew each time: numbers, lengths, checksums, choices, formulas.

What cannot be encoded when a step runs is the scenario's mistake: it ends the run (DriverFault),
and no fault is counted against the target.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import accumulate
from time import time

from loadmux import units
from loadmux.driver.user import VirtualUser
from loadmux.language.meaning import contents
from loadmux.plugins import formulas
from loadmux.plugins.formulas import Formula, decimal
from loadmux.plugins.payloads import Coded, Number, Payload, Picked, Text, Varint
from loadmux.running.steps.messages import Render
from loadmux.running.steps.place import Place


def connection_number(user: VirtualUser, socket: str, sent: bytes) -> bytes:
    for connection in user.connections:
        if connection.name == socket:
            return b"%d" % connection.number
    return b""


LATER: dict[str, Render] = {
    "connection": connection_number,
    "now": lambda user, socket, sent: b"%d" % int(time() * 1000),
    "worker": lambda user, socket, sent: b"%d" % user.loop.worker,
}
"""Built-in names that a scenario may have given to something of its own."""


def constant(payload: Coded, of: Callable[[Payload], bytes | None]) -> bytes | None:
    """The bytes, if they are always the same; None too where there are none."""
    try:
        return contents.coded(payload, of)
    except ValueError:
        return None


def rendered(payload: Coded, of: Callable[[Payload], Render], place: Place) -> Render:
    """What it is at the moment. Raises DriverFault where it cannot be encoded."""
    if isinstance(payload, Number | Varint):
        value = payload.value if isinstance(payload.value, Text) else Text((str(payload.value),))
        return _number(payload, of(value), place)
    inner, encode = of(payload.payload), payload.encode

    def coded(user: VirtualUser, socket: str, sent: bytes) -> bytes:
        body = inner(user, socket, sent)
        try:
            return encode(body)
        except ValueError as error:
            raise place.unable(user, socket, error) from None

    return coded


def _number(payload: Number | Varint, value: Render, place: Place) -> Render:
    encode = payload.encode

    def coded(user: VirtualUser, socket: str, sent: bytes) -> bytes:
        written = value(user, socket, sent)
        try:
            return encode(int(written) if written.isdigit() else decimal(written))
        except ValueError as error:
            raise place.unable(user, socket, error) from None

    return coded


def piece(render: Render, place: Place) -> Render:
    """The size of a piece, in digits, at least 1. Raises DriverFault where it is none."""

    def digits(user: VirtualUser, socket: str, sent: bytes) -> bytes:
        written = render(user, socket, sent)
        try:
            size = units.size(written.decode(errors="replace"))
            if size < 1:
                raise ValueError(f"a piece has at least 1 byte, not {size}")
        except ValueError as error:
            raise place.unable(user, socket, error) from None
        return b"%d" % size

    return digits


def picked(payload: Picked, renders: Sequence[Render]) -> Render:
    """One of them. `Random.random` alone gives the same for a seed in every version of Python."""
    weights = payload.weights or (1.0,) * len(renders)
    bounds, last = list(accumulate(weights)), len(renders) - 1

    def pick(user: VirtualUser, socket: str, sent: bytes) -> bytes:
        place = bisect(bounds, user.random.random() * bounds[-1], 0, last)
        return renders[place](user, socket, sent)

    return pick


@cache
def tables(alphabet: str) -> tuple[bytes, bytes]:
    """What each byte stands for, and the bytes that stand for none, so that all are as likely."""
    count = len(alphabet)
    table = bytes(ord(alphabet[byte % count]) for byte in range(256))
    return table, bytes(range(256 - 256 % count, 256))


def random_text(source: random.Random, size: int, alphabet: str) -> bytes:
    """So many characters; each is as likely as any other."""
    if not alphabet.isascii() or len(alphabet) > 256:
        return "".join(source.choices(alphabet, k=size)).encode()
    (table, unfair), found = tables(alphabet), b""
    while len(found) < size:
        found += source.randbytes(size - len(found)).translate(table, unfair)
    return found


def formula(part: Formula, renders: Mapping[str, Render], place: Place) -> Render:
    """What a formula comes to, its names being as `renders` has them."""

    def render(user: VirtualUser, socket: str, sent: bytes) -> bytes:
        try:
            return formulas.data(part.term, lambda name: renders[name](user, socket, sent))
        except ValueError as error:
            raise place.unable(user, socket, f"${{{part.written}}}: {error}") from None

    return render
