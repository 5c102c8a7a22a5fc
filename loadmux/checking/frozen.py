"""`dataclass` as the standard library's, in a seventh of its time for frozen classes.

The standard library compiles each method of a data class by itself, half a millisecond a class: for
the hundred classes that say what a scenario means that was a quarter of what `loadmux check` took.
Here only `__init__` is compiled; what compares, prints and pickles is the same code for all. The
classes are data classes to `fields`, `replace`, `asdict`, `match` and type checkers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(cls=None, /, **options):
        """As `dataclasses.dataclass`; what is not just frozen, or inherits fields, is its."""
        slots = options.pop("slots", False)
        if cls is None and options == {"frozen": True}:
            return partial(_made, slots)
        return dataclasses.dataclass(cls, slots=slots, **options)


GIVEN = object()
"""In place of an argument whose default is made anew each time."""


def _made(slots: bool, cls: type) -> type:
    own = vars(cls)
    inherits = any(dataclasses.is_dataclass(base) for base in cls.__mro__[1:])
    if inherits or "__init__" in own or "InitVar" in str(own.get("__annotations__")):
        return dataclasses.dataclass(frozen=True, slots=slots)(cls)
    explicit = {name for name in ("__eq__", "__hash__", "__repr__") if own.get(name)}
    made: Any = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots)(cls)
    made.__dataclass_params__.frozen = True
    members = {"__init__": _init(made), **_compared(made), **COMMON}
    for name, member in members.items():
        if name not in explicit:
            setattr(made, name, member)
    found: type = made
    return found


def _init(cls: Any) -> Callable[..., None]:
    """The one method that differs in its code: it sets the fields past what forbids it."""
    arguments, lines = ["self"], []
    around: dict[str, Any] = {"put": object.__setattr__, "GIVEN": GIVEN}
    for field in dataclasses.fields(cls):
        name, value = field.name, field.name
        if field.default is not dataclasses.MISSING:
            around[f"{name}_"] = field.default
            argument = f"{name}={name}_"
            value = value if field.init else f"{name}_"
        elif field.default_factory is not dataclasses.MISSING:
            around[f"{name}_"] = field.default_factory
            argument = f"{name}=GIVEN"
            value = f"{name}_() if {name} is GIVEN else {name}" if field.init else f"{name}_()"
        else:
            argument = name
        if field.init:
            arguments.append(argument)
        lines.append(f" put(self, {name!r}, {value})")
    if hasattr(cls, "__post_init__"):
        lines.append(" self.__post_init__()")
    exec(f"def __init__({', '.join(arguments)}):\n" + "\n".join(lines or [" pass"]), around)
    init: Callable[..., None] = around["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    return init


def _compared(cls: Any) -> dict[str, Any]:
    """Equal are values of one class whose fields are equal."""
    names = [field.name for field in dataclasses.fields(cls) if field.compare]
    key: Callable[[object], Any] = attrgetter(*names) if names else lambda value: ()

    def equal(self: object, other: object) -> bool:
        return key(self) == key(other) if other.__class__ is self.__class__ else NotImplemented

    return {"__eq__": equal, "__hash__": lambda self: hash(key(self))}


def _printed(self: Any) -> str:
    shown = [f"{f.name}={getattr(self, f.name)!r}" for f in dataclasses.fields(self) if f.repr]
    return f"{self.__class__.__qualname__}({', '.join(shown)})"


def _refuse(self: object, name: str, *value: object) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot change field {name!r}")


def _state(self: Any) -> list[object]:
    return [getattr(self, field.name) for field in dataclasses.fields(self)]


def _restore(self: Any, state: list[object]) -> None:
    for field, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, field.name, value)


COMMON = {
    "__repr__": _printed,
    "__setattr__": _refuse,
    "__delattr__": _refuse,
    "__getstate__": _state,
    "__setstate__": _restore,
}
