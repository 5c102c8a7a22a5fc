"""The step `start_tls`: TLS on a connection that is open, with the options of its socket."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass

from loadmux.driver.upgrading import start_tls
from loadmux.driver.user import VirtualUser
from loadmux.errors import ScriptFailed
from loadmux.measuring.recorder import Recorder
from loadmux.running.steps.connecting import opened
from loadmux.running.steps.place import Place

Upgrade = tuple[ssl.SSLContext, str | None]
"""How a socket speaks TLS, and the name that its server must have."""


@dataclass(slots=True)
class StartTls:
    """`timeout` is in seconds; `how` tells of a socket, by its place, how it speaks TLS."""

    name: str
    sockets: tuple[int, ...]
    timeout: float
    record: Recorder
    how: Callable[[int], Upgrade]
    place: Place

    async def run(self, user: VirtualUser) -> None:
        for index, connection in zip(self.sockets, await opened(user, self.sockets), strict=True):
            if connection.tls is not None:
                text = f"'start_tls': TLS has begun on the socket {connection.name!r} already"
                raise ScriptFailed(f"{self.place.where.path}:{self.place.where.line}", text)
            context, name = self.how(index)
            self.record(await start_tls(user, connection, context, name, self.timeout))
        await user.give_way()
