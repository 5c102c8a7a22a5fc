"""`@scenario(...)`: makes an async function the steps of the scenario that its file is."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, TypedDict, TypeVar, Unpack

from loadmux.language.sources import usercode


class Keywords(TypedDict, total=False):
    """The keys of a scenario file, those of `load` among them; the values are as in YAML."""

    name: str
    description: str
    weight: int
    target: str | Mapping[str, Any]
    variables: Mapping[str, Any]
    sockets: Sequence[str] | Mapping[str, Any]
    before: Any
    after: Any
    load: Mapping[str, Any]
    users: Any
    spawn_rate: Any
    run_time: str
    iterations: int
    pacing: str
    graceful_stop: str
    rate: str
    max_users: int
    phases: Sequence[Mapping[str, Any]]
    thresholds: Sequence[str]
    timeout: str
    on_error: str
    seed: int


Behaviour = TypeVar("Behaviour", bound=Callable[..., Coroutine[Any, Any, Any]])


def scenario(**keywords: Unpack[Keywords]) -> Callable[[Behaviour], Behaviour]:
    """Make an `async def function(user)` the steps of the scenario that this file is.

    The keywords are judged when the file is loaded (`loadmux check FILE.py`), not here. `before`
    and `after` take such functions, or lists of steps in YAML's form and such functions.
    """

    def mark(function: Behaviour) -> Behaviour:
        code = getattr(function, "__code__", None)
        line = 1 if code is None else code.co_firstlineno
        setattr(function, usercode.MARK, usercode.Definition(dict(keywords), line))
        return function

    return mark
