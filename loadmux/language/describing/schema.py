"""The scenario language as a JSON Schema (2020-12), for editors and other programs.

It takes every file that loads. What it cannot refuse is what no schema can say, or none can say
shortly, and is left to `loadmux check` (`LEFT`). It is derived from the declarations of the keys.

`patternErrorMessage` is not of JSON Schema but of the editors' YAML server, which shows it.
"""

from __future__ import annotations

from collections.abc import Collection

from loadmux.language.grammar.contract import Schema, Schemas
from loadmux.language.keys.file import SCENARIO
from loadmux.language.messages import plugged
from loadmux.plugins.registry import Registry, RuleNames

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
    framers, steps = (plugged.names(registry, group) for group in ("framers", "steps"))
    made = Schemas(models, rules, framers, steps)
    return {
        "$schema": DIALECT,
        "title": "A loadmux scenario",
        **SCENARIO.schema(made),
        "description": "How one user of a server behaves, how many there are, and what must hold."
        f" Left to `loadmux check`: {'; '.join(LEFT)}.",
        "$defs": made.definitions,
    }
