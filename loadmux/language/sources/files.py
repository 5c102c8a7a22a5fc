"""What a scenario reads beside its own text: payloads of `file`, tables of feeders.

Everything goes through one `Files`, which knows a file only by the name that the scenario gives it
and keeps what it read. So a scenario can be handed on, to a process or a machine that has none of
its files, as its text and these contents (`Bundle`), and reads the same there.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from loadmux.checking.frozen import dataclass
from loadmux.units import quoted

LARGEST_FILE = 2**30
LARGEST_TOTAL = 2**30
"""Bytes that all the files of one scenario may hold together; each is counted once."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A scenario with everything it needs: `load(path, text=text, files=files)` needs no disk.

    `path` is what mistakes and reports call the scenario; `files` maps the names that the text uses
    to their contents, and are looked for beside `path` where it is None. `function` is the one
    that is meant, of the scenarios in a Python file. Picklable.
    """

    path: str
    text: str
    files: Mapping[str, bytes] | None
    function: str | None = None


class Files:
    """The files of one scenario, looked for in its `folder`; with `given`, only among those."""

    def __init__(self, folder: Path, given: Mapping[str, bytes] | None = None) -> None:
        self._folder = folder
        self._given = given
        self._read: dict[str, bytes] = {}
        self._total = 0

    @property
    def contents(self) -> Mapping[str, bytes]:
        """What was read so far, by the names that the scenario uses."""
        return MappingProxyType(self._read)

    def read(self, name: str) -> bytes:
        """The contents of a file. Raises ValueError, with one line that says what is wrong."""
        known = self._read.get(name)
        if known is not None:
            return known
        data = self._from_disk(name) if self._given is None else self._from_given(name)
        if self._total + len(data) > LARGEST_TOTAL:
            raise ValueError(
                f"with {quoted(name)} the files of the scenario are more than {LARGEST_TOTAL}"
                " bytes in all"
            )
        self._total += len(data)
        self._read[name] = data
        return data

    def _from_given(self, name: str) -> bytes:
        assert self._given is not None
        if name not in self._given:
            raise ValueError(f"{quoted(name)} did not come with the scenario")
        return self._given[name]

    def _from_disk(self, name: str) -> bytes:
        if "\0" in name:
            raise ValueError(f"{quoted(name)} is not the name of a file")
        path = self._folder / name
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                raise ValueError(f"{quoted(name)} is not a regular file")
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_size <= LARGEST_FILE:
                    data = file.read(LARGEST_FILE + 1)
                    if len(data) <= LARGEST_FILE:
                        return data
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise ValueError(
                f"cannot read {quoted(name)}: {reason}; files are looked for beside the scenario"
            ) from None
        raise ValueError(f"{quoted(name)} is larger than {LARGEST_FILE} bytes")
