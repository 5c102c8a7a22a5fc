"""The words of the scenario language, from the loader's tables, for tests that want them all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from loadmux.loader import feeders, file, frames, payloads, sockets, steps, tls
from loadmux.loader.load import KEYS as LOAD_KEYS
from loadmux.loader.load import PHASE_KEYS
from loadmux.rules import RULES

LANGUAGE = {
    "top level": file.KEYS,
    "load": (*LOAD_KEYS, *PHASE_KEYS),
    "steps": (*steps.KEYS, *steps.WAIT_FORMS, steps.EACH_BYTE),
    "sockets": (*sockets.OPTIONS, *tls.OPTIONS, *frames.FORMS, "max", *frames.PREFIX_KEYS),
    "payloads": (*payloads.PAYLOAD_FORMS, "times"),
    "replies": (*payloads.REPLY_FORMS, "reply"),
    "feeders": (*feeders.KEYS, *feeders.PICKS, *feeders.WHEN_SHORT),
    "words": (*file.ON_ERROR, *RULES, "bundled", "url"),
}


def words(value: Any) -> Iterator[str]:
    """Every key and text of some values."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield key
            yield from words(one)
    elif isinstance(value, list):
        for one in value:
            yield from words(one)
    elif isinstance(value, str):
        yield value
