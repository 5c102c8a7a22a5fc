"""Draws the steps of a mixture: exchanges of a protocol, in every way in which steps can be nested.

What an exchange is, a `Speaker` says. Every exchange has a word of its own (`w12`) that stands in
what is sent, in its reply and in the names of its steps, so that a report can be compared with what
the server did.
"""

from __future__ import annotations

import contextlib
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

Step = dict[str, Any]
On = str | list[str]
LETTERS = "abcdefgh01234"
WHO = ".${user}.${iteration}.${socket}"
FED = "${feed.column}"
TEMPLATE = re.compile(r"\$\{[\w.]+\}")


@dataclass(frozen=True, slots=True)
class Text:
    """Begins with its word and a space, ends with z; `known` beforehand, or made while it runs."""

    word: str
    text: str
    known: bool

    @property
    def regex(self) -> str:
        """Matches just this text."""
        return pattern(self.text)


def pattern(text: str) -> str:
    made, at = "", 0
    for found in TEMPLATE.finditer(text):
        made += re.escape(text[at : found.start()]) + found.group()
        at = found.end()
    return made + re.escape(text[at:])


class Speaker(Protocol):
    """The client's side of a protocol."""

    def exchange(self, steps: Steps, on: On) -> list[Step]: ...

    def duplex(self, steps: Steps, on: str) -> tuple[list[Step], list[Step]]:
        """What one branch sends, and the other expects; empty where that cannot be."""

    def turn(self, steps: Steps, on: str) -> list[Step]:
        """Something on one socket that is no exchange, of one user's whole; perhaps nothing."""


class Steps:
    """The steps of one iteration, and how many requests and replies they come to."""

    def __init__(
        self, chance: random.Random, speaker: Speaker, sockets: list[str], lying: bool
    ) -> None:
        self.chance, self.sockets, self.lying = chance, sockets, lying
        self.requests = self.replies = 0
        self.exact = True
        """Whether the number of requests is known."""
        self.apart = True
        """Whether a reply may be taken by several steps."""
        self.fed = chance.random() < 0.2
        """Whether texts hold what a feeder brings."""
        self._speaker = speaker
        self._times = 1
        self._number = 0

    # --- what speakers use ---

    def word(self) -> str:
        self._number += 1
        return f"w{self._number}"

    def name(self) -> str:
        self._number += 1
        return f"v{self._number}"

    def text(self, size: int | None = None, known: bool | None = None) -> Text:
        if known is None:
            known = self.chance.random() < 0.5
        word, size = self.word(), size or self.chance.choice((1, 3, 8, 20, 90, 400))
        filler = "".join(self.chance.choice(LETTERS) for _ in range(size))
        if self.fed and not known and self.chance.random() < 0.5:
            filler += FED
        return Text(word, f"{word}{'' if known else WHO} {filler}z", known)

    def owe(self, requests: int, replies: int) -> None:
        self.requests += requests * self._times
        self.replies += replies * self._times

    @contextlib.contextmanager
    def times(self, number: int) -> Iterator[None]:
        self._times *= number
        yield
        self._times //= number

    def on(self, on: On) -> contextlib.AbstractContextManager[None]:
        return self.times(
            len(self.sockets) if on == "all" else 1 if isinstance(on, str) else len(on)
        )

    # --- what they are made into ---

    def drawn(self) -> list[Step]:
        """The last one is on each socket, so that nothing that is wrong is left."""
        made = self._some(self.sockets, 0)
        return [*made, *self._speaker.exchange(self, "all")]

    def _some(self, sockets: list[str], depth: int) -> list[Step]:
        made: list[Step] = []
        for _ in range(self.chance.randint(1, 4 if depth == 0 else 2)):
            made += self._one(sockets, depth)
        return made or self._speaker.exchange(self, sockets[0])

    def _one(self, sockets: list[str], depth: int) -> list[Step]:
        chance = self.chance
        on = chance.choice(sockets)
        if depth < 2 and chance.random() < 0.35:
            return self._nested(sockets, depth)
        if chance.random() < 0.15:
            return self._speaker.exchange(
                self, sockets if depth else chance.choice(("all", sockets))
            )
        if depth == 0 and chance.random() < 0.2:
            return self._speaker.turn(self, on)
        if chance.random() < 0.1:
            return [{"wait": chance.choice(("500us", "2ms"))}]
        if depth == 0 and not self.lying and chance.random() < 0.05:
            return [{"barrier": self.word()}]
        return self._speaker.exchange(self, on)

    def _nested(self, sockets: list[str], depth: int) -> list[Step]:
        forms = [self._repeat, self._for, self._transaction, self._duplex, self._call]
        if len(sockets) > 1:
            forms += [self._together, self._together]
            forms += [self._background] if depth == 0 else []
        return self.chance.choice(forms)(sockets, depth)

    def _repeat(self, sockets: list[str], depth: int) -> list[Step]:
        number = self.chance.randint(1, 3)
        with self.times(number):
            return [{"repeat": number, "do": self._some(sockets, depth + 1)}]

    def _for(self, sockets: list[str], depth: int) -> list[Step]:
        values, name = [f"i{one}" for one in range(self.chance.randint(1, 3))], self.name()
        with self.times(len(values)):
            return [{"for": {name: values}, "do": self._some(sockets, depth + 1)}]

    def _transaction(self, sockets: list[str], depth: int) -> list[Step]:
        return [{"transaction": f"t{self.word()}", "do": self._some(sockets, depth + 1)}]

    def _call(self, sockets: list[str], depth: int) -> list[Step]:
        """The same by a function, which is written when the scenario is."""
        return [{"call": f"f{self.word()}", "do": self._some(sockets, depth + 1)}]

    def _together(self, sockets: list[str], depth: int) -> list[Step]:
        mixed = self.chance.sample(sockets, len(sockets))
        cut = self.chance.randint(1, len(mixed) - 1)
        return [{"together": [self._some(part, depth + 1) for part in (mixed[:cut], mixed[cut:])]}]

    def _duplex(self, sockets: list[str], depth: int) -> list[Step]:
        on = self.chance.choice(sockets)
        sends, expects = self._speaker.duplex(self, on)
        if not sends:
            return []
        branches = [sends, expects]
        if self.chance.random() < 0.4:
            branches.reverse()
        others = [one for one in sockets if one != on]
        if others and self.chance.random() < 0.4:
            branches.append(self._some(others, depth + 1))
        return [{"together": branches}]

    def _background(self, sockets: list[str], depth: int) -> list[Step]:
        on = self.chance.choice(sockets)
        before = self.requests, self.replies
        self.apart = False
        beat = self._speaker.exchange(self, on)
        self.apart = True
        self.requests, self.replies = before
        self.exact = False
        if self.chance.random() < 0.5:
            beat.append({"wait": "1ms"})
        branch = self._some([one for one in sockets if one != on], depth + 1)
        return [{"together": [branch, {"background": beat}]}]
