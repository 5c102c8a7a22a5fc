"""Servers of the user's own, which a command starts for a run, on a free port.

Nothing is asked of them: they listen when /proc says so, or a line of their output does.
"""

from __future__ import annotations

import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import ClassVar, NoReturn

from loadmux.errors import TargetFailed
from loadmux.language.meaning.servers import PORT, Command, Url
from loadmux.running.interrupts import Interrupts
from loadmux.running.servers.ports import LOCAL, connects, free_port, listeners
from loadmux.running.servers.proc import members
from loadmux.running.servers.processes import ServerProcess, how_it_ended, one_line

RETRY = 0.02
TRIED_AFTER = 1.0
"""Seconds after which a connection is tried where /proc shows nobody who listens."""
CHILDREN_WITHIN = 1.0
SHOWN_NAME = 60
ANYWHERE = ("0.0.0.0", "::")


def called(words: Sequence[str]) -> str:
    """What a command is called in a line of ours."""
    return f"target {one_line(shlex.join(words), SHOWN_NAME)!r}"


class CommandProcess(ServerProcess):
    """A server of the user's own while the `with` block lasts.

    `folder`: where words that name no file from here are looked for. The server knows its port by
    `{port}` in the words. Both its outputs go to its log.
    """

    stdout: ClassVar[int] = subprocess.STDOUT

    def __init__(
        self, command: Command, folder: Path | None = None, interrupts: Interrupts | None = None
    ) -> None:
        port = command.port or (command.url.port if command.url else 0) or free_port()
        words = [word.replace(PORT, str(port)) for word in command.words]
        there = [found(word, folder) for word in words]
        super().__init__(called(words), [program(there[0]), *there[1:]], interrupts)
        self._command = command
        self._at = at(command.url, port)
        if command.fixed and (listeners(self._at) or self._taken()):
            raise TargetFailed(f"{self.name} was not started: {self._at} is somebody else's")

    def _taken(self) -> bool:
        """Whether somebody accepts there already, where /proc tells nothing."""
        return listeners(self._at) is None and self._at.scheme != "udp" and connects(self._at)

    def environment(self) -> Mapping[str, str]:
        return {**os.environ, "PYTHONUNBUFFERED": "1"}

    def ready(self) -> Url:
        began = monotonic()
        due = began + self._command.ready_within
        while not self._listens(monotonic() - began):
            if self.process.poll() is not None:
                self._refuse(f"it {how_it_ended(self.process.returncode)}")
            if monotonic() >= due:
                self._refuse(self._awaited())
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(RETRY)  # nothing tells when another process begins to listen
        return self._where()

    def _listens(self, waited: float) -> bool:
        if self._command.ready is not None:
            return re.search(self._command.ready, self.written(), re.MULTILINE) is not None
        there = listeners(self._at)
        if there or (there is not None and waited < TRIED_AFTER):
            return bool(there)
        return self._at.scheme != "udp" and connects(self._at)

    def _where(self) -> Url:
        """Where it listens; a server that was told no host may know IPv6 only."""
        there = {one.address for one in listeners(self._at) or ()}
        if self._command.url is None and there and not there & {LOCAL, *ANYWHERE}:
            return Url(self._at.scheme, min(there), self._at.port)
        return self._at

    def _awaited(self) -> str:
        within = f"within {self._command.ready_within:g} s"
        if self._command.ready is not None:
            return f"no line of its output matched {self._command.ready!r} {within}"
        return f"nobody listened at {self._at} {within}"

    def _refuse(self, how: str) -> NoReturn:
        lines = self.last_lines()
        said = "\n".join(["; it printed:", *(f"  {line}" for line in lines)]) if lines else ""
        raise TargetFailed(f"{self.name} did not start: {how}{said or ', and printed nothing'}")

    def ask_to_end(self) -> None:
        """As Ctrl-C in a shell would: a shell alone does not hand a signal on."""
        self.signal(signal.SIGTERM)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.ask_to_end()
            if self._ended_in_order():
                self._await_children()
        super().stop()

    def _await_children(self) -> None:
        """What is left of its group has a moment to end in order."""
        due = monotonic() + CHILDREN_WITHIN
        while monotonic() < due and members(self.process.pid):
            select.select([], [], [], RETRY)  # they are nobody's children here: no event tells


def found(word: str, folder: Path | None) -> str:
    """A word; where it names a file beside the scenario and none from here, that file."""
    if folder is None or word.startswith(("-", "/")) or Path(word).exists():
        return word
    beside = folder / word
    try:
        return str(beside.resolve()) if beside.is_file() else word
    except OSError:
        return word


def program(word: str) -> str:
    """The program; `python`, where there is none by that name, is the one that runs here."""
    return sys.executable if word == "python" and shutil.which(word) is None else word


def at(url: Url | None, port: int) -> Url:
    """Where it will listen."""
    if url is None:
        return Url("tcp", LOCAL, port)
    if url.scheme == "unix":
        return Url("unix", path=url.path.replace(PORT, str(port)))
    return Url(url.scheme, url.host, url.port or port)
