"""What may come at any time on a socket, compiled: judged, counted, answered (`AnyTime`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

from loadmux.checking.headed import AnyJudge
from loadmux.driver.loop import Task
from loadmux.driver.user import VirtualUser
from loadmux.running.steps.made import Made
from loadmux.running.steps.messages import Render


class Unexpected:
    """What one socket's `ignore` and `answer` say.

    `sends[i]` answers what `makers[i]` judges right, None where nothing does. `constant` are the
    judges where they are always the same.
    """

    def __init__(
        self,
        makers: Sequence[Made[AnyJudge]],
        sends: Sequence[Render | None],
        count: Callable[[], None],
    ) -> None:
        self._makers = makers
        self._sends = sends
        self._count = count
        known = [one.constant for one in makers if one.constant is not None]
        self.constant = known if len(known) == len(makers) else None

    def judges(self, task: Task, socket: str) -> Sequence[AnyJudge]:
        if self.constant is not None:
            return self.constant
        return [one.make(cast(VirtualUser, task), socket, b"") for one in self._makers]

    def taken(self, task: Task, socket: str, which: int, names: Mapping[str, bytes]) -> bytes:
        """What is sent for it. Raises DriverFault where a name has no value."""
        user, send = cast(VirtualUser, task), self._sends[which]
        self._count()
        for name, value in names.items():
            user.set(name, value)
        return b"" if send is None else send(user, socket, b"")
