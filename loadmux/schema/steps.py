"""Steps: one mapping with all the keys, so that an editor offers each, and what goes with what."""

from __future__ import annotations

from collections.abc import Collection

from loadmux.loader import steps
from loadmux.loader.names import BUILT_INS, SENT
from loadmux.schema import patterns, payloads, protocols
from loadmux.schema.parts import (
    Schema,
    alternatives,
    constant,
    duration,
    integer,
    items,
    keyed,
    label,
    named,
    one_of,
    pair,
    refer,
    size,
    text,
)
from loadmux.thresholds import CONNECT

FOLLOWED_BY = {"gap": ["pieces"], "repeat": ["do"], "for": ["do"]}
"""Keys that need another one beside them."""


def definitions(actions: Collection[str]) -> Schema:
    """`actions`: those of plugins."""
    beside = _exchange()
    return {
        "socket": text(
            "A socket, a group, one socket of a group (`group[0]`), or `all`.",
            patterns.whole(patterns.REFERENCE),
        ),
        "sockets": alternatives(
            "A socket, a group, one socket of a group (`group[0]`), `all`, or a list of these.",
            [refer("socket"), items("", refer("socket"), least=1, uniqueItems=True)],
        ),
        "value": constant(
            "A text, in which `${name}` is replaced, a number or a boolean.",
            patterns.text(without=SENT),
        ),
        "step": protocols.with_steps(
            _step(), actions, {key: beside[key] for key in ("name", "on", "within")}
        ),
        "steps": items("Steps, one after the other.", refer("step")),
    }


def _step() -> Schema:
    actions = [action for action in steps.ACTIONS if action not in steps.EXCHANGE]
    return keyed(
        steps.KEYS,
        {**_exchange(), **_on_sockets(), **_others()},
        description="One action, and what goes with it. `send` and `expect` together are one"
        " exchange, timed from just before the send until the last byte of the checked reply.",
        oneOf=[{"anyOf": one_of(steps.EXCHANGE)}, *one_of(actions)],
        dependentRequired=FOLLOWED_BY,
        dependentSchemas={
            key: {"anyOf": one_of(owners)} for key, (owners, _) in steps.MODIFIERS.items()
        },
    )


def _exchange() -> dict[str, Schema]:
    return {
        "send": payloads.sent("What is sent; done when the kernel took every byte."),
        "expect": payloads.expected("The reply; read until it is complete, wrong or late."),
        "name": label(
            "The row in the report; by default the action, the sockets and the step's number.",
            **{"not": {"const": CONNECT}},
        ),
        "on": refer(
            "sockets",
            "Which sockets; with several, the send goes out on every one before the first reply is"
            " awaited. By default `main`, or the only one.",
        ),
        "within": duration("Timeout of this step, instead of the scenario's.", zero=False),
        "pieces": alternatives(
            "Cuts what is sent: a size, sizes (the last one repeats), or `each_byte`.",
            [
                {"enum": [steps.EACH_BYTE]},
                size("Bytes of each piece."),
                items("Bytes of the pieces.", size(""), least=1),
            ],
        ),
        "gap": duration("Pause between the pieces.", default="0s"),
        "save": text(
            "Keeps the reply's bytes for `${NAME}`.",
            patterns.whole(patterns.NAME),
            **{"not": {"enum": list(BUILT_INS)}},
        ),
    }


def _on_sockets() -> dict[str, Schema]:
    told = {
        "connect": "Connect now, timed. (Otherwise a socket connects at its first use.)",
        "half_close": "Shut down the sending side; what the server still sends is read.",
        "close": "Close in order.",
        "reset": "Close with a RST.",
        "stop_reading": "Let the server's replies pile up in the kernel.",
        "resume_reading": "Read again.",
    }
    return {action: refer("sockets", told[action]) for action in steps.SOCKET_ACTIONS}


def _others() -> dict[str, Schema]:
    return {
        "wait": _wait(),
        "repeat": integer("How often the steps of `do` are carried out.", 1),
        "for": named(
            "`{NAME: LIST}`: the steps of `do` for each value, which is `${NAME}`.",
            alternatives(
                "A list, or `${name}` of a list in `variables`.",
                [
                    items("", refer("value")),
                    {"type": "string", "pattern": patterns.LIST_NAME},
                ],
            ),
            minProperties=1,
            maxProperties=1,
        ),
        "do": refer("steps", "The steps that are repeated.", minItems=1),
        "set": named("Variables from here on.", refer("value"), minProperties=1),
        "together": items(
            "Branches: lists of steps that run at once within the user, each with sockets of its"
            " own; done when all are.",
            refer("steps", minItems=1),
            least=1,
        ),
        "barrier": label("Wait until every running user is at the barrier of this name."),
        "call": text(
            "Calls `async def FUNCTION(user)`: 'PACKAGE.MODULE:FUNCTION'.", patterns.FUNCTION
        ),
    }


def _wait() -> Schema:
    forms = {
        "uniform": pair("Any time from the first to the second, equally likely: [A, B]."),
        "exponential": duration("Exponential with this mean.", zero=False),
        "normal": pair("Normal: [MEAN, STANDARD DEVIATION]; less than nothing counts as nothing."),
    }
    drawn = keyed(steps.WAIT_FORMS, forms, oneOf=one_of(steps.WAIT_FORMS))
    return alternatives("Wait, without doing anything.", [refer("duration"), drawn])
