"""Where each socket of a scenario connects to, and how: names resolved, TLS contexts made.

Everything about transports that a generator process needs and a scenario file says is put together
here; `driver` takes it from there. Sockets with the same TLS options share one context, which holds
the CAs (a few hundred KiB with the system's) and costs some milliseconds to make.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping, Sequence

from loadmux.checking.framing import Framing
from loadmux.driver.endpoint import Endpoint
from loadmux.driver.sources import Sources, sources
from loadmux.driver.tls import BadFile, client_context
from loadmux.errors import TargetFailed, UsageError
from loadmux.language.meaning.expected import Answer, every
from loadmux.language.meaning.scenario import Scenario, Socket, Tls
from loadmux.language.meaning.servers import Target, Url
from loadmux.language.meaning.stepvalues import Call, Exchange
from loadmux.running.catalog import bundled
from loadmux.running.conversing import conversation, requests
from loadmux.running.steps.forms import authority

OWN_CERTIFICATE = "tls-cert"
"""The option of a bundled target that makes it show another certificate than the shipped one."""


def endpoints(scenario: Scenario, urls: Mapping[str, Url]) -> list[Endpoint]:
    """One for each socket; `urls` is where the targets, by name, listen.

    Raises TargetFailed when a host's name cannot be resolved.
    """
    found = {name: resolve(url) for name, url in urls.items()}
    contexts = Contexts()
    spoken = spoken_on(scenario)
    learns = any(isinstance(step, Call) for step in scenario.every_step)
    listening = listening_on(scenario)
    return [
        _endpoint(
            one,
            urls[one.to],
            found[one.to],
            _source(scenario.sockets, index),
            scenario.servers.get(one.to),
            contexts,
            spoken.get(index),
            learns and index not in spoken,
            index in listening,
            learns,
        )
        for index, one in enumerate(scenario.sockets)
    ]


def _endpoint(
    one: Socket,
    url: Url,
    found: tuple[int, object],
    source: Sources | None,
    target: Target | None,
    contexts: Contexts,
    framing: Framing | None,
    learns: bool,
    listens: bool,
    coded: bool,
) -> Endpoint:
    family, address = found
    datagrams = url.scheme == "udp"
    tls, server_name = None, None
    if url.scheme == "tls" and (one.tls is None or one.tls.handshake == "at_once"):
        tls, server_name = contexts.of(one, target, url)
    return Endpoint(
        family,
        address,  # type: ignore[arg-type]
        str(url),
        one.nodelay and not datagrams,
        one.receive_buffer,
        one.send_buffer,
        source if family != socket.AF_UNIX else None,
        one.linger if not datagrams else None,
        tls,
        server_name,
        datagrams,
        *conversation(framing, authority(url)),
        may_end=one.idle_close == "allowed",
        pace=None if datagrams else one.read,
        requests=requests(framing),
        framing=framing,
        learns=learns,
        listens=listens,
        guessed=coded and not listens,
    )


class Contexts:
    """TLS contexts by what options they have, each made once, when it is first asked for."""

    def __init__(self) -> None:
        self._made: dict[Tls, ssl.SSLContext] = {}

    def of(self, one: Socket, target: Target | None, url: Url) -> tuple[ssl.SSLContext, str | None]:
        """That of a socket, and the name that its server must have."""
        options = trusting(one.tls or Tls(), target)
        if options not in self._made:
            self._made[options] = context(options)
        return self._made[options], options.server_name or url.host or None


def listening_on(scenario: Scenario) -> set[int]:
    """The places of the sockets on which a step does nothing but expect."""
    exchanges = [step for step in scenario.every_step if isinstance(step, Exchange)]
    return {place for step in exchanges if step.send is None for place in step.sockets}


def spoken_on(scenario: Scenario) -> Mapping[int, Framing]:
    """The framings by the sockets' places: as the socket says, or what answers on it."""
    found = {place: one.framing for place, one in enumerate(scenario.sockets) if one.framing}
    for step in scenario.every_step:
        if not isinstance(step, Exchange) or step.expect is None:
            continue
        for reply in every(step.expect.reply):
            if isinstance(reply, Answer):
                for place in step.sockets:
                    found.setdefault(place, reply.framing)
    return found


def _source(every: Sequence[Socket], index: int) -> Sources | None:
    """The addresses of a socket; those that share a block take turns in it."""
    text = every[index].source
    if text is None:
        return None
    sharing = [place for place, one in enumerate(every) if one.source == text]
    return sources(text, sharing.index(index), len(sharing))


def trusting(options: Tls, target: Target | None) -> Tls:
    """The same options, with the shipped CA in force for a bundled target's shipped certificate."""
    if target is None or target.bundled is None or OWN_CERTIFICATE in target.options:
        return options
    return options if options.ca is not None else options.with_ca(str(bundled_ca()))


def bundled_ca() -> object:
    """The CA of the certificate that bundled targets show."""
    return bundled("targets") / "localhost-testing-ca.pem"


def context(options: Tls) -> ssl.SSLContext:
    """The TLS context of some sockets. Raises UsageError if a file has changed since loading."""
    try:
        files = options.ca, options.cert, options.key
        return client_context(*files, options.verify, options.versions, options.alpn)
    except BadFile as error:
        raise UsageError(f"tls: {error.option}: {error}") from None


def resolve(url: Url) -> tuple[int, object]:
    """The address family and address to connect to; the first that the system's resolver names.

    Raises TargetFailed where there is none.
    """
    if url.scheme == "unix":
        return socket.AF_UNIX, url.path
    kind = socket.SOCK_DGRAM if url.scheme == "udp" else socket.SOCK_STREAM
    try:
        found = socket.getaddrinfo(url.host, url.port, type=kind)
    except (OSError, UnicodeError) as error:
        raise TargetFailed(f"cannot resolve the target's host {url.host!r}: {error}") from None
    return found[0][0], found[0][4]
