"""Makes the shapes by which stray replies are recognized, from the texts of a scenario.

See `checking.recognition`. A name that comes again in a text must have the same value again; where
too much of a text may be anything, there is no shape.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence

from loadmux.checking.recognition import BACK, LONGEST, Opened, Owner, Shape, chained, whole
from loadmux.plugins.formulas import Formula, Variable
from loadmux.plugins.payloads import Data, Joined, Payload, Random, Repeated, Text

LONGEST_COPY = 16
NUMBER = rb"0|[1-9][0-9]{0,17}"
UUID = rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

Fold = Callable[[Text], Sequence[bytes | Variable | Formula]]
"""The parts of a text, constants put in."""


class Shapes:
    """Makes the shapes of a scenario's replies. `column` gives the owner of a feeder's value."""

    def __init__(
        self, fold: Fold, column: Callable[[str], Owner | None], sockets: Collection[str]
    ) -> None:
        self._fold = fold
        self._column = column
        self._sockets = sockets

    def shape(
        self, payload: Payload | None, sent: Payload | None = None, opened: Opened | None = None,
        any_case: bool = False,
    ) -> Shape | None:  # fmt: skip
        """The shape of a reply; None where it says nothing of anybody."""
        making = _Making(self._fold, self._column, self._sockets, sent)
        source = None if payload is None else making.of(payload)
        if source is None or not making.tells or making.open_parts >= len(LONGEST):
            return None
        pattern = re.compile(source, re.DOTALL | (re.IGNORECASE if any_case else 0))
        longest = LONGEST[making.open_parts]
        return Shape(pattern, opened or whole, making.owners, self._sockets, longest)

    def by_rule(
        self, rule: str, sent: Payload | None, opened: Opened | None = None
    ) -> Shape | None:
        """The shape of what a rule makes of `sent`, within a frame if `opened` takes one off."""
        back = BACK.get(rule)
        if back is None:
            return None
        both = back if opened is None else chained(opened, back)
        return self.shape(sent, None, both, any_case=rule in ("upper", "upper_sb"))


class _Making:
    """Makes one pattern; a name that comes again must have the same value again."""

    def __init__(
        self,
        fold: Fold,
        column: Callable[[str], Owner | None],
        sockets: Collection[str],
        sent: Payload | None,
    ) -> None:
        self._fold = fold
        self._column = column
        self._sent = sent
        self._known: dict[str, str] = {}
        names = sorted((re.escape(name.encode()) for name in sockets), key=len, reverse=True)
        self._named = {"user": NUMBER, "iteration": NUMBER, "socket": b"|".join(names)}
        self.owners: dict[str, Owner] = {}
        self.open_parts = 0
        self.tells = False

    def of(self, payload: Payload) -> bytes | None:
        match payload:
            case Data(data=data):
                return re.escape(data)
            case Text():
                return self._joined([self._part(part) for part in self._fold(payload)])
            case Joined(payloads=parts):
                return self._joined([self.of(part) for part in parts])
            case Repeated(payload=inner, times=times) if times <= LONGEST_COPY:
                return self._joined([self.of(inner) for _ in range(times)])
            case Random(size=size):
                return b".{%d}" % size
        return None

    @staticmethod
    def _joined(parts: Sequence[bytes | None]) -> bytes | None:
        known = [part for part in parts if part is not None]
        return b"".join(known) if len(known) == len(parts) else None

    def _part(self, part: bytes | Variable | Formula) -> bytes | None:
        if isinstance(part, bytes):
            return re.escape(part)
        if isinstance(part, Formula):
            self.open_parts += 1
            return self._group(f"open{len(self._known)}", "", b".*?")
        name = part.name
        if name == "sent":
            sent, self._sent = self._sent, None
            return None if sent is None else self.of(sent)
        if name == "uuid":
            self.tells = True
            return self._group(f"uuid{len(self._known)}", "", UUID)
        if name in self._known:
            return b"(?P=%s)" % self._known[name].encode()
        if name in self._named:
            self.tells = True
            return self._group(name, name, self._named[name])
        owner = self._column(name) if "." in name else None
        self.open_parts += 1
        group = f"{'row' if owner else 'open'}{len(self._known)}"
        if owner is not None:
            self.tells = True
            self.owners[group] = owner
        return self._group(group, name, b".*?")

    def _group(self, group: str, name: str, pattern: bytes) -> bytes:
        self._known[name or group] = group
        return b"(?P<%s>%s)" % (group.encode(), pattern)
