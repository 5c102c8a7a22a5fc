"""What the command line says in place of a scenario's own words, as all commands that read one do.

The language is imported when a command runs: help and completion need none of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loadmux.language.meaning.scenario import Overrides

Words = Sequence[str] | None


def overrides_of(
    target: Words, reply: Words, command: Words, var: Words, **others: Any
) -> Overrides:
    """The options that may be given several times, and `others` as `Overrides` names them."""
    from loadmux.language.meaning.scenario import Overrides

    return Overrides(
        tuple(target or ()),
        tuple(reply or ()),
        variables=tuple(var or ()),
        command=tuple(command or ()),
        **others,
    )
