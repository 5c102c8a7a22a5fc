"""Mixtures of a target's rule over a stream without frames, however the two sides cut it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from mixture_server import Answer, Manner, Told
from mixture_steps import On, Step, Steps
from mixture_talking import Conversation

RULES: dict[str, Callable[[bytes], bytes]] = {
    "echo": lambda chunk: chunk,
    "upper": bytes.upper,
    "ok": lambda chunk: b"ok",
    "hello": lambda chunk: b"Hello Client!",
    "received": lambda chunk: b"Server received " + repr(chunk).encode(),
    "upper_sb": lambda chunk: chunk.upper() + b"_SB",
    "sink": lambda chunk: b"",
}
COUNTING = ("ok", "hello")
"""By these a lost reply, and one too many, may be right."""
EACH = ("echo", "upper")
"""By these an `expect` answers one `send`."""


class Rules(Conversation):
    counted = False
    sips = (500, 2048)
    lies = ("flip", "drop", "late", "dup", "junk", "close", "reset", "cut")

    def __init__(self, chance: random.Random, lie: str) -> None:
        super().__init__(chance, lie)
        able = list(RULES)
        if lie:
            able.remove("sink")
        if lie in ("drop", "dup", "late"):
            able = [one for one in able if one not in COUNTING]
        self.rule = chance.choice(able)

    def target(self, url: str) -> Any:
        return {"url": url, "reply": self.rule}

    def settle(self, manner: Manner) -> None:
        super().settle(manner)
        if manner.mode == "bytes" and self.rule == "received":
            manner.mode = "pieces"

    def counts(self, request: bytes) -> bool:
        return False

    def hears(self, heard: bytes) -> tuple[bytes, bytes] | None:
        return (heard, b"") if heard else None

    def answers(self, request: bytes, chance: random.Random) -> list[Answer]:
        said = RULES[self.rule](request)
        return [Answer(said, flip=chance.randrange(len(said)))] if said else []

    def called(self, told: Told) -> set[str]:
        """What a wrong chunk is called depends on what stands around it."""
        any_wrong = {"corrupt", "mismatch", "truncated", "surplus", "duplicate", "reordered"}
        if told.lie == "flip":
            further = {"surplus"} if self.rule in COUNTING else set()  # no word that may follow
            return {"corrupt", "mismatch", "reordered"} | further
        if told.lie in ("drop", "late"):
            return {"timeout", "truncated", *any_wrong}
        if told.lie in ("dup", "junk"):
            return any_wrong
        return {"closed", "reset", "truncated"} if told.lie == "cut" else set()

    def payload(self, steps: Steps) -> tuple[Any, str]:
        """A payload, and the name of its step."""
        text, chance = steps.text(), self.chance
        most = 2000 if self.rule == "received" else 40_000
        size = int(most ** chance.random()) + 1
        forms = (text.text, text.text, {"random": size}, {"repeat": "aB_", "times": size // 3 + 1},
                 {"join": [text.text, {"random": size}, "_SB"]}, "'", "\\\"'\n")  # fmt: skip
        return chance.choice(forms), text.word

    def send(self, steps: Steps, on: On, name: str = "") -> Step:
        payload, word = self.payload(steps)
        step: Step = {"name": word + name, "on": on, "send": payload}
        if self.chance.random() < 0.3:
            step["pieces"] = self.chance.choice((1000, 400, [100, 5000]))
            if self.chance.random() < 0.3:
                step["gap"] = "1ms"
        steps.owe(1, 1)
        return step

    def exchange(self, steps: Steps, on: On) -> list[Step]:
        with steps.on(on):
            step = self.send(steps, on)
            kind = self.chance.random()
            if kind < 0.6:
                return [{**step, "expect": self.reply(step)}]
            more = [step, self.send(steps, on)]
            more += [{"wait": "2ms"}] if self.chance.random() < 0.4 else []
            last = {"name": f"{step['name']}-r", "on": on, "expect": "reply"}
            if self.rule in EACH:
                return [*more, last, {**last, "name": f"{step['name']}-q"}]
            if kind < 0.8:
                return [*more, last]
            return [*more, {**self.send(steps, on), "expect": "reply"}]

    def reply(self, step: Step) -> Any:
        payload = step["send"]
        if self.rule == "echo" and self.chance.random() < 0.3:
            return "${sent}" if isinstance(payload, str) else "reply"
        return {"rule": self.rule} if self.chance.random() < 0.2 else "reply"

    def duplex(self, steps: Steps, on: str) -> tuple[list[Step], list[Step]]:
        if self.rule not in EACH:
            return [], []
        sends = [self.send(steps, on) for _ in range(self.chance.randint(1, 4))]
        return sends, [{"name": f"{one['name']}-r", "on": on, "expect": "reply"} for one in sends]

    def turn(self, steps: Steps, on: str) -> list[Step]:
        owed = "close" if self.lie else "owed"  # what nobody awaits may be lost
        kind = self.chance.choice(("close", owed, "reset", "half", "piled", "silent"))
        if kind == "owed":
            return [self.send(steps, on), {"close": on}]
        if kind == "reset":
            return [{"reset": on}]
        if kind == "half":
            last = {"name": "end", "on": on, "expect": "closed"}
            return [*self.exchange(steps, on), {"half_close": on}, last]
        if kind == "piled":
            more = [self.send(steps, on)]
            last = {"name": "taken", "on": on, "expect": "reply"}
            return [{"stop_reading": on}, *more, {"wait": "1ms"}, {"resume_reading": on}, last]
        if kind == "silent":
            return [{"name": "quiet", "on": on, "expect": {"silence": "1ms"}}]
        return [{"close": on}]
