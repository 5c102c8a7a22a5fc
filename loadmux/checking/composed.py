"""Verifiers made of verifiers: replies in turn, and one of several. No I/O.

`InTurn` hands the stream from one verifier to the next, so it judges each byte as soon as its
verifier does. `Alternatives` has all its options read the same stream: the one that is whole after
the fewest bytes is right, the first of several. The small ones that only
these need stand in `pieces`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from loadmux.checking.verifying import Problem, Verifier

COMPARED = 4096
"""Bytes of a reply by which its likeness to what came is judged."""


class Item(NamedTuple):
    """Makes a verifier; `save` names what it keeps of a right reply."""

    make: Callable[[], Verifier]
    save: str | None = None


def _captured(verifier: Verifier, save: str | None) -> dict[str, bytes]:
    found = dict(verifier.captured())
    if save is not None:
        found[save] = verifier.kept()
    return found


class InTurn(Verifier):
    """One reply after the other; a verifier is made when the one before it was right.

    Each is made as late as that because what one captures, `right` has given names to by then.
    """

    __slots__ = ("_all", "_answers", "_aside", "_before", "_came", "_captured", "_current",
        "_items", "_kept", "_number", "_right")  # fmt: skip

    def __init__(
        self,
        items: Sequence[Item],
        right: Callable[[Mapping[str, bytes]], None] | None = None,
        answers: int = 1,
    ) -> None:
        super().__init__()
        self._answers = answers
        self._items = items
        self._right = right
        self._number = 0
        self._all: bytearray | None = None
        self._before = b""
        self._came: list[bytes] = []
        self._aside = 0
        self._kept = b""
        self._captured: dict[str, bytes] = {}
        self._current = items[0].make()
        self._move()

    @property
    def received(self) -> bytearray:
        """Put together when it is asked for: a large reply would be copied for each piece."""
        if self._all is None:
            return bytearray(self._before) + self._current.received
        return self._all

    @received.setter
    def received(self, value: bytearray) -> None:
        self._all = value

    def feed(self, data: bytes) -> bytes:
        while data and not self.done and self.wrong_at is None:
            data = self._current.feed(data)
            self._look()
        return data

    def take_whole(self, data: bytes) -> None:
        self._came.append(data)
        self._current.take_whole(data)
        self._look()

    @property
    def messages(self) -> tuple[Sequence[bytes], Sequence[bytes]] | None:
        due = [*self._came[: self._number], *self._known(self._number)]
        return (due, self._came) if self._came and len(due) == len(self._items) else None

    def end(self) -> bool:
        while not self.done and self._current.end():
            self._look()
            if self.wrong_at is not None:
                return True
        return self.done

    def follow(self, last: bytes) -> None:
        self._current.follow(last)

    def lapse(self) -> None:
        self._current.lapse()
        self._look()

    def reset(self) -> bool:
        if self._current.reset():
            self._look()
        return self.done

    def _look(self) -> None:
        """Go on once the current verifier is done."""
        current = self._current
        if current.wrong_at is not None:
            self.wrong_at = len(self._before) + current.wrong_at
            self.unreadable = current.unreadable
        else:
            self._move()

    def _move(self) -> None:
        while self._current.done:
            found = _captured(self._current, self._items[self._number].save)
            self._captured.update(found)
            if self._right is not None and found:
                self._right(found)
            self._kept += self._current.kept()
            if self._number + 1 == len(self._items):
                self.done = True
                return
            self._before += bytes(self._current.received)
            self._aside += self._current.aside
            self._number += 1
            self._current = self._items[self._number].make()

    def _known(self, number: int) -> list[bytes]:
        """The replies from this one on, as far as they are known."""
        found: list[bytes] = []
        with suppress(Exception):  # what a later one needs may have no value yet
            for place in range(number, len(self._items)):
                current = self._current if place == self._number else self._items[place].make()
                if not (expected := current.expected()):
                    break
                found.append(expected)
        return found

    def expected(self) -> bytes:
        """As far as the replies are known."""
        known = self._known(self._number)
        return self._before + b"".join(known) if known else b""

    def owed(self) -> str:
        if self.done or len(self._items) == 1:
            return self._current.owed()
        return f"{self._current.owed()}, in reply {self._number + 1} of {len(self._items)}"

    @property
    def closes(self) -> bool:
        return self._current.closes

    def answer(self) -> bytes:
        return self._current.answer()

    @property
    def answers(self) -> int:
        return self._answers

    @property
    def aside(self) -> int:
        return self._aside + self._current.aside

    @property
    def moved(self) -> bool:
        return self._current.moved or not self._current.received

    def problem(self) -> Problem | None:
        found = self._current.problem()
        if found is None or len(self._items) == 1:
            return found
        message = f"reply {self._number + 1} of {len(self._items)}: {found.message}"
        return replace(found, message=message)

    def kept(self) -> bytes:
        return self._kept

    def captured(self) -> Mapping[str, bytes]:
        return self._captured


class Alternatives(Verifier):
    """One of several replies; see the module. `which` is the name of the one that came, of
    `labels`; the `names` that the others would have captured are empty.
    """

    __slots__ = ("_alive", "_items", "_labels", "_names", "_nearest", "_options", "_which", "_won")

    def __init__(
        self,
        items: Sequence[Item],
        labels: Sequence[str] = (),
        which: str | None = None,
        names: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self._items = items
        self._labels = labels
        self._which = which
        self._names = names
        self._options = [item.make() for item in items]
        self._alive = list(range(len(items)))
        self._won: int | None = None
        self._nearest = 0

    def feed(self, data: bytes) -> bytes:
        if self.done:
            return data
        rests = {one: self._options[one].feed(data) for one in self._alive}
        self.received += data
        whole = [one for one in self._alive if self._options[one].done]
        if whole:
            best = max(whole, key=lambda one: (len(rests[one]), -one))
            rest = rests[best]
            del self.received[len(self.received) - len(rest) :]
            self._win(best)
            return rest
        self._drop()
        return b""

    def take_whole(self, data: bytes) -> None:
        for one in self._alive:
            self._options[one].take_whole(data)
        self.received += data
        whole = [one for one in self._alive if self._options[one].done]
        if whole:
            self._win(whole[0])
        else:
            self._drop()

    def end(self) -> bool:
        ended = [one for one in self._alive if self._options[one].end()]
        whole = [one for one in ended if self._options[one].done]
        if whole:
            self._win(whole[0])
        elif ended:
            self._drop()
        return self.done or self.wrong_at is not None

    def lapse(self) -> None:
        for one in self._alive:
            self._options[one].lapse()
        self._drop()

    def reset(self) -> bool:
        whole = [one for one in self._alive if self._options[one].reset()]
        if whole:
            self._win(whole[0])
        return self.done

    def _win(self, number: int) -> None:
        self._won, self.done = number, True

    def _drop(self) -> None:
        """Those that it cannot be are fed no more; if there is no other, all of it is wrong."""
        self._alive = [one for one in self._alive if self._options[one].wrong_at is None]
        if not self._alive:
            every = range(len(self._options))
            self._nearest = max(every, key=lambda one: (*self._likeness(one), -one))
            self.wrong_at = self._options[self._nearest].wrong_at

    def _likeness(self, number: int) -> tuple[int, int]:
        """How many bytes are right from the first one on, and how many in all that are known."""
        option = self._options[number]
        pairs = zip(option.expected()[:COMPARED], self.received[:COMPARED], strict=False)
        return option.wrong_at or 0, sum(right == came for right, came in pairs)

    @property
    def _told(self) -> Verifier:
        """The option that speaks for all."""
        if self._won is not None:
            return self._options[self._won]
        return self._options[self._alive[0] if self._alive else self._nearest]

    def expected(self) -> bytes:
        return self._told.expected()

    def owed(self) -> str:
        if len(self._alive) == 1 or self.done:
            return self._told.owed()
        return f"one of {len(self._items)} replies"

    @property
    def closes(self) -> bool:
        return self._told.closes

    def answer(self) -> bytes:
        return self._told.answer()

    @property
    def aside(self) -> int:
        return self._told.aside

    def problem(self) -> Problem | None:
        found = self._told.problem()
        if found is None:
            return None
        label = self._labels[self._nearest] if self._labels else f"number {self._nearest + 1}"
        text = f"{found.message}; that is the nearest ({label}) of {len(self._items)}"
        return replace(found, message=text, received=bytes(self.received))

    def kept(self) -> bytes:
        return self._told.kept()

    def captured(self) -> Mapping[str, bytes]:
        assert self._won is not None
        found = dict.fromkeys(self._names, b"")
        found |= _captured(self._told, self._items[self._won].save)
        if self._which is not None:
            found[self._which] = self._labels[self._won].encode()
        return found
