"""What others can add to loadmux, by entry points: the contracts of the four kinds. No I/O.

A distribution names an object for each plugin in its metadata (pyproject.toml):

    [project.entry-points."loadmux.framers"]      # or loadmux.steps, loadmux.rules,
    shout = "shouter:FRAMER"                      # loadmux.reporters
                                                  # the key is the name that scenarios use

- A **framer** (`Framer`) is a protocol: a framing for `framing: NAME` or `framing: {NAME: OPTIONS}`
  (see `framing`), and, if it wants, the payload form `send: {NAME: ...}` (`Outgoing`) and the
  reply form `expect: {NAME: ...}` (`Incoming`).
- A **step** (`Step`) is an action, `NAME: VALUE` (`Action`), that drives the sockets of the step.
- A **rule** is a `checking.rules.Rule` of this name, with module-level functions: it is pickled.
- A **reporter** is a function of one argument, the finished `report.model.Report`, that returns a
  text or bytes: `loadmux run --report NAME` prints them, `--report NAME=FILE` writes them.

A plugin is loaded when a scenario or the command line names it, never before. Whatever it makes
while a file is loaded is a value: frozen, comparable, and picklable, for it travels to generator
processes. What a YAML value says it reads through a `Spec`, which knows the place in the file and
raises `Refused` for whatever is wrong; texts may hold `${name}`, so they stay payloads until a step
runs, and are handed back as bytes (`parts`) in the order in which `payloads` lists them. What a
plugin raises besides is its own mistake: one line with its name, and a run that is inconclusive,
never a fault of the target.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Literal, NoReturn

from loadmux.checking.framing import Frame, Framing
from loadmux.checking.frozen import dataclass
from loadmux.checking.judging import RIGHT, Judgement
from loadmux.checking.verifying import Verifier
from loadmux.errors import Fault, Kind, LoadmuxError
from loadmux.plugins.payloads import Outgoing, Payload, Regex, Text

if TYPE_CHECKING:
    from random import Random

Group = Literal["framers", "steps", "rules", "reporters"]
GROUPS: dict[Group, str] = {
    "framers": "framer",
    "steps": "step",
    "rules": "rule",
    "reporters": "reporter",
}


@dataclass(frozen=True, slots=True)
class Plugin:
    """Who a plugin is: `entry` is its entry point's value, `MODULE:OBJECT`."""

    group: Group
    name: str
    distribution: str
    version: str
    entry: str

    def __str__(self) -> str:
        return f"{GROUPS[self.group]} {self.name!r} ({self.distribution} {self.version})"

    @property
    def package(self) -> str:
        """The top-level module in which its code is."""
        return self.entry.partition(":")[0].partition(".")[0].strip()


def told(plugin: Plugin, error: BaseException) -> str:
    """What a plugin raised, in one line: which plugin, what, and where in its code."""
    what = " ".join(str(error).split())
    name = type(error).__name__
    place = _place(error.__traceback__, plugin.package)
    return f"plugin {plugin}: {name}{': ' if what else ''}{what[:300]}{place}"


def blamed(error: BaseException, plugins: Collection[Plugin]) -> Plugin | None:
    """The plugin in whose code an exception was raised, or that called what raised it."""
    found = None
    trace = error.__traceback__
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        for plugin in plugins:
            whole = plugin.entry.partition(":")[0].strip()
            inside = module == whole or module.startswith(f"{plugin.package}.")
            if inside and (plugin.package != "loadmux" or module == whole):
                found = plugin
        trace = trace.tb_next
    return found


def _place(trace: TracebackType | None, package: str) -> str:
    """` (FILE:LINE)` of the innermost frame within a package; empty where there is none."""
    found = ""
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        if module == package or module.startswith(f"{package}."):
            found = f" ({trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})"
        trace = trace.tb_next
    return found


# --- reading a value of the file ----------------------------------------------------------------


class Refused(LoadmuxError):
    """A value of the file is wrong; the loader knows where it stands. Raised by a `Spec`."""


class Spec(ABC):
    """One YAML value of a scenario, as a plugin reads it. Everything here may raise `Refused`.

    `kind` is "mapping", "list", "text", "number", "boolean" or "nothing".
    """

    kind: str

    @abstractmethod
    def refuse(self, message: str) -> NoReturn:
        """Say in one line, with the remedy, why this value is wrong."""

    @abstractmethod
    def fields(self, keys: Collection[str]) -> Mapping[str, Spec]:
        """The values of a mapping that may have these keys and no other."""

    @abstractmethod
    def entries(self) -> Mapping[str, Spec]:
        """The values of a mapping with any keys."""

    @abstractmethod
    def items(self) -> Sequence[Spec]:
        """The values of a list."""

    @abstractmethod
    def text(self) -> Text:
        """A text, its `${name}`s to be replaced; a number or boolean is taken as written."""

    @abstractmethod
    def constant(self) -> str:
        """A text in which nothing is replaced."""

    @abstractmethod
    def payload(self) -> Payload:
        """Any PAYLOAD of the language."""

    @abstractmethod
    def integer(self, least: int = 0) -> int:
        """A whole number."""

    @abstractmethod
    def boolean(self) -> bool:
        """true or false."""

    @abstractmethod
    def size(self) -> int:
        """Bytes, at least one: `64`, `64KiB`."""

    @abstractmethod
    def duration(self) -> float:
        """Seconds: `10ms`, `5s`."""

    @abstractmethod
    def regex(self, replaced: bool = False) -> Regex:
        """A regular expression on bytes, whose named groups are names from here on.

        Only who asks for it `replaced` may get one with `texts`, and gives `source` their values.
        """

    @abstractmethod
    def define(self) -> str:
        """A text that is a name from here on, for what the plugin will `set`."""


