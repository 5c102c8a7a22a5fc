"""What YAML cannot say, in Python: scenarios, and functions that a scenario calls.

    from loadmux.scripting import User, scenario

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

from dataclasses import dataclass

from loadmux.driver.user import VirtualUser
from loadmux.errors import ScriptFailed
from loadmux.language.sources import usercode
from loadmux.running.scripting.asking import Library
from loadmux.running.scripting.iteration import Iteration
from loadmux.running.scripting.user import User


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
        iteration = Iteration(user, self.library, self.folder)
        await iteration.lead(self.function(User(iteration)), user)
        if iteration.over is not None:
            raise iteration.over
        if iteration.unawaited:
            text = "something that it called on the user was never awaited; write 'await'"
            raise ScriptFailed(usercode.where_of(self.function), text)
        await user.give_way()
