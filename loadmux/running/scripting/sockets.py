"""The sockets of a user, as the author's code sees them: each step of YAML is a method here."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from loadmux.running.scripting.iteration import Iteration

Payload = str | bytes | Mapping[str, Any]
"""A text (sent as it is, UTF-8), bytes, or one of the language's forms: `{"random": 64}`."""

Reply = str | bytes | Mapping[str, Any] | Sequence[Any]
"""`"reply"`, `"closed"`, a text or bytes (exactly these), or a form such as `{"length": 4}`."""


PLAIN = (str, bytes)


class Sockets:
    """One socket of a user, or several: then a send goes out on each before a reply is awaited.

    `name` is the row in the report (`exchange SOCKET` where none is given), `within` a time-out
    of the step's own; `pieces` and `gap` are as in YAML. Times are in seconds, or texts as in YAML.
    """

    __slots__ = ("_iteration", "_names")

    def __init__(self, iteration: Iteration, names: tuple[str, ...]) -> None:
        self._iteration = iteration
        self._names = names

    def exchange(
        self,
        payload: Payload,
        expect: Reply = "reply",
        *,
        name: str | None = None,
        within: float | str | None = None,
        pieces: Any = None,
        gap: float | str | None = None,
    ) -> Coroutine[Any, Any, bytes]:
        """Send and await the checked reply; its bytes (the last socket's, if there are several).

        Those of `{"frame": ...}` are the frame's body.
        """
        iteration = self._iteration
        whole = pieces is None and gap is None
        if whole and isinstance(payload, str | bytes) and isinstance(expect, str | bytes):
            library, names = iteration.library, self._names
            ready = library.saying(iteration.task, names, payload, expect, name, within)
            if ready is not None:
                iteration.unawaited += 1
                return iteration.perform(ready)
        words = {"name": name, "within": within, "pieces": pieces, "gap": gap}
        return self._do("exchange", send=payload, expect=expect, **words)

    def send(
        self,
        payload: Payload,
        *,
        name: str | None = None,
        within: float | str | None = None,
        pieces: Any = None,
        gap: float | str | None = None,
        until: str | None = None,
        at_most: int | str | None = None,
        oneway: bool | None = None,
    ) -> Coroutine[Any, Any, bytes]:
        """Send only: ends when the kernel took every byte; with `until="full"`, when it takes
        nothing more of it, or took `at_most` bytes. `oneway`: no `expect` answers it.
        """
        words = {"name": name, "within": within, "pieces": pieces, "gap": gap, "until": until}
        words |= {"at_most": at_most, "oneway": oneway}
        return self._do("exchange", send=payload, expect=None, **words)

    def expect(
        self, reply: Reply = "reply", *, name: str | None = None, within: float | str | None = None
    ) -> Coroutine[Any, Any, bytes]:
        """Await a checked reply; its bytes.

        It answers the oldest `send` that has no answer yet; else it is a receive (see `loadmux help
        expect`).
        """
        return self._do("exchange", send=None, expect=reply, name=name, within=within)

    def connect(
        self, *, name: str | None = None, within: float | str | None = None
    ) -> Coroutine[Any, Any, bytes]:
        """Connect now; otherwise the first use connects."""
        return self._do("connect", name=name, within=within)

    def start_tls(
        self, *, name: str | None = None, within: float | str | None = None
    ) -> Coroutine[Any, Any, bytes]:
        """TLS on the open connection, with the socket's `tls`."""
        return self._do("start_tls", name=name, within=within)

    def close(self, *, pending: str | None = None) -> Coroutine[Any, Any, bytes]:
        """Close in order; bytes that nobody asked for are a fault, unless `pending` is "drop", or
        "abandon": close(2) at once.
        """
        return self._do("close", pending=pending)

    def half_close(self) -> Coroutine[Any, Any, bytes]:
        """End the sending side."""
        return self._do("half_close")

    def reset(self, *, pending: str | None = None) -> Coroutine[Any, Any, bytes]:
        """Close with a RST; what has come is judged, unless `pending` is "drop"."""
        return self._do("reset", pending=pending)

    def stop_reading(self) -> Coroutine[Any, Any, bytes]:
        """Let replies pile up in the kernel."""
        return self._do("stop_reading")

    def resume_reading(self) -> Coroutine[Any, Any, bytes]:
        """Take them again."""
        return self._do("resume_reading")

    def cork(self) -> Coroutine[Any, Any, bytes]:
        """Hold back what is sent, until `uncork`, the end of the sending side, or for 200 ms."""
        return self._do("cork")

    def uncork(self) -> Coroutine[Any, Any, bytes]:
        """Send what was held back."""
        return self._do("uncork")

    def _do(self, action: str, **words: Any) -> Coroutine[Any, Any, bytes]:
        iteration = self._iteration
        ready = iteration.library.ready(iteration.task, action, self._names, **words)
        iteration.unawaited += 1
        return iteration.perform(ready)
