"""What the conversations of mixtures have in common: both sides of a protocol in one class."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from mixture_server import LIES, TARGETS, Answer, Manner, Told
from mixture_steps import On, Step, Steps


class Conversation:
    """`lie` is what the server is going to do, or empty: then a reply is expected in forms that
    nothing else fits.
    """

    schemes: Sequence[str] = ("tcp", "tcp", "tcp", "tls", "unix")
    lies: Sequence[str] = tuple(LIES)
    junk = b"JUNK"
    sips: Sequence[int] = (3, 7, 2048)
    """Bytes that a slow reader may take at a time."""
    counted = True
    """Whether its requests can be told apart."""
    may_end = False
    """Whether the server may end a connection while nothing is owed."""
    grouped = True
    """Whether several sockets may be one group."""

    def __init__(self, chance: random.Random, lie: str) -> None:
        self.chance, self.lie = chance, lie

    # --- the server's side ---

    def settle(self, manner: Manner) -> None:
        """Bring the manner in which it is spoken in line with what is spoken."""
        if self.lie == "stray" and manner.scheme == "tls":
            manner.scheme = "tcp"

    def greeting(self) -> list[Answer]:
        return []

    def counts(self, request: bytes) -> bool:
        return True

    def hears(self, heard: bytes) -> tuple[bytes, bytes] | None:
        raise NotImplementedError

    def answers(self, request: bytes, chance: random.Random) -> list[Answer]:
        raise NotImplementedError

    def called(self, told: Told) -> set[str]:
        """What this lie may be called here, where that is not what it is called elsewhere."""
        return set()

    # --- the client's side ---

    def target(self, url: str) -> Any:
        return url

    def options(self, scheme: str) -> dict[str, Any]:
        return self.tls() if scheme == "tls" else {}

    def tls(self) -> dict[str, Any]:
        trusted = {"ca": str(TARGETS / "localhost-testing-ca.pem"), "server_name": "localhost"}
        return {"tls": self.chance.choice(({"verify": False}, trusted))}

    def exchange(self, steps: Steps, on: On) -> list[Step]:
        raise NotImplementedError

    def duplex(self, steps: Steps, on: str) -> tuple[list[Step], list[Step]]:
        return [], []

    def turn(self, steps: Steps, on: str) -> list[Step]:
        return [{"close": on}]
