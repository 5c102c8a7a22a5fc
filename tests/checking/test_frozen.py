"""Our data classes are those of the standard library in all that anybody asks of them."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from loadmux.checking import frozen
from loadmux.plugins.payloads import Data, Text


def made(dataclass: Callable[..., Callable[[type], type]]) -> Any:
    @dataclass(frozen=True, slots=True)
    class Value:
        """A value."""

        KIND: ClassVar[str] = "of both"
        first: int
        second: str | None = None
        several: list[int] = dataclasses.field(default_factory=list)
        unseen: int = dataclasses.field(default=0, compare=False, repr=False)
        sum: int = dataclasses.field(init=False, default=7)

        @property
        def double(self) -> int:
            return 2 * self.first

    return Value


OURS, THEIRS = made(frozen.dataclass), made(dataclasses.dataclass)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [((1,), {}), ((1, "a"), {"several": [2]}), ((), {"first": 3, "unseen": 4})],
)
def test_values_are_made_and_shown_alike(arguments: Any, named: Any) -> None:
    ours, theirs = OURS(*arguments, **named), THEIRS(*arguments, **named)
    assert repr(ours) == repr(theirs)
    assert dataclasses.asdict(ours) == dataclasses.asdict(theirs)
    assert dataclasses.replace(ours, first=9).first == 9
    assert ours.double == theirs.double
    assert not hasattr(ours, "__dict__")
    assert OURS.__match_args__ == THEIRS.__match_args__
    assert list(inspect.signature(OURS).parameters) == list(inspect.signature(THEIRS).parameters)


def test_wrong_arguments_are_refused() -> None:
    for wrong, named in (((), {}), ((1,), {"third": 2}), ((1, None, [], 0, 7), {})):
        with pytest.raises(TypeError):
            OURS(*wrong, **named)


def test_equal_are_values_of_one_class_with_equal_fields() -> None:
    assert OURS(1, "a") == OURS(1, "a", unseen=5)
    assert OURS(1, "a") != OURS(1, "b")
    assert OURS(1, "a") != THEIRS(1, "a")
    assert Text(("a",)) == Text(("a",))
    assert hash(Data(b"a")) == hash(Data(b"a"))
    assert len({Data(b"a"), Data(b"a"), Data(b"b")}) == 2
    with pytest.raises(TypeError, match="unhashable"):
        hash(OURS(1))  # of its list


def test_nobody_changes_them() -> None:
    value = Data(b"a")
    with pytest.raises(dataclasses.FrozenInstanceError):
        value.data = b"b"  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        del value.data


def test_they_travel() -> None:
    value = Text(("a", "b"))
    assert pickle.loads(pickle.dumps(value)) == value
    assert copy.deepcopy(value) == copy.copy(value) == value


def test_what_inherits_fields_is_theirs() -> None:
    @frozen.dataclass(frozen=True, slots=True)
    class More(Data):
        count: int = 1

    assert More(b"a") == More(b"a", 1)
    assert More(b"a") != Data(b"a")
    assert pickle.dumps(Data(b"a"))
