"""Values that travel between Locust's master and its workers, as bytes.

Scenarios go one way, statistics and evidence the other; both are frozen or plain dataclasses. What
arrives here has crossed a network, so the format can say nothing but values: msgpack's numbers,
texts and bytes, and lists that begin with what they are (`Tag`). Of an object its class's name and
its fields' values are there, in their order; only the classes of `ALLOWED` and of plugins are ever
made, always a new object, without a call of any code. Code does not travel: a scenario that calls
functions names them, and a worker imports them from its own disk. Plugins are those that are
installed here: which modules theirs are, the metadata of their distributions says, never the
message; and of their rules only these themselves are named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import fields, is_dataclass
from enum import Enum, IntEnum
from functools import cache
from importlib import import_module
from types import FunctionType
from typing import Any, TypeVar

import msgpack  # type: ignore[import-untyped]

from loadmux.errors import UsageError
from loadmux.plugins.contracts import GROUPS
from loadmux.plugins.registry import PluginError, Registry

LARGEST = 8 * 2**20
VALUES = {
    "checking": "bodies checked events framing marked pieces prefixed rules simple",
    "driver": "pacer",
    "language.meaning": "expected scenario servers stepvalues",
    "measuring": "consequences hanging histogram rows stats thresholds unread volume",
    "plugins": "contracts formulas payloads",
}
ALLOWED = frozenset(
    {"loadmux.errors"}
    | {f"loadmux.{part}.{name}" for part, names in VALUES.items() for name in names.split()}
)
OURS = "loadmux"
PROTOCOLS = "loadmux.protocols"


class _Plugins:
    """What is installed here, found out when a message first needs it."""

    def __init__(self) -> None:
        registry = Registry()
        self.packages = {PROTOCOLS}
        self.parts: list[object] = []
        for group in GROUPS:
            for name in registry.names(group):
                with suppress(PluginError):
                    self.packages.add(registry.plugin(group, name).package)
        self.packages.discard(OURS)
        for name in registry.names("rules"):
            with suppress(PluginError):
                rule = registry.rule(name)
                self.parts += [rule.likely, rule.verifier]

    def own(self, module: str) -> bool:
        """Whether a module is in the package of a plugin."""
        return any(module == one or module.startswith(f"{one}.") for one in self.packages)


class Unreadable(ValueError):
    """What arrived is no value of loadmux."""


class Tag(IntEnum):
    """What a list of the message is; the rest of it are its parts."""

    LIST = 0
    TUPLE = 1
    MAPPING = 2
    SET = 3
    FROZEN = 4
    COUNTER = 5
    OBJECT = 6
    MEMBER = 7
    PART = 8
    WIDE = 9
    KEPT = 10


KEPT_FROM = 64
"""Bytes or characters from which on a text is sent once, however often it stands in a value."""
WIDE = 2**63
PLAIN = (type(None), bool, float)
GROUPED: dict[type, Tag] = {
    list: Tag.LIST,
    tuple: Tag.TUPLE,
    set: Tag.SET,
    frozenset: Tag.FROZEN,
}
MADE: dict[Tag, Callable[[Iterable[Any]], Any]] = {tag: kind for kind, tag in GROUPED.items()}
SIMPLE: dict[str, type | tuple[type, ...]] = {
    "bool": bool,
    "bytes": bytes,
    "float": (int, float),
    "int": int,
    "str": str,
    "dict": dict,
    "list": list,
}
"""Declared types that are looked at; the rest are values of ours, or of several kinds."""


class _Packing:
    """`names` of classes and long texts (`kept`) stand once in a message, and are numbered."""

    def __init__(self) -> None:
        self.names: dict[str, int] = {}
        self.kept: dict[str | bytes, int] = {}

    def _name(self, of: Any) -> int:
        return self.names.setdefault(f"{of.__module__}:{of.__qualname__}", len(self.names))

    def plain(self, value: Any) -> Any:
        """The value as what msgpack carries. Raises TypeError for what is no value."""
        kind = type(value)
        if kind in PLAIN:
            return value
        if kind is str or kind is bytes:
            if len(value) < KEPT_FROM:
                return value
            return [Tag.KEPT, self.kept.setdefault(value, len(self.kept))]
        if kind is int:
            return value if -WIDE <= value < WIDE else [Tag.WIDE, str(value)]
        if kind in GROUPED:
            return [GROUPED[kind], *map(self.plain, value)]
        return self._made(value, kind)

    def _made(self, value: Any, kind: type) -> list[Any]:
        if issubclass(kind, dict):
            tag = Tag.COUNTER if kind is Counter else Tag.MAPPING
            return [tag, *(self.plain(one) for pair in value.items() for one in pair)]
        if kind is FunctionType or isinstance(value, type):
            return [Tag.PART, self._name(value)]
        if issubclass(kind, Enum):
            return [Tag.MEMBER, self._name(kind), value.name]
        if is_dataclass(kind):
            own = (self.plain(getattr(value, name)) for name, _ in parts_of(kind))
            return [Tag.OBJECT, self._name(kind), *own]
        if issubclass(kind, tuple):
            return [Tag.OBJECT, self._name(kind), *map(self.plain, value)]
        raise TypeError(f"{kind.__qualname__} is no value that travels")


@cache
def parts_of(kind: Any) -> list[tuple[str, type | tuple[type, ...] | None]]:
    """The fields of a dataclass, and what they have to be, where that is simple."""
    return [(one.name, SIMPLE.get(str(one.type).partition("[")[0])) for one in fields(kind)]


class _Reading:
    def __init__(self, names: list[str], kept: list[str | bytes]) -> None:
        self._found = [(_found(name), name) for name in names]
        self._kept = kept

    def value(self, plain: Any) -> Any:
        if type(plain) is not list:
            return plain
        tag = Tag(plain[0])
        if tag is Tag.KEPT:
            return self._kept[index(plain[1])]
        if tag is Tag.WIDE:
            return int(plain[1])
        if tag in (Tag.OBJECT, Tag.MEMBER, Tag.PART):
            return self._named(tag, *self._found[index(plain[1])], plain[2:])
        inner = [self.value(one) for one in plain[1:]]
        if tag in MADE:
            return MADE[tag](inner)
        pairs = dict(zip(inner[::2], inner[1::2], strict=True))
        return Counter(pairs) if tag is Tag.COUNTER else pairs

    def _named(self, tag: Tag, found: Any, name: str, rest: list[Any]) -> Any:
        value = is_value(found)
        if tag is Tag.PART and not value and not rest:
            return found
        if tag is Tag.MEMBER and value and issubclass(found, Enum):
            (member,) = rest
            return found[member]
        if tag is Tag.OBJECT and value and not issubclass(found, Enum):
            return self._object(found, [self.value(one) for one in rest])
        raise Unreadable(f"{name} is no such value of loadmux")

    def _object(self, kind: Any, values: list[Any]) -> Any:
        if issubclass(kind, tuple):
            return kind(*values)
        made = object.__new__(kind)
        for (name, simple), value in zip(parts_of(kind), values, strict=True):
            if simple is not None and not isinstance(value, simple):
                raise Unreadable(f"{kind.__qualname__}.{name} is no {type(value).__name__}")
            object.__setattr__(made, name, value)
        return made


def index(number: object) -> int:
    """A place in a list of the message. Raises Unreadable for anything else."""
    if type(number) is not int or number < 0:
        raise Unreadable("what a message refers to is not there")
    return number


@cache
def installed() -> _Plugins:
    return _Plugins()


def _found(name: str) -> Any:
    """The class, or the plugin's part, of this name. Raises Unreadable for any other."""
    module, _, qualified = name.partition(":")
    if module in ALLOWED:
        found = getattr(import_module(module), qualified, None)
        # A module has what it imports, too.
        if is_value(found) and found.__module__ in ALLOWED:
            return found
    elif installed().own(module):
        found = getattr(import_module(module), qualified, None)
        if is_value(found) and installed().own(found.__module__):
            return found
        if any(found is part for part in installed().parts):
            return found
    raise Unreadable(f"{name} is no value of loadmux")