# --- framers ------------------------------------------------------------------------------------


class Incoming:
    """What a reply form means: one frame, judged as a whole.

    `answers`: the same step sends the framer's own payload form, which this answers.
    """

    __slots__ = ()
    answers: ClassVar[bool] = False

    def payloads(self) -> tuple[Payload, ...]:
        return ()

    def captures(self) -> tuple[str, ...]:
        """The names that a right reply gives to parts of itself (`Judgement.captured`)."""
        return ()

    def over(self, framing: Framing) -> Framing:
        """The framing to read this reply by: the socket's, or a variant of it."""
        return framing

    def least(self, sizes: Sequence[int]) -> int:
        """Bytes that the body of the right frame has at least; `sizes` are those of `payloads`."""
        return 0

    def likely(self, parts: Sequence[bytes]) -> bytes | None:
        """The whole right reply as it most likely comes: if exactly this has come, it is right."""
        return None

    def judge(self, frame: Frame, parts: Sequence[bytes]) -> Judgement:
        """What is wrong with a frame, if anything. One that may answer nothing (`doubtful`) is
        wrong only where no right one comes behind it.
        """
        raise NotImplementedError

    def judge_opening(self, frame: Frame, parts: Sequence[bytes]) -> Judgement:
        """The same of its opening, while the body is still to come (`Decoder.opening`)."""
        return Judgement()


class Framer:
    """A protocol by name; an entry point names an instance.

    `framing` is the type of its framings. Forms on a socket without such a framing use
    `read_framing(None, ...)`, unless `own_socket`: then the socket must say `framing: NAME`.
    """

    framing: ClassVar[type[Framing]]
    own_socket: ClassVar[bool] = False

    def read_framing(self, options: Spec | None, max_size: int) -> Framing:
        """The framing that a socket asks for; `max_size` bytes are the most of a frame."""
        raise NotImplementedError

    def read_payload(self, spec: Spec) -> Outgoing:
        """The payload form."""
        spec.refuse("this framer has no payload form")

    def read_reply(self, spec: Spec) -> Incoming:
        """The reply form."""
        spec.refuse("this framer has no reply form")


# --- steps --------------------------------------------------------------------------------------


class Running(ABC):
    """A user in a step of a plugin: what it may do, with the checks that all steps have.

    `sockets` are the names of the step's sockets, `on` counts in them. Everything awaitable here
    raises `Fault` when the target is at fault; let it through.
    """

    user: int
    iteration: int
    random: Random
    sockets: Sequence[str]
    parts: Sequence[bytes]

    @abstractmethod
    async def send(self, payload: bytes, on: int = 0) -> None:
        """Send bytes (connects first where need be); done when the kernel took them all."""

    @abstractmethod
    async def expect(self, reply: bytes | Verifier, on: int = 0) -> bytes:
        """Await exactly these bytes, or what a verifier takes; what came, as `save` keeps it."""

    @abstractmethod
    async def exchange(self, payload: bytes, reply: bytes | Verifier, on: int = 0) -> bytes:
        """`send`, then `expect`."""

    @abstractmethod
    async def close(self, on: int = 0) -> None:
        """Close in order; the next use connects anew."""

    @abstractmethod
    async def wait(self, seconds: float) -> None:
        """Let time pass."""

    @abstractmethod
    def set(self, name: str, value: bytes) -> None:
        """Give `${name}` a value; `Action.defines` lists the name."""

    @abstractmethod
    def fault(self, kind: Kind, message: str, on: int = 0) -> Fault:
        """A fault of the target, to be raised."""


class Action:
    """What a step of a plugin means: read from the file, then run by each user."""

    __slots__ = ()

    def payloads(self) -> tuple[Payload, ...]:
        return ()

    def defines(self) -> tuple[str, ...]:
        """The names that it may `set`."""
        return ()

    async def run(self, running: Running) -> None:
        """Do it once; its time is the latency of the step's row. Awaits only `running`'s methods,
        and what these give back."""
        raise NotImplementedError


class Step:
    """A step by name; an entry point names an instance."""

    def read(self, spec: Spec) -> Action:
        """The action that the value after `NAME:` asks for."""
        raise NotImplementedError


RIGHT_REPLY = RIGHT
