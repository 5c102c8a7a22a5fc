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
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from types import coroutine
from typing import Any, NoReturn, TypeVar

from loadmux.driver.awaiting import name_owed
from loadmux.driver.branch import Branch, Side, together
from loadmux.driver.connection import Connection
from loadmux.driver.duplex import SOON
from loadmux.driver.loop import Interrupted, sleep_until
from loadmux.driver.pool import PooledUser
from loadmux.driver.user import VirtualUser
from loadmux.errors import DriverFault, Evidence, Fault, Kind, ScriptFailed
from loadmux.language import usercode
from loadmux.running.asking import Library, Ready
from loadmux.running.defining import scenario
from loadmux.running.steps.transactions import Act
from loadmux.running.steps.waiting import Barrier
from loadmux.running.variables import Variables

__all__ = ["Payload", "Reply", "Sockets", "User", "Variables", "scenario"]

Payload = str | bytes | Mapping[str, Any]
"""A text (sent as it is, UTF-8), bytes, or one of the language's forms: `{"random": 64}`."""

Reply = str | bytes | Mapping[str, Any] | Sequence[Any]
"""`"reply"`, `"closed"`, a text or bytes (exactly these), or a form such as `{"length": 4}`."""

ASYNCIO = "asyncio does not run here; use user.sleep, user.together and the user's sockets"
NO_LOOP = "no running event loop"


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
        await Barrier(f"barrier {name}", name).run(self._task)

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