def is_value(found: object) -> bool:
    """Whether this is a class whose objects are values."""
    if not isinstance(found, type):
        return False
    named = issubclass(found, tuple) and hasattr(found, "_fields")
    return named or is_dataclass(found) or issubclass(found, Enum)


def pack(value: object, what: str) -> bytes:
    """The value as bytes. Raises UsageError, naming `what`, for more than LARGEST of them."""
    packing = _Packing()
    plain = packing.plain(value)
    data: bytes = msgpack.packb(
        [list(packing.names), list(packing.kept), plain], unicode_errors="surrogatepass"
    )
    if len(data) > LARGEST:
        raise UsageError(
            f"{what}: with all the files that it names it takes {len(data)} bytes, more than the"
            f" {LARGEST} that are sent to workers"
        )
    return data


Value = TypeVar("Value")


def unpack(data: object, kind: type[Value]) -> Value:
    """What `pack` was given, an object of the class `kind`. Raises Unreadable for anything else."""
    if not isinstance(data, bytes) or len(data) > LARGEST:
        raise Unreadable("it is no message of loadmux, or too large")
    try:
        names, kept, plain = msgpack.unpackb(
            data, unicode_errors="surrogatepass", max_map_len=0, max_ext_len=0
        )
        value = _Reading(names, kept).value(plain)
    except Unreadable:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise Unreadable(f"it is no message of loadmux: {error!r}") from None
    if not isinstance(value, kind):
        raise Unreadable(f"it is a {type(value).__name__}, not a {kind.__name__}")
    return value
