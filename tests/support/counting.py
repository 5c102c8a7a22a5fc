"""A redis of a test's own, and what it counts: the truth about who asked it what."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import program, started
from locusting import free_port


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[str]:
    """Its port, on 127.0.0.1."""
    port = str(free_port())
    words = [program("redis-server"), "--port", port, "--bind", "127.0.0.1", "--save", ""]
    with started(words, cwd=tmp_path) as server:
        assert server.stdout is not None
        for line in server.stdout:
            if "Ready to accept connections" in line:
                break
        yield port


def commands_of(port: str) -> dict[str, int]:
    """How often each command was called."""
    calls = {}
    for line in info(port, "commandstats").splitlines():
        name, _, rest = line.partition(":calls=")
        if rest:
            calls[name.removeprefix("cmdstat_")] = int(rest.split(",")[0])
    return calls


def info(port: str, section: str) -> str:
    """What it says of itself."""
    with socket.create_connection(("127.0.0.1", int(port))) as sock:
        sock.sendall(f"INFO {section}\r\n".encode())
        text = b""
        while not text.endswith(b"\r\n\r\n") and (chunk := sock.recv(65536)):
            text += chunk
            head, _, body = text.partition(b"\r\n")
            if len(body) >= int(head[1:]) + 2:
                break
        return text.decode()
