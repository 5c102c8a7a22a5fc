"""A test is got ready before it starts, on the master or alone: `pending` is what waits to start.

What cannot work is refused here, with a reason: once a test has started, Locust has said yes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import gevent
from gevent.lock import BoundedSemaphore

from loadmux.errors import LoadmuxError, UsageError
from loadmux.locust.described import Described
from loadmux.locust.guarding import Choices
from loadmux.locust.here import Here
from loadmux.locust.preparation import (
    OWN,
    Choice,
    Followed,
    Preparation,
    choice_from,
    load_all,
    located,
)
from loadmux.locust.shape import Phases

RUNNING = "a test is running"
EDITED_BY_A_START = tuple(one.name for one in fields(Choice) if one.name != "users")


def same(one: object, other: object) -> bool:
    """Whether two words of a choice mean the same: a path may be written in several ways."""
    texts = isinstance(one, str) and isinstance(other, str)
    return one == other or (texts and Path(str(one)).resolve() == Path(str(other)).resolve())


def shown(word: object) -> str:
    return OWN if word is None else repr(word)


class Readying:
    """See the module."""

    def __init__(self, here: Here) -> None:
        self.here = here
        self.pending: Preparation | None = None
        self.choices = Choices(())
        self._preparing = BoundedSemaphore()

    def look_ahead(self) -> None:
        """Read the scenarios; get a test ready that begins by itself. Raises LoadmuxError.

        Locust counts the run time from here on, and by a clock that stands still while nothing
        gives way: what getting ready took would be missing from the test.
        """
        self.choices = Choices(self._named())
        if self.here.options.get("run_time") == 0:
            raise UsageError("--run-time: it must be more than zero")
        if self.here.options.get("headless") or self.here.options.get("autostart"):
            choice = self.choice()
            self.prepare(choice, users=choice.users)
        else:
            classes = self.here.classes()
            load_all(classes, self.choice(), self._followed(classes))
        gevent.get_hub().loop.update_now()

    def _named(self) -> Iterator[str]:
        """The scenarios that the command line and the locustfile name."""
        yield from self.here.options.get("scenarios") or ()
        if (chosen := self.here.options.get("scenario")) is not None:
            yield chosen
        for one in self.here.every():
            if one.scenario is not None:
                yield one.scenario
            yield from one.offered()

    def own_files(self) -> Iterator[str]:
        """The files of the scenarios that the locustfile names."""
        for one in self.here.every():
            for name in [*([one.scenario] if one.scenario else []), *one.offered()]:
                with suppress(LoadmuxError):
                    yield str(located(name, one))

    def choice(self, form: Mapping[str, Any] | None = None) -> Choice:
        """What is chosen now: the options, and what a start form says instead."""
        form = form or {}
        host = form.get("host", self.here.environment.host)
        return choice_from({**self.here.options, **form}, self._own(host))

    def _own(self, host: str | None) -> str | None:
        """Locust's host, unless it belongs to plain Locust users that run beside ours."""
        alone = len(self.here.classes()) == len(self.here.environment.user_classes)
        return None if not alone and (host or "").startswith("http") else host

    def prepare(
        self,
        choice: Choice,
        classes: Sequence[type[Described]] | None = None,
        users: int | None = None,
    ) -> None:
        """Get a test of the classes ready before it starts. Raises LoadmuxError.

        `users` are those of the command line: a form has some whatever the scenario's phases say.
        """
        classes = self.here.classes() if classes is None else classes
        with self._preparing:  # while a target starts, others have their turn
            self.discard()
            pollers = {one.__name__: one.poller for one in classes}
            scenarios = load_all(classes, choice, self._followed(classes, users))
            self.pending = Preparation(scenarios, pollers, choice)
            self._shape(self.pending)

    def _followed(
        self, classes: Sequence[type[Described]], users: int | None = None
    ) -> Followed | None:
        """Phases can be followed where one class has the test, and its shape, for itself."""
        environment = self.here.environment
        others = len(environment.user_classes) - len(self.here.classes())
        picker = environment.web_ui is not None and environment.web_ui.userclass_picker_is_active
        own = environment.shape_class is None or isinstance(environment.shape_class, Phases)
        return Followed(users) if len(classes) == 1 and not others and own and not picker else None

    def _shape(self, ready: Preparation) -> None:
        environment = self.here.environment
        if ready.phased is not None:
            environment.shape_class = Phases(ready.phased)
            environment.shape_class.runner = environment.runner
        elif isinstance(environment.shape_class, Phases):
            environment.shape_class = None

    def prepare_start(
        self, choice: Choice, classes: Sequence[type[Described]] | None = None
    ) -> None:
        """As `prepare`, where Locust would say yes and start nothing. Raises LoadmuxError."""
        if self.here.stopping:
            raise UsageError("the last test has not quite stopped yet: try again in a moment")
        if self._preparing.locked():
            raise UsageError("another test is being started")
        clients = self.here.runner.clients if self.here.is_master else None
        if clients is not None and not (clients.ready or clients.spawning or clients.running):
            raise UsageError("no worker is connected to this master")
        self.prepare(choice, classes)

    def check_edit(self, choice: Choice, classes: Sequence[type[Described]] | None = None) -> None:
        """What is asked of a test that runs: users and their rate. Raises UsageError for more."""
        running = self.here.preparation
        if running is None:
            return
        if classes is not None and {one.__name__ for one in classes} != {*running.parts}:
            raise UsageError(f"{RUNNING}: stop it first, then start one with other classes")
        for name in EDITED_BY_A_START:
            now, asked = getattr(running.choice, name), getattr(choice, name)
            if not same(now, asked):
                raise UsageError(
                    f"{RUNNING}, with {name} {shown(now)}: only its users and their rate can be"
                    f" edited; stop it first, then start one with {shown(asked)}"
                )
        if running.phased is not None:
            raise UsageError(
                f"{RUNNING} whose users follow the scenario's phases: they cannot be edited"
            )
        if choice.users is not None:
            running.check_users(choice.users)

    def discard(self) -> None:
        if self.pending is not None:
            self.pending.close()
            self.pending = None

    def take(self) -> Preparation:
        """What is ready, got ready now if need be; it is the caller's. Raises LoadmuxError."""
        if self.pending is None:
            self.prepare(self.choice())
        ready, self.pending = self.pending, None
        assert ready is not None
        return ready
