"""What YAML cannot say, in Python: scenarios, and functions that a scenario calls.

    from loadmux.running.scripting import User, scenario

    @scenario(target={"bundled": "epoll", "reply": "echo"}, sockets=["alice", "bob"], users=50)
    async def chat(user: User) -> None:
        await user["alice"].exchange("hello", expect="hello")

The function runs on loadmux's own loop, as one iteration of one user, by the same compiled steps
and checks as YAML. What it asks for is compiled when it is first asked for, and kept.

A fault of the target ends the iteration, whatever the function catches: each later await raises it
again, and it is raised once more when the function returns. `user.fail(TEXT)`, and an
AssertionError that the function raises, are such faults, of the kind `check`. Any other exception
of the function is a mistake of the scenario: the iteration ends as after a fault, the error is
counted and reported with its place, the target is not blamed, and the run is no pass.

Nothing else that can be awaited works here (asyncio, trio): it would wait for a loop that does not
run. It raises RuntimeError at that line.
"""

from __future__ import annotations

import random
import sys
from collections.abc import (
    Awaitable,
    Callable,
    Collection,
    Coroutine,
    Generator,
    Iterator,
    Mapping,
    MutableMapping,
    Sequence,
)
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from types import coroutine
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypedDict, TypeVar, Unpack

from loadmux.checking.datagrams import LARGEST
from loadmux.checking.rules import Rule
from loadmux.driver.branch import Branch, Side, together
from loadmux.driver.connection import Connection, Plan, name_owed
from loadmux.driver.duplex import SOON
from loadmux.driver.loop import Interrupted, sleep_until
from loadmux.driver.pool import PooledUser
from loadmux.driver.user import Operation, VirtualUser
from loadmux.errors import DriverFault, Evidence, Fault, Kind, ScriptFailed
from loadmux.language import usercode
from loadmux.language.scenario import (
    ByRule,
    Exactly,
    Exchange,
    Expect,
    Length,
    OnSockets,
    Scenario,
    Send,
    Step,
    Until,
)
from loadmux.measuring.stats import StepStats
from loadmux.plugins.payloads import Data
from loadmux.running import steps
from loadmux.running.intended import FromIntendedStart
from loadmux.running.transactions import Act

if TYPE_CHECKING:
    from loadmux.plugins.registry import Registry

__all__ = ["Payload", "Reply", "Sockets", "User", "Variables", "scenario"]

Payload = str | bytes | Mapping[str, Any]
"""A text (sent as it is, UTF-8), bytes, or one of the language's forms: `{"random": 64}`."""

Reply = str | bytes | Mapping[str, Any] | Sequence[Any]
"""`"reply"`, `"closed"`, a text or bytes (exactly these), or a form such as `{"length": 4}`."""

ASYNCIO = "asyncio does not run here; use user.sleep, user.together and the user's sockets"
NO_LOOP = "no running event loop"
WORDS = frozenset({"reply", "closed"})
NOT_PLAIN = ("closed", "", b"")
PLAIN = frozenset({"send", "expect", "name", "within"})
TIMES = frozenset({"within", "gap"})
SIDES: Mapping[str, Side] = {
    "half_close": "send",
    "stop_reading": "expect",
    "resume_reading": "expect",
}
KEPT_OPERATIONS = 4096
SMALL_REPLY = 2048
SAMPLES = ({"send": b"x", "expect": b"x"}, {"send": b"x", "expect": "reply"}, {"send": b"x"})


# --- the scenario ---------------------------------------------------------------------------------


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


# --- what a function asks for, compiled once ------------------------------------------------------


class Compiler(Protocol):
    """What turns a step into an operation while the run is on.

    `rule_of` is the rule of a socket's target; `column` reads a feeder's column in the user's row.
    `plugin_rules` are the rules of plugins that were loaded, by name.
    """

    scenario: Scenario
    plugin_rules: dict[str, Rule]

    def operation(self, step: Step) -> Operation: ...

    def rule_of(self, socket: int) -> str | None: ...

    def column(self, name: str, column: str) -> steps.Render: ...

    def transaction(self, name: str) -> StepStats: ...


