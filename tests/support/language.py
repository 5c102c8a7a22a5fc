"""The words of the scenario language, from its declarations, for tests that want them all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from loadmux.checking.rules import RULES
from loadmux.language.keys import sockets, targets, tls, variables
from loadmux.language.keys.file import SCENARIO
from loadmux.language.keys.load import LOAD, PHASE
from loadmux.language.meaning.scenario import OnError, Pick, WhenShort
from loadmux.language.messages import framings, payloadforms, payloads, prefixes, replyforms
from loadmux.language.steps import actions, stepkeys, steplists

FRAMINGS = tuple(form.name for form in framings.FORMS)
LANGUAGE = {
    "top level": tuple(SCENARIO.keys),
    "load": (*LOAD.keys, *PHASE.keys),
    "steps": (
        *stepkeys.KEYS,
        steplists.BACKGROUND,
        *(form.name for form in actions.DRAWN),
        actions.EACH_BYTE,
    ),
    "sockets": (
        *(*sockets.OPTIONS.keys, *tls.TLS.keys),
        *(*FRAMINGS, *prefixes.PREFIX.keys),
        *(key.name for form in framings.FORMS for key in form.beside),
        *(key.name for key in framings.BESIDE),
    ),
    "payloads": (
        *dict.fromkeys(key.name for form in payloadforms.FORMS for key in (form, *form.beside)),
        payloads.URGENT,
    ),
    "replies": (*(form.name for form in replyforms.FORMS), "reply"),
    "feeders": (*variables.FEEDER.keys, *get_args(Pick), *get_args(WhenShort)),
    "words": (*get_args(OnError), *RULES, "bundled", *targets.AT_COMMAND.keys),
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
