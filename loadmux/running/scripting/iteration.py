"""An iteration that is the author's code: what it asked for, what ended it, whom it may wait for.

Whatever ends one of the user's own awaits, but a mistake of the function, ends the iteration: it is
raised again at each later await. What is awaited must be the user's own; anything else would wait
for a loop that does not run, and gets a RuntimeError at that line.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from functools import partial
from time import perf_counter
from types import coroutine
from typing import Any, TypeVar

from loadmux.driver.awaiting import name_owed
from loadmux.driver.branch import Branch, Side, together
from loadmux.driver.connection import Connection
from loadmux.driver.duplex import SOON
from loadmux.driver.loop import Interrupted, sleep_until
from loadmux.driver.user import VirtualUser
from loadmux.errors import DriverFault, Evidence, Fault, Kind, ScriptFailed
from loadmux.language.sources import usercode
from loadmux.running.scripting.asking import Library, Ready

ASYNCIO = "asyncio does not run here; use user.sleep, user.together and the user's sockets"
NO_LOOP = "no running event loop"


class Iteration:
    """Made anew for each call of the function.

    `over` is what has ended it; `inside` are those, of the user and its branches, that are in an
    await of ours; `task` is the one that runs. `unawaited` counts what was called, not yet awaited.
    """

    __slots__ = ("folder", "inside", "library", "over", "task", "unawaited")

    def __init__(self, task: VirtualUser, library: Library, folder: str) -> None:
        self.task = task
        self.library = library
        self.folder = folder
        self.over: BaseException | None = None
        self.inside: set[VirtualUser] = set()
        self.unawaited = 0

    def promise(self, work: Coroutine[Any, Any, Result]) -> Coroutine[Any, Any, Result]:
        self.unawaited += 1
        return self._kept(work)

    async def _kept(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Await what is ours; whatever ends it but a mistake of the function ends the iteration."""
        self.unawaited -= 1
        task = self.task
        if self.over is not None:
            work.close()
            raise self.over
        self.inside.add(task)
        try:
            return await work
        except (ValueError, TypeError):
            raise
        except BaseException as error:
            self.over = self.over or error
            raise
        finally:
            self.inside.discard(task)

    async def perform(self, ready: Ready) -> bytes:
        """What `_kept` does, for a step on sockets: one coroutine less for every exchange."""
        self.unawaited -= 1
        task = self.task
        if self.over is not None:
            raise self.over
        connections = [task.connections[index] for index in ready.sockets]
        for connection in connections if ready.alone else ():
            if connection.unanswered:
                text = "what was sent on it before has no reply yet; the rule cannot judge both"
                raise ValueError(f"socket {connection.name!r}: {text}")
        self.inside.add(task)
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
            self.over = self.over or error
            raise
        finally:
            self.inside.discard(task)
        if ready.saved is not None:
            assert task.variables is not None
            return task.variables.pop(ready.saved)
        return connections[-1].last if ready.replies else b""

    async def branches(
        self, works: Sequence[Coroutine[Any, Any, Any]], where: tuple[str, int]
    ) -> list[Any]:
        results: list[Any] = [None] * len(works)

        async def body(branch: Branch, number: int, work: Coroutine[Any, Any, Any]) -> None:
            results[number] = await self.lead(work, branch, where)

        bodies = [partial(body, number=n, work=work) for n, work in enumerate(works)]
        try:
            await together(self.task, bodies)
        finally:
            for work in works:
                work.close()
        return results

    async def lead(
        self, work: Awaitable[Any], task: VirtualUser, where: tuple[str, int] | None = None
    ) -> Any:
        """Run the author's code as `task`; `where` it was called, if that is known.

        Raises what ended the iteration, or ScriptFailed.
        """
        try:
            return await guarded(work, self, task)
        except (Fault, DriverFault, ScriptFailed) as error:
            raise self.over or error from None
        except (Exception, SystemExit) as error:
            if self.over is not None:
                raise self.over from None
            if isinstance(error, RuntimeError) and NO_LOOP in str(error):
                error = RuntimeError(ASYNCIO).with_traceback(error.__traceback__)
            caller = None if where is None else f"{where[0]}:{where[1]}"
            failed = usercode.failed(error, self.folder, caller)
            checked = isinstance(error, AssertionError)
            self.over = wrong(failed.where, failed.what) if checked else failed
            raise self.over from None


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
def guarded(
    work: Awaitable[Any], iteration: Iteration, task: VirtualUser
) -> Generator[None, Any, Any]:
    """Run the author's code, and stop it where it waits for something that is not ours.

    Our two traps yield None, and only while one of the user's own awaits is under way.
    """
    assert isinstance(work, Coroutine)
    resume: Callable[[Any], Any] = work.send
    value: Any = None
    while True:
        iteration.task = task
        try:
            wish = resume(value)
        except StopIteration as stop:
            return stop.value
        if wish is not None or task not in iteration.inside:
            resume, value = work.throw, RuntimeError(ASYNCIO)
            continue
        try:
            value = yield
            resume = work.send
        except BaseException as error:
            resume, value = work.throw, error
