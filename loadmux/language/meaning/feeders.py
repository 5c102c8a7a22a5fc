"""Which row of a feeder's table a user gets: a pure function of seed, user number and row count.

So users that are spread over processes and machines get distinct rows without a word between them,
and a run can be repeated. Numbers may grow without bound (users that come and go): past the last
row they begin again with the first (`when_short: wrap`), or there is no row for them (`error`).
"""

from __future__ import annotations

from array import array
from collections.abc import Callable

from loadmux.errors import UsageError
from loadmux.language.meaning.scenario import Feeder
from loadmux.units import quoted

Row = Callable[[int], int]
"""The place (from 0) of the row of the user with this number (from 0)."""


def shortage(feeder: Feeder, users: int) -> str | None:
    """Why so many users cannot have a row each, in one line; None where they can."""
    if feeder.pick == "random" or feeder.when_short == "wrap" or users <= feeder.rows:
        return None
    rows = "1 row" if feeder.rows == 1 else f"{feeder.rows} rows"
    return (
        f"{quoted(feeder.file)} has {rows} for {users} users; add rows, use fewer users, or write"
        " 'when_short: wrap' to use rows again"
    )


def picker(feeder: Feeder, seed: int) -> Row:
    """How a feeder's rows are picked; the function raises UsageError for a user without a row.

    `sequential`: user N has row N. `shuffled`: the rows in an order of chance, each once; it is
    kept, eight bytes a row. `random`: any row, again and again. Two feeders differ by their names.
    """
    rows = feeder.rows
    if feeder.pick == "random":
        from hashlib import blake2b

        stem = f"{seed}/{feeder.name}/"

        def drawn(number: int) -> int:
            digest = blake2b(f"{stem}{number}".encode(), digest_size=8).digest()
            return int.from_bytes(digest) % rows

        return drawn
    order = _shuffled(rows, f"{seed}/{feeder.name}") if feeder.pick == "shuffled" else range(rows)

    def placed(number: int) -> int:
        if number >= rows and (problem := shortage(feeder, number + 1)) is not None:
            raise UsageError(problem)
        return order[number % rows]

    return placed


def _shuffled(rows: int, seed: str) -> array[int]:
    """0 .. rows - 1 in an order of chance.

    Fisher and Yates's shuffle, by `Random.random`: the one method whose values for a seed are
    promised to be the same in every version of Python; machines may differ in theirs.
    """
    from random import Random

    order, chance = array("Q", range(rows)), Random(seed)
    for last in range(rows - 1, 0, -1):
        other = int(chance.random() * (last + 1))
        order[last], order[other] = order[other], order[last]
    return order
