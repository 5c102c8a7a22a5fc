"""What `${...}` may hold besides a name, as values, and what they come to.

Terms are whole numbers, texts, names, slices of bytes, lengths and sums. A name's value is bytes;
it is a number where it is written in decimal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from operator import add, floordiv, mod, mul, sub

from loadmux.checking.frozen import dataclass

LARGEST_BITS = 4096
"""A number of more bits is a mistake: one that grows with each iteration would take all time."""

_DECIMAL = re.compile(rb"\s*[+-]?[0-9]{1,1200}\s*")
OPERATORS = {"+": add, "-": sub, "*": mul, "//": floordiv, "%": mod}


@dataclass(frozen=True, slots=True)
class Variable:
    """`${name}` in a text, replaced when the step runs; `feeder.column` names one of a feeder."""

    name: str


@dataclass(frozen=True, slots=True)
class Slice:
    """Bytes of `of` from `begin` up to `end`, as Python counts them."""

    of: Term
    begin: Term | None
    end: Term | None


@dataclass(frozen=True, slots=True)
class Length:
    """How many bytes there are."""

    of: Term


@dataclass(frozen=True, slots=True)
class Calculation:
    """One number with another."""

    operator: str
    left: Term
    right: Term


Term = int | str | Variable | Slice | Length | Calculation
Lookup = Callable[[str], bytes]


@dataclass(frozen=True, slots=True)
class Formula:
    """`${written}`, and what it means."""

    written: str
    term: Term


def decimal(value: bytes) -> int:
    """Raises ValueError where it is no whole number."""
    if _DECIMAL.fullmatch(value) is None:
        raise ValueError(f"{value[:40]!r} is no whole number in decimal")
    return int(value)


def number(term: Term, lookup: Lookup) -> int:
    """What a term comes to as a number. Raises ValueError where it is none."""
    match term:
        case int():
            return term
        case Length(of):
            return len(data(of, lookup))
        case Calculation(operator, left, right):
            return _calculated(operator, number(left, lookup), number(right, lookup))
    return decimal(data(term, lookup))


def data(term: Term, lookup: Lookup) -> bytes:
    """What a term comes to as bytes. Raises ValueError where there is no such thing."""
    match term:
        case Variable(name):
            return lookup(name)
        case str():
            return term.encode()
        case Slice(of, begin, end):
            first = None if begin is None else number(begin, lookup)
            last = None if end is None else number(end, lookup)
            return data(of, lookup)[first:last]
    return b"%d" % number(term, lookup)


def names(term: Term) -> Iterator[str]:
    """The names in a term."""
    match term:
        case Variable(name):
            yield name
        case Slice(of, begin, end):
            for one in (of, begin, end):
                if one is not None:
                    yield from names(one)
        case Length(of):
            yield from names(of)
        case Calculation(_, left, right):
            yield from names(left)
            yield from names(right)


def _calculated(operator: str, left: int, right: int) -> int:
    if operator in ("//", "%") and not right:
        raise ValueError(f"{left} {operator} 0 has no value")
    found: int = OPERATORS[operator](left, right)
    if found.bit_length() > LARGEST_BITS:
        raise ValueError(f"a number of more than {LARGEST_BITS} bits is too large")
    return found
