"""`loadmux init --from URL`: asks what to send, sends it, and writes a scenario of the answers."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from loadmux.cli.printing import STREAM
from loadmux.cli.reading import write_new
from loadmux.errors import UsageError
from loadmux.language.grammar.options import checked_command
from loadmux.language.meaning.urls import parse_url
from loadmux.running.interrupts import Interrupts
from loadmux.running.probing import Probe, written

PROMPT = "What to send (\\r, \\n and \\xNN are escapes; an empty line ends it): "
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|(.))", re.DOTALL)
_NAMED = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "\\": b"\\"}


def write_answered(
    path: Path, url: str | None, command: str | None, texts: Sequence[str], interrupts: Interrupts
) -> None:
    """Write the scenario to a file that must not exist. Raises LoadmuxError."""
    if url is not None and command is not None:
        raise UsageError("init: --from and --command are two servers; leave one of them out")
    if path != STREAM and path.exists():
        raise UsageError(f"init: {path} is there already; name another file")
    target: object = str(url)
    if command is not None:
        target = {"command": list(checked_command(command).words)}
    else:
        checked_url(str(url))
    probe = Probe(target, interrupts)
    probe.look()
    messages = [unescaped(text) for text in texts or asked()]
    write_new(path, written(probe, messages))


def checked_url(url: str) -> None:
    """Raises UsageError."""
    try:
        parse_url(url)
    except ValueError as error:
        raise UsageError(f"--from: {error}") from None


def asked() -> list[str]:
    """What to send, from a terminal or line by line from standard input."""
    if sys.stdin is None:
        return []
    if not sys.stdin.isatty():
        return [line for line in sys.stdin.read().splitlines() if line]
    found = []
    while text := answer():
        found.append(text)
    return found


def answer() -> str:
    print(PROMPT, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().rstrip("\n")


def unescaped(text: str) -> bytes:
    """A message as it was written on the command line."""
    found, at = b"", 0
    for match in _ESCAPE.finditer(text):
        found += text[at : match.start()].encode()
        at = match.end()
        if match[1]:
            found += bytes.fromhex(match[1])
        else:
            found += _NAMED.get(match[2], match[0].encode())
    return found + text[at:].encode()
