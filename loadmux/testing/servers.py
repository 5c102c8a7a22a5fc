"""Starts a server for a test: a bundled target by its model, or a command of the user's own."""

from __future__ import annotations

import select
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from tempfile import TemporaryFile
from time import monotonic
from typing import IO

from loadmux.errors import TargetFailed
from loadmux.language.scenario import Target
from loadmux.running.target import TargetProcess

HOST = "127.0.0.1"
RETRY = 0.02
SHOWN = 4096
ENDS_WITHIN = 5.0


@contextmanager
def start(
    server: str | Sequence[str], ready_within: float = 10.0, **options: object
) -> Iterator[str]:
    """A server while the block lasts; gives its URL.

    `server` is the model of a bundled target, with its `options` (`reply`, `fault`, …), or the
    words of a command, in which `{port}` stands for a free port; it must accept on it within
    `ready_within` seconds. Raises TargetFailed, with what the server printed, where it does not.
    """
    if isinstance(server, str):
        rule = str(options.pop("reply", "echo"))
        words = {name: str(value) for name, value in options.items()}
        with TargetProcess(Target(None, server, rule, words)) as process:
            yield str(process.url)
        return
    if options:
        raise TypeError(f"a command has no option {min(options)!r}")
    port = free_port()
    with TemporaryFile() as log:
        command = [word.replace("{port}", str(port)) for word in server]
        with subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT) as process:
            try:
                await_accepting(process, port, ready_within, log)
                yield f"tcp://{HOST}:{port}"
            finally:
                end(process)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def await_accepting(
    process: subprocess.Popen[bytes], port: int, within: float, log: IO[bytes]
) -> None:
    """Return when the process accepts connections. Raises TargetFailed with what it printed."""
    due = monotonic() + within
    while process.poll() is None and monotonic() < due:
        with suppress(OSError), socket.create_connection((HOST, port), within):
            return
        select.select([], [], [], RETRY)  # nothing tells when another process begins to listen
    ended = process.returncode
    how = f"ended with status {ended}" if ended is not None else f"does not accept on port {port}"
    log.seek(0)
    said = log.read()[-SHOWN:].decode(errors="replace").rstrip()
    raise TargetFailed(f"the server {how}; it printed:\n{said}" if said else f"the server {how}")


def end(process: subprocess.Popen[bytes]) -> None:
    """End it in order, by force where that takes too long."""
    process.terminate()
    try:
        process.wait(ENDS_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
