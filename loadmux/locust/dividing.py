"""Who makes which starts of an open load: on the master, which knows who is there.

Start `n` belongs to the worker whose place is `n` modulo their number. When one comes, goes or is
not heard of any more, the rest is divided anew from a moment on that is a little ahead, so that all
have heard of it by then: whoever leaves in order goes on until that moment, and no start is lost. A
worker that dies has made none since, and told none of its last seconds: how many starts are in no
figures is told (`tally`).
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from loadmux.driver.crowd import Division
from loadmux.locust.here import Here
from loadmux.locust.shape import Phases

DIVIDE = "loadmux_divide"
MARGIN = 1.0
"""Seconds from the word to the moment for which it holds."""


class Dividing:
    """See the module."""

    def __init__(self, here: Here) -> None:
        self.here = here
        self._began = 0.0
        self._sharing: set[str] = set()
        self._known: set[str] = set()

    def begin(self, workers: Iterable[str]) -> None:
        """A test starts, with these workers: the job tells them their places."""
        self._began = time.monotonic()
        self._sharing = {*workers}
        self._known = {*workers}

    def hear(self, environment: Any, msg: Any, **_: Any) -> None:
        """A worker that came late asks for its share, or one that leaves gives it back."""
        if msg.data["run"] != self.here.run or msg.node_id not in self.here.runner.clients:
            return
        if msg.data["leaves"]:
            self._known.discard(msg.node_id)
            self._sharing.discard(msg.node_id)
        else:
            self._known.add(msg.node_id)
            self._sharing.add(msg.node_id)
        self._divide()

    def came(self, client: str) -> None:
        """A worker is there, or is heard again; a new one asks when it is ready."""
        if client in self._known and client not in self._sharing:
            self._sharing.add(client)
            self._divide()
        self._dispatch_anew()

    def went(self, client: str) -> None:
        if client in self._sharing:
            self._sharing.discard(client)
            self._divide()
        self._dispatch_anew()

    def _dispatch_anew(self) -> None:
        if isinstance(self.here.environment.shape_class, Phases):
            self.here.environment.shape_class.anew()

    def _divide(self) -> None:
        if not self._sharing or not isinstance(self.here.environment.shape_class, Phases):
            return
        elapsed = time.monotonic() - self._began
        places = {client: place for place, client in enumerate(sorted(self._sharing))}
        told = {"run": self.here.run, "elapsed": elapsed, "at": elapsed + MARGIN, "of": len(places)}
        for client in [*self.here.runner.clients]:
            message = {**told, "place": places.get(client)}
            self.here.runner.send_message(DIVIDE, message, client_id=client)


def division_from(told: Any) -> Division:
    """What a worker was told. Raises ValueError, TypeError or LookupError for anything else."""
    place, of = told["place"], int(told["of"])
    if of < 1 or not (place is None or 0 <= place < of):
        raise ValueError(f"place {place!r} of {of}")
    return Division(float(told["at"]), place, of)
