"""The scenario language as a JSON Schema (2020-12), for editors and other programs.

It takes every file that the loader takes. What it cannot refuse is what no schema can say, or none
can say shortly, and is left to `loadmux check` (`LEFT`). Keys, names, forms and patterns are the
loader's own tables; only what goes with what, and the words of help, stand here.

`patternErrorMessage` is not of JSON Schema but of the editors' YAML server, which shows it.
"""

from __future__ import annotations

from collections.abc import Collection

from loadmux.loader import file
from loadmux.registry import Registry, RuleNames
from loadmux.schema import payloads, protocols, settings, steps
from loadmux.schema.parts import (
    Schema,
    choice,
    duration,
    integer,
    keyed,
    label,
    refer,
    text,
    unit_definitions,
)

DIALECT = "https://json-schema.org/draft/2020-12/schema"
LEFT = (
    "names that refer to each other: sockets in `on`, targets in `to`, variables in texts, steps in"
    " thresholds",
    "what files hold, and whether they are there",
    "what only the target in force knows: which rule `reply` is, what TLS and UDP allow",
    "the upper bounds of durations and of sizes with a unit, whole bytes, valid addresses",
    "regular expressions, functions, what fits in a frame, payloads of no byte or too many",
    "what may follow what, or run at once: nothing is sent after a half-close, for example",
    "the values of plugins (http, resp and websocket are some), and all of those that were not"
    " installed where this was written",
    "YAML itself: duplicate keys, merge keys, tags; numbers that YAML writes in several ways",
)
"""What `loadmux check` refuses and the schema does not."""


def schema(
    models: Collection[str] = (),
    rules: Collection[str] | None = None,
    registry: Registry | None = None,
) -> Schema:
    """The schema of one scenario file, as values that `json` can write.

    `models`: the names of the bundled targets; without them any name is one. `rules`: the rules, by
    default the built-in ones and those of plugins. `registry`: where plugins are looked for.
    """
    registry = Registry() if registry is None else registry
    rules = RuleNames(registry) if rules is None else rules
    framers = protocols.names(registry, "framers")
    return {
        "$schema": DIALECT,
        "title": "A loadmux scenario",
        **keyed(file.KEYS, _top_level(), required=["steps"]),
        "description": "How one user of a server behaves, how many there are, and what must hold."
        f" Left to `loadmux check`: {'; '.join(LEFT)}.",
        "$defs": {
            **unit_definitions(),
            **settings.definitions(models, rules, framers),
            **payloads.definitions(rules, framers),
            **steps.definitions(protocols.names(registry, "steps")),
        },
    }


def _top_level() -> dict[str, Schema]:
    return {
        "name": label("The scenario's name in the report; by default the file's."),
        "description": text("What it is for.", default=""),
        "target": settings.targets(
            "The server: a URL, {url: URL, reply: RULE}, {bundled: MODEL, reply: RULE}, or names of"
            " several. Without it --target must name one."
        ),
        "variables": settings.variables("Constants, lists for `for`, and feeders, by name."),
        "sockets": settings.declared_sockets(
            "The sockets of each user: a list of names, or names with options."
        ),
        "before": refer(
            "steps",
            "Steps that a user takes once, when it starts, and again after a fault.",
            default=[],
        ),
        "steps": refer("steps", "The steps of one iteration.", minItems=1),
        "after": refer("steps", "Steps that a user takes once, when it stops.", default=[]),
        "load": settings.load("How many users, and for how long."),
        "thresholds": settings.threshold_list("What must hold for the run to pass."),
        "timeout": duration(
            "Longest wait of a connect, a send or an expect, without progress.",
            zero=False,
            default=f"{file.DEFAULT_TIMEOUT:g}s",
        ),
        "on_error": choice(
            "After a fault: drop the user's sockets and go on with the next iteration (after"
            " `before`), stop the user, or abort the run.",
            file.ON_ERROR,
            default="reconnect",
        ),
        "seed": integer("Everything random comes from it; drawn and printed if there is none.", 0),
        "weight": integer("Its share of the users beside other scenarios.", 1, default=1),
    }