@dataclass(frozen=True, slots=True)
class Ready:
    """A compiled step. `saved` names the variable that takes the reply, where it may be large.

    `alone`: checked by a rule that the target did not declare, so nothing else may be under way.
    `side`: what it does on its sockets.
    """

    operation: Operation
    sockets: tuple[int, ...]
    replies: bool = False
    saved: str | None = None
    alone: bool = False
    side: Side = "both"


class Library:
    """The steps that a scenario's code has asked for so far, shared by all users of a process.

    `exchanges` has those that are a payload and a reply in plain texts or bytes, by sockets,
    payload, reply, name and time-out: a look there is all that such an exchange costs. `told` is
    put around each, where somebody wants to be told of it.
    """

    def __init__(self, compiler: Compiler) -> None:
        self.compiler = compiler
        self.columns = {
            f"{name}.{column}": compiler.column(name, column)
            for name, feeder in compiler.scenario.feeders.items()
            for column in feeder.columns
        }
        self.exchanges: dict[tuple[object, ...], Ready] = {}
        self._known: dict[tuple[object, ...], Ready] = {}
        self._plain: dict[tuple[object, ...], Exchange] = {}
        self._registry: Registry | None = None
        self.told: Callable[[Operation], Operation] | None = None

    def ready(self, user: VirtualUser, action: str, on: On, **words: Any) -> Ready:
        """The operation for `action` with the modifiers `words`. Raises ValueError."""
        key: tuple[object, ...] = (action, on, *words.values())
        try:
            return self._known[key]
        except KeyError:
            pass
        except TypeError:
            key = (action, on, *map(repr, words.values()))
            if key in self._known:
                return self._known[key]
        given = {name: duration(name, word) for name, word in words.items() if word is not None}
        if action == "exchange":
            made = self._exchange(user, on, given)
        else:
            made = self._on_sockets(user, action, on, given)
        if len(self._known) >= KEPT_OPERATIONS:
            self._known.clear()
            self.exchanges.clear()
        if self.told is not None:
            made = replace(made, operation=self.told(made.operation))
        self._known[key] = made
        if PLAIN.issuperset(given) and isinstance(words.get("send"), str | bytes):
            plain = (on, words["send"], words["expect"], words["name"], words["within"])
            if isinstance(words["expect"], str | bytes):
                self.exchanges[plain] = made
        return made

    def _on_sockets(self, user: VirtualUser, action: str, on: On, words: dict[str, Any]) -> Ready:
        step = self._read(tuple(user.variables or ()), {action: listed(on), **words})
        assert isinstance(step, OnSockets)
        return Ready(self.compiler.operation(step), step.sockets, side=SIDES.get(action, "both"))

    def _exchange(self, user: VirtualUser, on: On, words: dict[str, Any]) -> Ready:
        send, expect = words.get("send"), words.get("expect")
        plain = isinstance(send, str | bytes | None) and isinstance(expect, str | bytes | None)
        cut = "pieces" in words or "until" in words
        whole = send not in ("", b"") and not cut and self._fits(send)
        if plain and whole and expect not in NOT_PLAIN:
            step = self._plain_exchange(tuple(user.variables or ()), on, words)
        else:
            step = self._read_exchange(tuple(user.variables or ()), on, words)
        if step.expect is None:
            return Ready(self.compiler.operation(step), step.sockets, side="send")
        side: Side = "expect" if step.send is None else "both"
        alone = self._judged_alone(step)
        operation, saved = self.compiler.operation(step), None
        timed = operation.step if isinstance(operation, FromIntendedStart) else operation
        if isinstance(timed, steps.Exchange):
            if not kept_whole(step, timed.plan):
                saved = f".reply {step.sockets[-1]}"
                step = replace(step, expect=replace(step.expect, save=saved))
                operation = self.compiler.operation(step)
            return Ready(operation, step.sockets, True, saved, alone, side)
        return Ready(operation, step.sockets, side=side)

    def _fits(self, send: object) -> bool:
        """Whether it is a payload of a size that every socket can send."""
        large = isinstance(send, str | bytes) and len(encoded(send)) > LARGEST
        return not (large and self.compiler.scenario.datagrams)

    def _plain_exchange(self, known: Collection[str], on: On, words: dict[str, Any]) -> Exchange:
        """Constant bytes there and back need no reading: only the rest of the step is read once."""
        send, expect = words.get("send"), words.get("expect")
        same = expect if expect is None or expect == "reply" else b"x"
        key = (on, words.get("name"), words.get("within"), send is None, same)
        step = self._plain.get(key)
        if step is None:
            samples = {"send": None if send is None else b"x", "expect": same}
            given = {name: word for name, word in samples.items() if word is not None}
            step = self._plain[key] = self._read_exchange(known, on, {**words, **given})
        if send is not None:
            step = replace(step, send=Send(Data(encoded(send))))
        if expect is not None and expect != "reply":
            step = replace(step, expect=Expect(Exactly(Data(encoded(expect)))))
        return step

    def _read_exchange(self, known: Collection[str], on: On, words: dict[str, Any]) -> Exchange:
        send, expect = words.get("send"), words.get("expect")
        words = {"on": listed(on), **words}
        if isinstance(send, str):
            words["send"] = send.encode()
        if isinstance(expect, str) and expect not in WORDS:
            words["expect"] = expect.encode()
        both = send is not None and expect is not None
        action = "exchange" if both else "send" if expect is None else "expect"
        words.setdefault("name", f"{action} {','.join(on)}")
        step = self._read(known, words)
        assert isinstance(step, Exchange)
        return step

    def prepare(self, source: str) -> None:
        """Load what the author's code, whose text is `source`, may ask for while it runs.

        The reader of steps are 97 modules: 90 ms of CPU, in which the loop would stand still. A
        plugin is loaded where the text quotes its name; one that is broken says so when it is used.
        """
        from loadmux.plugins.registry import PluginError, Registry

        self._registry = registry = Registry()
        for group in ("framers", "steps", "rules"):
            for name in registry.names(group):
                if f'"{name}"' in source or f"'{name}'" in source:
                    with suppress(PluginError):
                        registry.load(group, name)
        for socket in self.compiler.scenario.sockets:
            for words in SAMPLES:
                with suppress(ValueError):
                    self._plain_exchange((), (socket.name,), dict(words))
        try:
            raise LookupError
        except LookupError as error:  # a traceback's modules are imported with the first one
            usercode.failed(error, "")

    def _read(self, known: Collection[str], step: Mapping[str, object]) -> Step:
        # Here, not above: a generator process that runs no such code needs no YAML reader.
        from loadmux.language.one import read_step

        assert self._registry is not None
        found = read_step(self.compiler.scenario, known, step, self._registry)
        self.compiler.plugin_rules.update(self._registry.rules())
        return found

    def _judged_alone(self, step: Exchange) -> bool:
        """Whether the reply's rule is not the target's own; see Ready. Raises ValueError."""
        assert step.expect is not None
        reply = step.expect.reply
        if not isinstance(reply, ByRule) or reply.rule is None:
            return False
        others = {self.compiler.rule_of(socket) for socket in step.sockets} - {reply.rule}
        for rule in others - {None}:
            text = f"the target replies by the rule {rule!r}, and this expects {reply.rule!r}"
            raise ValueError(text)
        if others and step.send is None:
            raise ValueError(
                "a rule can judge a reply that is not awaited at once only if the target names it:"
                f" write 'reply': {reply.rule!r} in the scenario's target"
            )
        return bool(others)


