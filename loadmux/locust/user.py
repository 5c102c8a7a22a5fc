"""The User class that carries out a scenario file: three lines make a locustfile.

Locust starts, counts and stops its users as ever (spawn rate, edits while running, custom shapes,
rebalancing); what they do is the driver's business. That takes two public methods of `User`,
`start` and `stop`: no greenlet is made, the group gets a `ParkedUser` instead.
"""

from __future__ import annotations

from typing import Any, cast

import locust
from gevent.pool import Group
from locust.user.task import LOCUST_STATE_RUNNING, LOCUST_STATE_STOPPING

from loadmux.locust.described import Described
from loadmux.locust.events import register
from loadmux.locust.plugin import of


def carry_out(user: locust.User) -> None:
    """What Locust shows as the users' task; it is the driver that carries out the scenario."""


class ScenarioUser(Described):
    """Base of a class whose users carry out a scenario.

    `scenario` is a scenario file's path (from the current folder, or from that of the locustfile)
    or a bundled scenario's name. `target` (a bundled model or a URL), `reply` and `poller` are as
    the options of `loadmux run`; so is `host`, when it is a URL such as tcp://127.0.0.1:6379.

    `request_events` says for what `events.request` fires, beside the statistics, which are always
    complete: "failures", "all" (slow: for other tools that listen), or "none".
    """

    abstract = True
    tasks = [carry_out]  # noqa: RUF012 (Locust looks for it)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.own_host = cls.host
        register(locust.events)

    def start(self, group: Group) -> Any:
        """Add a user to the group, and to the driver; Locust's greenlet is a `ParkedUser`."""
        self._group = group
        parked = of(self.environment).park(self)
        self._greenlet = cast(Any, parked)
        if parked is not None:
            self._state = LOCUST_STATE_RUNNING
            group.add(parked)
        return parked

    def stop(self, force: bool = False) -> bool:
        """End the user: after its iteration (false is returned), or with `force` at once."""
        parked = cast(Any, self._greenlet)
        if force or parked.done:
            self._group.killone(parked)
            return True
        self._state = LOCUST_STATE_STOPPING
        parked.leave()
        return False
