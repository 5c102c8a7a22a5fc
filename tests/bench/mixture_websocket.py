"""Mixtures of WebSocket messages: text and binary, in fragments, pings amid them, pongs, closes."""

from __future__ import annotations

import random
from typing import Any

from mixture_server import Answer, Manner, Told
from mixture_steps import On, Step, Steps, Text
from mixture_talking import Conversation
from websocket_frames import OPCODES, accepted, served

NAMES = {code: name for name, code in OPCODES.items()}
CODES = (1000, 1001, 4000)


def message(what: str, body: bytes, chance: random.Random, pings: bool) -> tuple[bytes, int]:
    """A message in fragments, with pings between; and where its first byte is."""
    if not body or chance.random() < 0.6:
        whole = served(what, body)
        return whole, len(whole) - len(body)
    made, at, flip, opcode = b"", 0, 0, OPCODES[what]
    while at < len(body):
        part = body[at : at + chance.randint(1, len(body))]
        at += len(part)
        frame = served(what, part)
        frame = bytes([opcode | (0x80 if at == len(body) else 0)]) + frame[1:]
        flip = flip or len(made) + len(frame) - len(part)
        made, opcode = made + frame, 0
        if pings and at < len(body) and chance.random() < 0.3:
            made += served("ping", b"amid")
    return made, flip


class WebSocket(Conversation):
    lies = ("flip", "drop", "late", "dup", "junk", "close", "reset", "cut")
    junk = served("text", b"JUNK")

    def __init__(self, chance: random.Random, lie: str) -> None:
        super().__init__(chance, lie)
        self.pings = chance.random() < 0.4

    def settle(self, manner: Manner) -> None:
        super().settle(manner)
        if manner.scheme == "unix":
            manner.scheme = "tcp"

    # --- the server's side ---

    def hears(self, heard: bytes) -> tuple[bytes, bytes] | None:
        """The name of an opcode, a colon and the body; or the request for the upgrade."""
        if heard.startswith(b"GET "):
            head, found, rest = heard.partition(b"\r\n\r\n")
            return (head + found, rest) if found else None
        if len(heard) < 2:
            return None
        size, at = heard[1] & 127, 2
        if size > 125:
            width = 2 if size == 126 else 8
            size, at = int.from_bytes(heard[2 : 2 + width], "big"), 2 + width
        end = at + 4 + size
        if len(heard) < end:
            return None
        mask = heard[at : at + 4]
        body = bytes(one ^ mask[place % 4] for place, one in enumerate(heard[at + 4 : end]))
        return NAMES[heard[0] & 15].encode() + b":" + body, heard[end:]

    def counts(self, request: bytes) -> bool:
        return request.startswith((b"text:", b"binary:", b"ping:"))

    def answers(self, request: bytes, chance: random.Random) -> list[Answer]:
        if request.startswith(b"GET "):
            return [Answer(accepted(request), reply=False)]
        what, _, body = request.partition(b":")
        word = body.split(b" ")[0].decode("latin-1")
        if what == b"close":
            return [Answer(served("close", body), reply=False, last=True)]
        if what == b"pong":
            return []
        if what == b"ping":
            made = [Answer(served("pong", body), word, 2, again=True)]
            if self.pings and chance.random() < 0.4:
                made.insert(chance.randint(0, 1), Answer(served("pong", b"unasked"), reply=False))
            return made
        data, flip = message(what.decode(), body, chance, self.pings)
        made = [Answer(data, word, flip)]
        if self.pings and chance.random() < 0.4:
            made.insert(chance.randint(0, 1), Answer(served("ping", b"hello"), reply=False))
        if self.pings and chance.random() < 0.2:
            made.insert(0, Answer(served("pong", b"unasked"), reply=False))
        return made

    def called(self, told: Told) -> set[str]:
        if told.lie == "flip":
            return {"corrupt", "mismatch"}
        if told.lie in ("drop", "late") and told.answer.again:  # a pong that nobody asked for came
            return {"timeout", "mismatch"}
        return set()

    # --- the client's ---

    def options(self, scheme: str) -> dict[str, Any]:
        return super().options(scheme) | {"framing": "websocket"}

    def asked(self, steps: Steps) -> tuple[Any, Any, Text]:
        chance, text = self.chance, steps.text()
        kind = chance.choice(("text", "text", "binary", "ping"))
        if kind == "text":
            forms = [{"websocket": text.text}, {"frame": text.text}, {"regex": text.regex}]
            return {"websocket": text.text}, chance.choice(forms), text
        if kind == "binary":
            return {"websocket": {"binary": text.text}}, {"websocket": {"binary": text.text}}, text
        text = Text(text.word, text.text[:60] if text.known else f"{text.word} z", text.known)
        return {"websocket": {"ping": text.text}}, {"websocket": {"pong": text.text}}, text

    def exchange(self, steps: Steps, on: On) -> list[Step]:
        with steps.on(on):
            steps.owe(1, 1)
            sent, reply, text = self.asked(steps)
            if self.chance.random() < 0.7:
                return [{"name": text.word, "on": on, "send": sent, "expect": reply}]
            steps.owe(1, 1)
            more = self.asked(steps)
            both = [(sent, reply, text), more]
            return [{"name": f"{t.word}-s", "on": on, "send": s} for s, _, t in both] + [
                {"name": f"{t.word}-r", "on": on, "expect": r} for _, r, t in both
            ]

    def turn(self, steps: Steps, on: str) -> list[Step]:
        code = {"websocket": {"close": self.chance.choice(CODES)}}
        if self.chance.random() < 0.5:
            return [{"close": on}]
        return [{"name": "farewell", "on": on, "send": code, "expect": code}]
