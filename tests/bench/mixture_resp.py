"""Mixtures of RESP2 and RESP3: every type, nested, inline commands, pipelines, pushes, attributes.

A command is `[E, KIND, TEXT]`: a value of this kind with the text in it.
"""

from __future__ import annotations

import random
from typing import Any

from mixture_server import Answer, Told
from mixture_steps import On, Step, Steps, Text
from mixture_talking import Conversation

CRLF = b"\r\n"


def bulk(data: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(data), data)


VALUES: dict[str, Any] = {
    "simple": (lambda t: b"+%s\r\n" % t, lambda t: t),
    "bulk": (bulk, lambda t: t),
    "number": (lambda t: b":%d\r\n" % len(t), lambda t: len(t)),
    "nil": (lambda t: b"$-1\r\n", lambda t: None),
    "null": (lambda t: b"_\r\n", lambda t: None),
    "no list": (lambda t: b"*-1\r\n", lambda t: None),
    "list": (lambda t: b"*2\r\n" + bulk(t) + b":7\r\n", lambda t: [t, 7]),
    "nested": (
        lambda t: b"*3\r\n*2\r\n" + bulk(t) + b"*0\r\n$-1\r\n+OK\r\n",
        lambda t: [[t, []], None, "OK"],
    ),
    "map": (lambda t: b"%1\r\n+key\r\n" + bulk(t), lambda t: {"map": {"key": t}}),
    "error": (lambda t: b"-ERR %s\r\n" % t, lambda t: {"error": f"ERR {t}"}),
    "double": (lambda t: b",1.5\r\n", lambda t: 1.5),
    "true": (lambda t: b"#t\r\n", lambda t: True),
    "set": (lambda t: b"~2\r\n:3\r\n" + bulk(t), lambda t: [t, 3]),
    "verbatim": (lambda t: b"=%d\r\ntxt:%s\r\n" % (len(t) + 4, t), lambda t: t),
    "attribute": (
        lambda t: b"|1\r\n+ttl\r\n:9\r\n*2\r\n|1\r\n+a\r\n+b\r\n:1\r\n" + bulk(t),
        lambda t: [1, t],
    ),
}
"""What the server says for a text, and what is expected of it."""
WORDLESS = ("number", "nil", "null", "no list", "double", "true")
"""Here the length of the text must be known, or it does not matter."""


class Resp(Conversation):
    lies = ("flip", "drop", "late", "dup", "close", "reset", "cut", "junk")
    junk = b"+JUNK\r\n"

    def __init__(self, chance: random.Random, lie: str) -> None:
        super().__init__(chance, lie)
        self.framed, self.pushes = chance.random() < 0.4, chance.choice((0.0, 0.0, 0.3))

    # --- the server's side ---

    def hears(self, heard: bytes) -> tuple[bytes, bytes] | None:
        """The words, joined by line feeds."""
        if not heard.startswith(b"*"):
            line, found, rest = heard.partition(CRLF)
            return (line.replace(b" ", b"\n", 2), rest) if found else None
        head, found, rest = heard.partition(CRLF)
        words = []
        for _ in range(int(head[1:]) if found else 1):
            size, found, rest = rest.partition(CRLF)
            if not found or len(rest) < int(size[1:]) + 2:
                return None
            end = int(size[1:])
            words.append(rest[:end])
            rest = rest[end + 2 :]
        return b"\n".join(words), rest

    def answers(self, request: bytes, chance: random.Random) -> list[Answer]:
        _, kind, text = request.split(b"\n", 2)
        said = VALUES[kind.decode()][0](text)
        word = text.split(b" ")[0].decode()
        flip = said.index(text) if text in said else 1
        made = [Answer(said, word, flip)]
        if chance.random() < self.pushes:
            pushed = Answer(b">2\r\n+message\r\n+hello\r\n", reply=False)
            made.insert(chance.randint(0, 1), pushed)
        return made

    def called(self, told: Told) -> set[str]:
        if told.lie == "flip":
            return {"corrupt", "mismatch", "timeout"}
        return {"duplicate", "surplus", "mismatch"} if told.lie == "dup" else set()

    # --- the client's ---

    def options(self, scheme: str) -> dict[str, Any]:
        return super().options(scheme) | ({"framing": "resp"} if self.framed else {})

    def asked(self, steps: Steps) -> tuple[Any, Any, Text]:
        """A command, its reply, and its text."""
        kind = self.chance.choice(list(VALUES))
        text = steps.text(known=True if kind == "number" else None)
        sent: Any = {"resp": ["E", kind, text.text]}
        if " " not in kind and self.chance.random() < 0.15:
            sent = f"E {kind} {text.text}\r\n"
        return sent, {"resp": self.wanted(kind, text)}, text

    def wanted(self, kind: str, text: Text) -> Any:
        form = self.chance.random()
        if kind in ("simple", "bulk", "verbatim") and form < 0.3:
            return {"regex": text.regex}
        if not self.lie and form > 0.9:
            return {"any": True}
        return VALUES[kind][1](text.text)

    def exchange(self, steps: Steps, on: On) -> list[Step]:
        kinds = (self._one, self._one, self._one, self._joined, self._pipelined)
        with steps.on(on):
            return self.chance.choice(kinds)(steps, on)

    def _one(self, steps: Steps, on: On) -> list[Step]:
        sent, reply, text = self.asked(steps)
        steps.owe(1, 1)
        step = {"name": text.word, "on": on, "send": sent, "expect": reply}
        if self.chance.random() < 0.2:
            step["pieces"] = self.chance.choice((3, [2, 9], 50)) if len(text.text) < 100 else 90
        return [step]

    def _joined(self, steps: Steps, on: On) -> list[Step]:
        asked = [self.asked(steps) for _ in range(self.chance.randint(2, 4))]
        steps.owe(len(asked), len(asked))
        word = "-".join(one[2].word for one in asked)
        send: Step = {"name": word, "on": on, "send": {"join": [one[0] for one in asked]}}
        if self.chance.random() < 0.5:
            return [{**send, "expect": [one[1] for one in asked]}]
        return [send] + [{"name": f"{one[2].word}-r", "on": on, "expect": one[1]} for one in asked]

    def _pipelined(self, steps: Steps, on: On) -> list[Step]:
        asked = [self.asked(steps) for _ in range(self.chance.randint(2, 4))]
        steps.owe(len(asked), len(asked))
        return [{"name": f"{one[2].word}-s", "on": on, "send": one[0]} for one in asked] + [
            {"name": f"{one[2].word}-r", "on": on, "expect": one[1]} for one in asked
        ]

    def duplex(self, steps: Steps, on: str) -> tuple[list[Step], list[Step]]:
        made = self._pipelined(steps, on)
        return made[: len(made) // 2], made[len(made) // 2 :]
