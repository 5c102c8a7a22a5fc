"""Alice and Bob, the two sockets of a user, talk at once; what each says depends on the answer."""

from __future__ import annotations

from loadmux.scripting import User, scenario

GREETINGS = ("hello", "good morning", "how do you do")


async def greet(user: User, who: str) -> bytes:
    """One greeting, and then the answer sent back in capitals."""
    greeting = f"{user.random.choice(GREETINGS)}, says {who} {user.number}"
    answer = await user[who].exchange(greeting, expect=greeting, name=f"{who} greets")
    return await user[who].exchange(answer.upper(), name=f"{who} shouts")


@scenario(
    description="Alice and Bob talk at once, then both wait for everybody else.",
    target={"bundled": "epoll", "reply": "echo"},
    sockets=["alice", "bob"],
    users=20,
    run_time="5s",
    thresholds=["errors == 0", "'alice shouts': p(99) < 250ms"],
)
async def chat(user: User) -> None:
    said = await user.together(greet(user, "alice"), greet(user, "bob"))
    if user.iteration % 10 == 0:
        await user.barrier("round")
    await user["alice", "bob"].exchange(b" and ".join(said), {"length": len(b" and ".join(said))})
