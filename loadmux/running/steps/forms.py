"""Payloads and replies in a protocol's own form, as plugins bring them.

A payload form whose parts are constant is encoded once, and a reply form whose right reply is known
beforehand goes the same fast way as any exact reply (`likely`). What cannot be encoded when a step
runs is the scenario's mistake: it ends the run (DriverFault).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random

from loadmux.checking.framed import WholeFrameVerifier
from loadmux.checking.framing import Framing
from loadmux.checking.verifying import Verifier
from loadmux.driver.user import VirtualUser
from loadmux.errors import DriverFault
from loadmux.language.meaning.servers import Url
from loadmux.plugins.contracts import Incoming
from loadmux.plugins.payloads import Outgoing, Surroundings
from loadmux.running.steps.messages import Render
from loadmux.running.steps.place import Place
from loadmux.running.steps.replies import Judged, Reply

HTTP_PORT = 80


def authority(url: Url) -> str:
    """`HOST:PORT` as a URL has it, the port left out where it is HTTP's; RFC 9110, section 7.2."""
    if url.scheme == "unix":
        return "localhost"
    host = f"[{url.host}]" if ":" in url.host else url.host
    return host if url.port == HTTP_PORT else f"{host}:{url.port}"


def constant(form: Outgoing, parts: Iterable[bytes | None], where: str) -> bytes | None:
    """A form's bytes, if they are always the same; None too where there are none."""
    found = list(parts)
    known = [part for part in found if part is not None]
    if form.varies or len(known) < len(found):
        return None
    try:
        return form.encode(known, Surroundings(where, Random(0)))
    except ValueError:
        return None


def rendered(
    form: Outgoing, renders: Sequence[Render], authorities: Mapping[str, str], place: Place
) -> Render:
    """What a form sends at the moment; `authorities` are those of the sockets, by name.

    Raises DriverFault where it cannot be encoded.
    """

    fixed: dict[str, Surroundings] = {}
    if not form.varies:  # then no user needs a source of chance of its own, 2.5 KB each
        fixed = {name: Surroundings(where, Random(0)) for name, where in authorities.items()}

    def encode(user: VirtualUser, socket: str, sent: bytes) -> bytes:
        parts = [render(user, socket, sent) for render in renders]
        try:
            around = fixed.get(socket) or Surroundings(authorities[socket], user.random)
            return form.encode(parts, around)
        except ValueError as error:
            raise DriverFault(
                f"{place.where}: step {place.step!r} of user {user.number} on socket {socket!r}"
                f" cannot be sent: {error}"
            ) from None

    return encode


@dataclass(frozen=True, slots=True)
class AnswerReply(Reply):
    """One frame that is right for a reply form; `constants` are its parts if all are known."""

    form: Incoming
    framing: Framing
    constants: tuple[bytes, ...] | None
    renders: Sequence[Render]

    @property
    def swift(self) -> bool:
        return True

    def known(self, payload: bytes) -> Judged | None:
        return None if self.constants is None else self._judged(payload, self.constants)

    def judged(self, user: VirtualUser, socket: str, payload: bytes) -> Judged:
        parts = self.constants
        if parts is None:
            parts = tuple(render(user, socket, payload) for render in self.renders)
        return self._judged(payload, parts)

    def alone(self) -> Callable[[], Verifier] | None:
        if self.constants is None:
            return None
        likely, judge = self._judged(b"", self.constants)
        return judge if likely is None else None

    def answers_alike(self, payload: bytes) -> bool:
        return self.framing.answering(payload) is self.framing

    def _judged(self, payload: bytes, parts: Sequence[bytes]) -> Judged:
        framing = self.framing.answering(payload)
        judge, renew = partial(self.form.judge, parts=parts), framing.decoder
        early = type(self.form).judge_opening is not Incoming.judge_opening
        opens = partial(self.form.judge_opening, parts=parts) if early else None
        return self.form.likely(parts), lambda: WholeFrameVerifier(renew(), judge, renew, opens)
