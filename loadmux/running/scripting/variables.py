"""What `${name}` stands for, as the code of a scenario sees and sets it."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping

from loadmux.driver.user import VirtualUser
from loadmux.running.scripting.asking import Library, encoded


class Variables(MutableMapping[str, bytes]):
    """What `${name}` stands for, for this user: the scenario's variables and what was set since.

    `variables["account.login"]` is a column of a feeder, in the user's row, which cannot be set.
    Values are bytes; a text that is set becomes UTF-8.
    """

    def __init__(self, user: VirtualUser, library: Library) -> None:
        self._user = user
        self._constants = library.compiler.scenario.variables
        self._columns = library.columns

    def __getitem__(self, name: str) -> bytes:
        own = self._user.variables
        if own is not None and name in own:
            return own[name]
        if name in self._columns:
            return self._columns[name](self._user, "", b"")
        return self._constants[name].encode()

    def __setitem__(self, name: str, value: bytes | str) -> None:
        if name in self._columns:
            raise ValueError(f"{name!r} is a column of a feeder; set another name")
        self._user.set(name, encoded(value))

    def __delitem__(self, name: str) -> None:
        if self._user.variables is None:
            raise KeyError(name)
        del self._user.variables[name]

    def __iter__(self) -> Iterator[str]:
        own = self._user.variables or ()
        return iter(dict.fromkeys((*self._constants, *self._columns, *own)))

    def __len__(self) -> int:
        return sum(1 for _ in self)
