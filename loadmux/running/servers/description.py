"""What bundled targets say of themselves, asked of their processes (`--describe`).

A target may crash, hang, not be importable here, or answer with rubbish: whatever it does, there is
a `Description` of it, which then says why it cannot run here. Nothing is left of its processes.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from time import monotonic
from types import TracebackType

from loadmux.running.servers.bundled import command
from loadmux.running.servers.processes import die_with_parent, how_it_ended, last_line, one_line

PATIENCE = 15.0
"""Seconds from its start until a target must have answered."""
LONGEST = 64 * 1024
"""Bytes of an answer; more is rubbish."""
SHOWN = 60
"""Characters of rubbish that are shown."""


@dataclass(frozen=True, slots=True)
class Description:
    """A bundled target; `reason` is why it cannot run here, None if it can.

    The rest is empty where it could not be asked. `at_once` is how many clients it serves at once,
    `pool` how many workers it can have at most, of which each serves one; None means no such limit.
    """

    model: str
    reason: str | None = None
    summary: str = ""
    waits: str = ""
    limit: str = ""
    platforms: str = ""
    at_once: int | None = None
    pool: int | None = None
    tls: bool = False


def describe(model: str) -> Description:
    """What a target says of itself. Raises UsageError for an unknown model."""
    return describe_all([model])[0]


def describe_all(models: Iterable[str]) -> list[Description]:
    """The same for several, which are all asked at once."""
    with ExitStack() as stack:
        asked = [stack.enter_context(Question(model)) for model in models]
        return [question.answer() for question in asked]


class Question:
    """A target that is asked; its process lasts as long as the `with` block at most."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._command = command(model, ["--describe"])

    def __enter__(self) -> Question:
        self._due = monotonic() + PATIENCE
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=die_with_parent if sys.platform == "linux" else None,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(ProcessLookupError, PermissionError):  # macOS: EPERM where all have ended
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdout, self._process.stderr):
            assert stream is not None
            stream.close()

    def answer(self) -> Description:
        """What it says, or why it does not."""
        out, err = self._words()
        try:
            code = self._process.wait(max(0.0, self._due - monotonic()))
        except subprocess.TimeoutExpired:
            return self._not_here(f"it did not answer within {PATIENCE:g} s")
        if code > 0 and err.strip():
            return self._not_here(last_line(err.decode(errors="replace")))
        if code:
            return self._not_here(how_it_ended(code).removeprefix("was "))
        try:
            return parsed(self._model, json.loads(out))
        except (ValueError, RecursionError):
            shown = one_line(out.decode(errors="replace"), SHOWN)
            return self._not_here(f"what it says of itself is not understood: {shown!r}")

    def _words(self) -> tuple[bytes, bytes]:
        """Both its outputs to their ends; what there is when it is time, or when it is too much."""
        found: dict[int, bytearray] = {}
        with selectors.DefaultSelector() as selector:
            for stream in (self._process.stdout, self._process.stderr):
                assert stream is not None
                found[stream.fileno()] = bytearray()
                selector.register(stream, selectors.EVENT_READ)
            while selector.get_map():
                ready = selector.select(max(0.0, self._due - monotonic()))
                for key, _ in ready:
                    piece = os.read(key.fd, LONGEST)
                    found[key.fd] += piece
                    if not piece:
                        selector.unregister(key.fileobj)
                if not ready or max(map(len, found.values())) > LONGEST:
                    break
        out, err = found.values()
        return bytes(out), bytes(err)

    def _not_here(self, reason: str) -> Description:
        return Description(self._model, reason)


def parsed(model: str, told: object) -> Description:
    """The answer as a `Description`. Raises ValueError where it is none."""
    if not isinstance(told, dict):
        raise ValueError("no object")

    def text(key: str) -> str:
        if not isinstance(told[key], str):
            raise ValueError(key)
        return str(told[key])

    def count(key: str) -> int | None:
        value = told[key]
        if value is None or (isinstance(value, int) and value is not True and value > 0):
            return value
        raise ValueError(key)

    try:
        return Description(
            model=model,
            reason=None if told["reason"] is None else text("reason"),
            summary=text("summary"),
            waits=text("waits"),
            limit=text("limit"),
            platforms=text("platforms"),
            at_once=count("at_once"),
            pool=count("pool"),
            tls=told["tls"] is True,
        )
    except KeyError as error:
        raise ValueError(str(error)) from None
