"""What a class of a locustfile says of its scenario; what its users do stands in `user`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import locust

from loadmux.running.catalog import scenarios


class Described(locust.User):
    """A Locust user class that names a scenario; what the words mean stands in `ScenarioUser`."""

    abstract = True
    scenario: ClassVar[str | None] = None
    target: ClassVar[str | None] = None
    reply: ClassVar[str | None] = None
    poller: ClassVar[str | None] = None
    request_events: ClassVar[str] = "failures"
    own_host: ClassVar[str | None] = None
    """`host` as the locustfile has it: Locust writes the form's over it, for good."""

    @classmethod
    def offered(cls) -> list[str]:
        """Scenarios that the start form offers beside the class's own."""
        return list(scenarios())


def concrete(of: type[Described]) -> Iterator[type[Described]]:
    """The classes below one that have users."""
    for one in of.__subclasses__():
        if not one.abstract:
            yield one
        yield from concrete(one)
