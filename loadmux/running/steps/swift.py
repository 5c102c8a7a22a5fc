"""A reply that is not known beforehand, but may be judged in one go where it comes in one piece.

It takes the same short way as an exact reply: what one read brings is matched, or fed to a verifier
that is thrown away if that is not the whole reply; then the careful way begins anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from loadmux.checking.verifying import Verifier
from loadmux.driver.awaiting import Awaited
from loadmux.driver.connection import Plan
from loadmux.driver.user import VirtualUser
from loadmux.measuring.recorder import Recorder

MOST = 4096
"""Bytes of such a reply; a read of more costs more, whatever comes."""

Match = Callable[[bytes], Mapping[str, bytes] | None]
"""The names that a whole right reply gives to parts of itself; None where it is none."""


class _Unknown(bytes):
    """Equal to nothing that can come."""

    def __eq__(self, other: object) -> bool:
        return False

    def __hash__(self) -> int:
        return 0


UNKNOWN = _Unknown()


class Swift(Plan):
    """`judge` makes the verifier; `match`, if there is one, is asked first. `save` names all.

    `sent` is the size of the message in bytes.
    """

    __slots__ = ("_came", "_match", "_save", "_sent", "_user")

    swift: ClassVar[bool] = True

    def __init__(
        self,
        user: VirtualUser,
        judge: Callable[[], Verifier],
        recorder: Recorder,
        sent: int,
        timeout: float,
        context: object,
        match: Match | None,
        save: str | None,
        bounded: bool,
    ) -> None:
        super().__init__(UNKNOWN, judge, recorder, self._record, timeout, context, bounded)
        self.size = MOST
        self._sent, self._came = sent, 0
        self._match = match
        self._save = save
        self._user = user

    def fits(self, data: bytes | None) -> bool:
        if not data or len(data) >= MOST:
            return False
        self._came = len(data)
        names = None if self._match is None else self._match(data)
        if names is not None:
            for name, value in names.items():
                self._user.set(name, value)
            return True
        verifier = self.judge()
        if verifier.take(data) or not verifier.done or verifier.closes or verifier.answer():
            return False
        if verifier.aside:
            self._user.passed_over(verifier.aside)
        self.settled(verifier)
        return True

    def _record(self, seconds: float) -> None:
        self.recorder.sized(self._sent, self._came)(seconds)

    def over(self, awaited: Awaited) -> None:
        self.settled(awaited.verifier)
        super().over(awaited)

    def settled(self, verifier: Verifier) -> None:
        """Give names to parts of a right reply."""
        if self._save is not None:
            self._user.set(self._save, verifier.kept())
        for name, value in verifier.captured().items():
            self._user.set(name, value)