On = tuple[str, ...]
"""Names of sockets."""


def listed(on: On) -> str | list[str]:
    return on[0] if len(on) == 1 else list(on)


def duration(name: str, word: object) -> object:
    """A time in seconds as the language writes it."""
    if name in TIMES and isinstance(word, int | float):
        return f"{round(word * 1e6)}us"
    return word


def encoded(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


def kept_whole(step: Exchange, plan: Plan | None) -> bool:
    """Whether the connection's `last` is the reply: it has the end of a stream's, as it came."""
    assert step.expect is not None
    plain = isinstance(step.expect.reply, Exactly | ByRule | Length | Until)
    if not plain or (step.send is not None and step.send.pieces):
        return False
    return plan is not None and len(plan.likely) <= SMALL_REPLY


# --- what a function sees -------------------------------------------------------------------------


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


class User:
    """The user whose iteration the function is; made anew for each call of it.

    `user["alice"]` is a socket, `user["a", "b"]` two of them, `user["group"]` a group. All times
    are in seconds. What is called but not awaited is an error when the function ends.
    """

    __slots__ = ("_folder", "_inside", "_library", "_over", "_task", "_unawaited")

    def __init__(self, task: VirtualUser, library: Library, folder: str) -> None:
        self._task = task
        self._library = library
        self._folder = folder
        self._over: BaseException | None = None
        self._inside: set[VirtualUser] = set()
        self._unawaited = 0

    @property
    def number(self) -> int:
        """From 0, unique over all generator processes."""
        return self._task.number

    @property
    def iteration(self) -> int:
        """From 0, for each user."""
        return self._task.iteration

    @property
    def random(self) -> random.Random:
        """The user's own source of chance, from the run's seed."""
        return self._task.random

    @property
    def variables(self) -> Variables:
        return Variables(self._task, self._library)

    def __getitem__(self, names: str | tuple[str, ...]) -> Sockets:
        return Sockets(self, (names,) if isinstance(names, str) else names)

    def sleep(self, seconds: float) -> Coroutine[Any, Any, None]:
        """Wait for so long."""
        if not seconds >= 0:
            raise ValueError(f"user.sleep takes seconds, not {seconds!r}")
        return self._promise(self._sleep(seconds))

    def barrier(self, name: str) -> Coroutine[Any, Any, None]:
        """Wait until every running user is at the barrier of this name."""
        return self._promise(self._barrier(name))

    def together(self, *branches: Coroutine[Any, Any, Any]) -> Coroutine[Any, Any, list[Any]]:
        """Do all of these at once; their results in the same order, when all have ended.

        `await user.together(user["a"].exchange("x"), talk(user, "b"))`. No two branches may use
        the same socket, unless one only sends on it and the other only expects. The first fault
        cancels the others.
        """
        for one in branches:
            if not isinstance(one, Coroutine):
                raise TypeError(
                    f"user.together takes calls of async functions, not {type(one).__name__}"
                )
        caller = sys._getframe(1)
        return self._promise(self._branches(branches, (caller.f_code.co_filename, caller.f_lineno)))

    def transaction(self, name: str) -> Act:
        """`async with user.transaction("log in"):` times what is awaited in it as one row."""
        return Act(self._task, self._library.compiler.transaction(name))

    def fail(self, text: str) -> NoReturn:
        """Say that the target is wrong: a fault of the kind `check`, which ends the iteration.

        Raises it.
        """
        caller = sys._getframe(1)
        self._over = self._over or wrong(f"{caller.f_code.co_filename}:{caller.f_lineno}", text)
        raise self._over

    # --- within ---------------------------------------------------------------------------------

    def _promise(self, work: Coroutine[Any, Any, Result]) -> Coroutine[Any, Any, Result]:
        self._unawaited += 1
        return self._kept(work)

    async def _kept(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Await what is ours; whatever ends it but a mistake of the function ends the iteration."""
        self._unawaited -= 1
        task = self._task
        if self._over is not None:
            work.close()
            raise self._over
        self._inside.add(task)
        try:
            return await work
        except (ValueError, TypeError):
            raise
        except BaseException as error:
            self._over = self._over or error
            raise
        finally:
            self._inside.discard(task)

    async def _sleep(self, seconds: float) -> None:
        await self._task.pause(seconds)
        await self._task.give_way()

    async def _barrier(self, name: str) -> None:
        if isinstance(self._task, Branch):
            raise ValueError("a barrier cannot stand in a branch: the whole user waits")
        if isinstance(self._task, PooledUser):
            raise ValueError("a barrier needs a fixed number of users: no rate, ramps or phases")
        await steps.Barrier(f"barrier {name}", name).run(self._task)

    async def _perform(self, ready: Ready) -> bytes:
        """What `_kept` does, for a step on sockets: one coroutine less for every exchange."""
        self._unawaited -= 1
        task = self._task
        if self._over is not None:
            raise self._over
        connections = [task.connections[index] for index in ready.sockets]
        for connection in connections if ready.alone else ():
            if connection.unanswered:
                text = "what was sent on it before has no reply yet; the rule cannot judge both"
                raise ValueError(f"socket {connection.name!r}: {text}")
        self._inside.add(task)
        try:
            if isinstance(task, Branch) or connections[0].task is not task:
                await claimed(task, connections, ready.side)
            await ready.operation.run(task)
        except ValueError:
            raise
        except BaseException as error:
            if isinstance(error, Fault):
                error.evidence.step = error.evidence.step or ready.operation.name
            elif isinstance(error, Interrupted):
                name_owed(connections, ready.operation.name)
            self._over = self._over or error
            raise
        finally:
            self._inside.discard(task)
        if ready.saved is not None:
            assert task.variables is not None
            return task.variables.pop(ready.saved)
        return connections[-1].last if ready.replies else b""

    async def _branches(
        self, branches: Sequence[Coroutine[Any, Any, Any]], where: tuple[str, int]
    ) -> list[Any]:
        results: list[Any] = [None] * len(branches)

        async def body(branch: Branch, number: int, work: Coroutine[Any, Any, Any]) -> None:
            results[number] = await self._lead(work, branch, where)

        bodies = [partial(body, number=n, work=work) for n, work in enumerate(branches)]
        try:
            await together(self._task, bodies)
        finally:
            for work in branches:
                work.close()
        return results

    async def _lead(
        self, work: Awaitable[Any], task: VirtualUser, where: tuple[str, int] | None = None
    ) -> Any:
        """Run the author's code as `task`; `where` it was called, if that is known.

        Raises what ended the iteration, or ScriptFailed.
        """
        try:
            return await guarded(work, self, task)
        except (Fault, DriverFault, ScriptFailed) as error:
            raise self._over or error from None
        except (Exception, SystemExit) as error:
            if self._over is not None:
                raise self._over from None
            if isinstance(error, RuntimeError) and NO_LOOP in str(error):
                error = RuntimeError(ASYNCIO).with_traceback(error.__traceback__)
            caller = None if where is None else f"{where[0]}:{where[1]}"
            failed = usercode.failed(error, self._folder, caller)
            checked = isinstance(error, AssertionError)
            self._over = wrong(failed.where, failed.what) if checked else failed
            raise self._over from None


Result = TypeVar("Result")


def wrong(where: str, text: str) -> Fault:
    """What the author's code at `FILE:LINE` found wrong with the target."""
    return Fault(Evidence(Kind.CHECK, f"{where}: {text}"))


async def claimed(task: VirtualUser, connections: Sequence[Connection], side: Side) -> None:
    """Let a branch drive connections that nobody beside it drives, or but the other side of them.

    Raises ValueError.
    """
    for connection in connections:
        if isinstance(task, Branch):
            while not task.claim(connection, side):
                await sleep_until(task, perf_counter() + SOON)
        elif connection.task is not task:
            raise ValueError(f"two branches use the socket {connection.name!r} at once")


@coroutine
def guarded(work: Awaitable[Any], user: User, task: VirtualUser) -> Generator[None, Any, Any]:
    """Run the author's code, and stop it where it waits for something that is not ours.

    Our two traps yield None, and only while one of the user's own awaits is under way.
    """
    assert isinstance(work, Coroutine)
    resume: Callable[[Any], Any] = work.send
    value: Any = None
    while True:
        user._task = task
        try:
            wish = resume(value)
        except StopIteration as stop:
            return stop.value
        if wish is not None or task not in user._inside:
            resume, value = work.throw, RuntimeError(ASYNCIO)
            continue
        try:
            value = yield
            resume = work.send
        except BaseException as error:
            resume, value = work.throw, error


class Sockets:
    """One socket of a user, or several: then a send goes out on each before a reply is awaited.

    `name` is the row in the report (`exchange SOCKET` where none is given), `within` a time-out
    of the step's own; `pieces` and `gap` are as in YAML. Times are in seconds, or texts as in YAML.
    """

    __slots__ = ("_names", "_user")

    def __init__(self, user: User, names: tuple[str, ...]) -> None:
        self._user = user
        self._names = names

    def exchange(
        self,
        payload: Payload,
        expect: Reply = "reply",
        *,
        name: str | None = None,
        within: float | str | None = None,
        pieces: Any = None,
        gap: float | str | None = None,
    ) -> Coroutine[Any, Any, bytes]:
        """Send and await the checked reply; its bytes (the last socket's, if there are several).

        Those of `{"frame": ...}` are the frame's body.
        """
        user = self._user
        if pieces is None and gap is None:
            try:
                ready = user._library.exchanges[self._names, payload, expect, name, within]
            except (KeyError, TypeError):
                pass
            else:
                user._unawaited += 1
                return user._perform(ready)
        words = {"name": name, "within": within, "pieces": pieces, "gap": gap}
        return self._do("exchange", send=payload, expect=expect, **words)

    def send(
        self,
        payload: Payload,
        *,
        name: str | None = None,
        within: float | str | None = None,
        pieces: Any = None,
        gap: float | str | None = None,
        until: str | None = None,
    ) -> Coroutine[Any, Any, bytes]:
        """Send only: ends when the kernel took every byte; with `until="full"`, when it takes
        nothing more of it.
        """
        words = {"name": name, "within": within, "pieces": pieces, "gap": gap, "until": until}
        return self._do("exchange", send=payload, expect=None, **words)

    def expect(
        self, reply: Reply = "reply", *, name: str | None = None, within: float | str | None = None
    ) -> Coroutine[Any, Any, bytes]:
        """Await a checked reply; its bytes.

        It answers the oldest `send` that has no answer yet; else it is a receive (see `loadmux help
        expect`).
        """
        return self._do("exchange", send=None, expect=reply, name=name, within=within)

    def connect(
        self, *, name: str | None = None, within: float | str | None = None
    ) -> Coroutine[Any, Any, bytes]:
        """Connect now; otherwise the first use connects."""
        return self._do("connect", name=name, within=within)

    def start_tls(
        self, *, name: str | None = None, within: float | str | None = None
    ) -> Coroutine[Any, Any, bytes]:
        """TLS on the open connection, with the socket's `tls`."""
        return self._do("start_tls", name=name, within=within)

    def close(self, *, pending: str | None = None) -> Coroutine[Any, Any, bytes]:
        """Close in order; bytes that nobody asked for are a fault, unless `pending` is "drop"."""
        return self._do("close", pending=pending)

    def half_close(self) -> Coroutine[Any, Any, bytes]:
        """End the sending side."""
        return self._do("half_close")

    def reset(self) -> Coroutine[Any, Any, bytes]:
        """Close with a RST."""
        return self._do("reset")

    def stop_reading(self) -> Coroutine[Any, Any, bytes]:
        """Let replies pile up in the kernel."""
        return self._do("stop_reading")

    def resume_reading(self) -> Coroutine[Any, Any, bytes]:
        """Take them again."""
        return self._do("resume_reading")

    def _do(self, action: str, **words: Any) -> Coroutine[Any, Any, bytes]:
        user = self._user
        ready = user._library.ready(user._task, action, self._names, **words)
        user._unawaited += 1
        return user._perform(ready)


@dataclass(slots=True)
class Call:
    """The step that runs a function; `folder` is where the author's code is.

    `on_schedule`: the first exchange of its iteration takes up what delay the user has.
    """

    name: str
    function: usercode.AsyncFunction
    library: Library
    folder: str
    on_schedule: bool = False

    async def run(self, user: VirtualUser) -> None:
        if not self.on_schedule:
            user.late = 0.0
        script = User(user, self.library, self.folder)
        await script._lead(self.function(script), user)
        if script._over is not None:
            raise script._over
        if script._unawaited:
            text = "something that it called on the user was never awaited; write 'await'"
            raise ScriptFailed(usercode.where_of(self.function), text)
        await user.give_way()
