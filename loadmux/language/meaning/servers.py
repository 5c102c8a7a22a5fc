"""Where the servers of a scenario are, as frozen values: at a URL, bundled, or commands."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Literal

from loadmux.checking.frozen import dataclass
from loadmux.language.meaning.expected import Answer as Answer
from loadmux.language.meaning.expected import Body as Body
from loadmux.language.meaning.expected import ByRule as ByRule
from loadmux.language.meaning.expected import Closed as Closed
from loadmux.language.meaning.expected import Exactly as Exactly
from loadmux.language.meaning.expected import Frame as Frame
from loadmux.language.meaning.expected import Length as Length
from loadmux.language.meaning.expected import Reply as Reply
from loadmux.language.meaning.expected import Silence as Silence
from loadmux.language.meaning.expected import Until as Until
from loadmux.language.meaning.expected import WasReset as WasReset
from loadmux.language.meaning.expected import groups_of as groups_of

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, slots=True)
class Url:
    """Where a server listens: `tcp`, `tls`, `udp` with host and port, or `unix` with a path."""

    scheme: Literal["tcp", "tls", "udp", "unix"]
    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.scheme == "unix":
            return f"unix://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


PORT = "{port}"
"""Stands in a command for the port on which its server is to listen."""


@dataclass(frozen=True, slots=True)
class Command:
    """A server of the user's own that is started for the run.

    It listens at `url`, by default tcp://127.0.0.1, on `port`, by default a free one, which it is
    told as PORT in its `words`; the port of `url` is 0 where PORT stands there. It is ready within
    `ready_within` seconds: it listens, or a line of its output matches `ready`.
    """

    words: tuple[str, ...]
    port: int | None = None
    url: Url | None = None
    ready: str | None = None
    ready_within: float = 10.0

    @property
    def told_port(self) -> bool:
        """Whether it learns its port from us."""
        return any(PORT in word for word in self.words)

    @property
    def fixed(self) -> bool:
        """Whether it is known beforehand where it will listen."""
        own = self.url is not None and (bool(self.url.port) or self._own_path)
        return self.port is not None or own

    @property
    def _own_path(self) -> bool:
        return self.url is not None and self.url.scheme == "unix" and PORT not in self.url.path


READ_SIZE = "read-size"
"""The option of bundled targets that is `read_size` of others."""
Watch = Literal["report", "fail"]


@dataclass(frozen=True, slots=True)
class Target:
    """One of `url`, `bundled` and `command` is set; `options` are the bundled target's own,
    `--NAME VALUE`. `watch`: what is made of findings about its processes; None: those that we start
    are watched, and findings are told.

    `read_size`: bytes that the server at `url` reads at a time, None where nobody has said so.
    """

    url: Url | None = None
    bundled: str | None = None
    rule: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    read_size: int | None = None
    command: Command | None = None
    watch: Watch | None = None

    @property
    def called(self) -> str:
        """What it is called before it is started."""
        if self.command is not None:
            return shlex.join(self.command.words)
        return str(self.url or self.bundled)

    @property
    def reads_at_most(self) -> int | None:
        """Bytes that it reads at a time, None where nobody has said so."""
        told = self.options.get(READ_SIZE, "")
        return int(told) if told.isdecimal() and int(told) else self.read_size

    @property
    def scheme(self) -> str:
        """How it is spoken to, known before it is started."""
        if self.url is not None:
            return self.url.scheme
        if self.command is not None:
            return "tcp" if self.command.url is None else self.command.url.scheme
        if self.bundled == "udp":
            return "udp"
        return "tls" if "tls" in self.options else "unix" if "unix" in self.options else "tcp"
