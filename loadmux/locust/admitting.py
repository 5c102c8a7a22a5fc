"""Which workers a master believes, and which master a worker.

Locust's master takes everybody for a worker of its test who reaches its port, and believes what a
message says of who sent it. Here each message has to come from the worker that it names. Where both
sides were started together (`--processes`), or were given a word (`--worker-key`), they have a key,
and who lacks it takes no part: a worker of another run whose master's port was taken over, say. A
worker says its key (`HELLO`) as soon as it can; until then its word that it is ready is kept back.
What is told of another test than the one that runs (by a worker that was held up) counts nowhere.

The key travels in clear text: it keeps runs apart, and is no protection against who can listen.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from typing import Any

import gevent
from locust.rpc import Message
from locust.runners import STATE_MISSING

from loadmux.locust.here import Here
from loadmux.locust.job import JOB

logger = logging.getLogger("loadmux")

HELLO = "loadmux_hello"
READY = "client_ready"
MOST_TOLD = 100
SPAWNED = frozenset({"spawning", "spawning_complete"})
ANYBODY = frozenset({READY, "locustfile", "heartbeat", "quit", "client_stopped"})
"""What Locust itself has an answer to, whoever sends it."""


@cache
def family() -> str:
    """A key of this process and of those that it forks: made when first asked for."""
    return secrets.token_hex(16)


def proof(key: str | None) -> str:
    """What a master shows to a worker that has a key."""
    return "" if key is None else sha256(f"master {key}".encode()).hexdigest()


class Gate:
    """A master's: what a message has to pass before Locust's own runner hears it."""

    def __init__(self, here: Here, key: str | None) -> None:
        self._here = here
        self._key = key
        self._ready: dict[str, Any] = {}
        self._let_in: set[str] = set()
        self._told: set[str] = set()
        self._pass: Callable[[str, Message], None] = here.runner.handle_message
        for client in here.runner.clients if key is not None else ():
            self._ready[client] = Message(READY, -1, client)
            del here.runner.clients[client]
        here.runner.handle_message = self.handle

    def handle(self, client: str, message: Message) -> None:
        """Takes the place of the runner's own `handle_message`."""
        if message.node_id != client:
            self._refuse(client, f"it speaks for {message.node_id!r}")
        elif message.type == HELLO:
            self._hello(client, message.data)
        elif message.type == READY and not self._known(client):
            self._ready[client] = message
            self._here.runner.send_message("ack", client_id=client, data={"index": -1})
        elif self._heard(client, message):
            self._pass(client, message)

    def _known(self, client: str) -> bool:
        return self._key is None or client in self._let_in

    def _hello(self, client: str, data: Any) -> None:
        if self._key is not None and data != {"key": self._key}:
            self._refuse(
                client, "it is of another run: it lacks the key of this one (--worker-key)"
            )
            self._here.runner.send_message("quit", client_id=client)
            return
        self._let_in.add(client)
        if (ready := self._ready.pop(client, None)) is not None:
            self._pass(client, ready)

    def _heard(self, client: str, message: Message) -> bool:
        kind: str = message.type
        if not self._known(client):
            return kind == "locustfile"
        if kind in SPAWNED:
            # Locust would take it for one that works, and leave it out of what it sends: by its
            # next heartbeat it comes back whole.
            node = self._here.runner.clients.get(client)
            return node is None or node.state != STATE_MISSING
        if kind in ANYBODY:
            return True
        tally = self._here.tally
        if client not in self._here.runner.clients and not (tally and client in tally.workers):
            self._refuse(client, "it has not said that it is ready")
            return False
        return not (kind == "stats" and self._late(message.data))

    def _late(self, data: Any) -> bool:
        """Whether these are figures of another test."""
        told = data.get("loadmux") if isinstance(data, dict) else None
        return isinstance(told, dict) and told.get("run", self._here.run) != self._here.run

    def _refuse(self, client: str, why: str) -> None:
        if client not in self._told and len(self._told) < MOST_TOLD:
            self._told.add(client)
            logger.warning("not heard: %s: %s", client, why)


class WorkersGate:
    """A worker's that has a key: it starts nothing for a master that does not show the same one."""

    def __init__(self, here: Here, key: str) -> None:
        self._here = here
        self._proof = proof(key)
        self._pass: Callable[[Message], None] = here.runner.handle_message
        here.runner.handle_message = self.handle

    def handle(self, message: Message) -> None:
        """Takes the place of the runner's own `handle_message`."""
        if message.type == "spawn" and self._shown(message.data) != self._proof:
            logger.error("the master is of another run: it lacks the key of this worker's")
            gevent.spawn(self._here.runner.quit)
        else:
            self._pass(message)

    def _shown(self, data: Any) -> object:
        job = data["parsed_options"].get(JOB)
        return job.get("key") if isinstance(job, dict) else None
