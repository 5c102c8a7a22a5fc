"""The master's view of its workers in a test: who comes, who goes, and which users each one has.

Locust's dispatcher of users is told of every worker that comes, goes, falls silent or is heard
again; its public class is replaced by one that passes this on.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any

from locust.dispatch import UsersDispatcher
from locust.env import Environment
from locust.runners import STATE_MISSING

from loadmux.errors import UsageError
from loadmux.locust.dividing import Dividing
from loadmux.locust.failing import Failures
from loadmux.locust.here import Here
from loadmux.locust.numbering import MESSAGE, Ledger, room
from loadmux.running.generators.barriers import Blocked
from loadmux.running.state import Part

MOST_ASKED = 100_000
"""Numbers that are given for one message: more users no worker has."""

logger = logging.getLogger("loadmux")


class Members:
    """See the module."""

    def __init__(self, here: Here, failures: Failures) -> None:
        self.here = here
        self.failures = failures
        self.dividing = Dividing(here)
        self._ledgers: dict[str, Ledger] = {}
        self._expected: dict[str, Mapping[str, int]] = {}
        self._wanted: dict[str, Mapping[str, int]] = {}
        self._opened: Counter[tuple[str, str]] = Counter()

    def begin(self) -> None:
        """A test starts: nobody has a number."""
        self._expected, self._wanted = {}, {}
        self._opened.clear()
        self._ledgers = {name: Ledger(room(part.scenario)) for name, part in self._parts().items()}

    def dispatcher(self, base: Any) -> Any:
        """A class of dispatchers that tells us what Locust tells it."""
        members = self

        class Dispatcher(base):  # type: ignore[misc]
            def __init__(self, worker_nodes: Any, *words: Any, **more: Any) -> None:
                super().__init__(worker_nodes, *words, **more)
                for node in worker_nodes:
                    members.came(node.id)

            def new_dispatch(self, target_user_count: int, *words: Any, **more: Any) -> None:
                members.check(target_user_count)
                super().new_dispatch(target_user_count, *words, **more)

            def __next__(self) -> Any:
                try:
                    dispatched = super().__next__()
                except StopIteration:
                    # Locust forgets it after it has moved users to another worker, and then moves
                    # those of the next one that leaves to nobody.
                    self._dispatch_in_progress = False
                    raise
                members.expect(dispatched)
                return dispatched

            def add_worker(self, worker_node: Any) -> None:
                members.came(worker_node.id)
                super().add_worker(worker_node)

            def remove_worker(self, worker_node: Any) -> None:
                super().remove_worker(worker_node)
                members.went(worker_node.id)

        assert issubclass(Dispatcher, UsersDispatcher)
        return Dispatcher

    def check(self, users: int) -> None:
        """A shape, or a key of the terminal, may ask for more users than there is room for."""
        try:
            if self.here.preparation is not None:
                self.here.preparation.check_users(users)
        except UsageError as error:
            self.failures.give_up(str(error))

    def expect(self, dispatched: Mapping[str, Mapping[str, int]]) -> None:
        """Locust has sent these users to the workers: who has not heard of it waits for nobody."""
        self._expected = {worker: dict(users) for worker, users in dispatched.items()}

    def came(self, client: str) -> None:
        """A worker takes part from now on, or is heard again: some of its numbers may be gone."""
        revoked = {name: ledger.find(client) for name, ledger in self._ledgers.items()}
        if any(revoked.values()):
            self._say(client, {"revoke": revoked})
        self._give()
        self.dividing.came(client)

    def _heard_of(self, client: str) -> None:
        """Locust lists it as one that works: then it is none that is lost."""
        lost = any(ledger.has_lost(client) for ledger in self._ledgers.values())
        if lost and self.here.runner.clients[client].state != STATE_MISSING:
            self.came(client)

    def went(self, client: str) -> None:
        for ledger in self._ledgers.values():
            ledger.lose(client)
        self._expected.pop(client, None)
        self._give()
        self._open()
        self.dividing.went(client)

    def hear(self, environment: Environment, msg: Any, **_: Any) -> None:
        """A worker asks for numbers, and gives others back."""
        told = msg.data
        if told["run"] != self.here.run or msg.node_id not in self.here.runner.clients:
            return
        self._heard_of(msg.node_id)
        for name, ledger in self._ledgers.items():
            ledger.take_back(msg.node_id, told["back"].get(name, ()))
            ledger.ask(msg.node_id, min(told["ask"].get(name, 0), MOST_ASKED))
        self._give()
        if "meet" in told:
            self._wanted[msg.node_id] = told["wanted"]
            for name, (waits, opened) in told["meet"].items():
                barriers = self._parts()[name].barriers
                # What it said before it heard of the last opening is no word about the next one.
                now = waits if opened == self._opened[msg.node_id, name] else None
                barriers.hear(msg.node_id, Blocked(now, barriers.opened))
            self._open()

    def _parts(self) -> Mapping[str, Part]:
        return {} if self.here.preparation is None else self.here.preparation.parts

    def _open(self) -> None:
        """Open the barriers at which all users wait, when every worker has all that it is to have.

        Of what a worker was sent last it may not know yet.
        """
        for name, part in self._parts().items():
            wanted = {who: users.get(name, 0) for who, users in self._wanted.items()}
            if any(wanted.get(who) != users.get(name, 0) for who, users in self._expected.items()):
                continue
            barrier = part.barriers.decide(list(self._expected))
            for client in self._expected if barrier is not None else ():
                self._opened[client, name] += 1
                self._say(client, {"open": {name: barrier}})

    def _give(self) -> None:
        given: dict[str, dict[str, Any]] = {}
        for name, ledger in self._ledgers.items():
            for client, numbers in ledger.give().items():
                given.setdefault(client, {})[name] = numbers
        for client, numbers_of in given.items():
            self._say(client, {"give": numbers_of})

    def _say(self, client: str, what: Mapping[str, Any]) -> None:
        self.here.runner.send_message(MESSAGE, {"run": self.here.run, **what}, client_id=client)
