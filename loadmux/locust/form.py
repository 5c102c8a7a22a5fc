"""What the start form knows of a scenario before it is started: its load, and its target.

Locust's form has the same fields whatever is chosen. `page.js` puts ours first, and fills in users
and run time when another scenario is chosen; where its phases say how many users there are, the
fields cannot be written in.
"""

from __future__ import annotations

from math import ceil
from typing import Any

from loadmux.language.loading import load
from loadmux.language.meaning.scenario import Overrides
from loadmux.locust.described import Described
from loadmux.locust.here import Here
from loadmux.locust.preparation import located
from loadmux.running.catalog import models

LIES = (
    *(f"{name}:20" for name in ("flip", "duplicate", "swap", "truncate", "early_close", "reset")),
    *("silence:20", "extra:20", "short_send", "lost_wakeup", "drip", "no_eof", "slow:1ms"),
)
"""Faults that bundled targets have: the 20th reply of each connection is hit, or every one."""


def told_of(name: str, of: type[Described], here: Here) -> dict[str, Any]:
    """What a scenario says of itself. Raises LoadmuxError for its mistakes.

    `kept`: the form's users are meant for it, by the command line or by the last test.
    """
    scenario = load(located(name, of), Overrides(), models=models())
    own = scenario.load
    meant = here.tally is not None or here.given.get("num_users") is not None
    return {
        "users": own.users,
        "spawn_rate": own.spawn_rate or own.users,
        "run_time": "" if own.run_time is None or own.phases else f"{ceil(own.run_time)}s",
        "phases": bool(own.phases),
        "target": ", ".join(one.called for one in scenario.servers.values()),
        "kept": meant and here.options.get("scenario") in (name, None),
    }
