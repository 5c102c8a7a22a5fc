"""The step `converse`: several shouts, each answered; `count` becomes `${shouted}`."""

from __future__ import annotations

from dataclasses import dataclass

from loadmux.errors import Kind
from loadmux.plugins import Action, Running, Spec, Step
from loadmux.plugins.payloads import Payload


@dataclass(frozen=True)
class Converse(Action):
    texts: tuple[Payload, ...]
    count: str | None = None

    def payloads(self) -> tuple[Payload, ...]:
        return self.texts

    def defines(self) -> tuple[str, ...]:
        return () if self.count is None else (self.count,)

    async def run(self, running: Running) -> None:
        for text in running.parts:
            if text == b"bug":
                raise KeyError("a bug of the plugin")
            shout = text.upper() + b"!"
            answer = await running.exchange(shout, shout)
            if answer == b"MUTINY!":
                raise running.fault(Kind.MISMATCH, "nobody shouts mutiny here")
        if self.count is not None:
            running.set(self.count, b"%d" % len(running.parts))


class ConverseStep(Step):
    def read(self, spec: Spec) -> Converse:
        if spec.kind != "mapping":
            return Converse(tuple(item.text() for item in spec.items()))
        fields = spec.fields(("texts", "count"))
        if "texts" not in fields:
            spec.refuse("'converse' needs 'texts'; write {texts: [...]}")
        count = fields["count"].define() if "count" in fields else None
        return Converse(tuple(item.text() for item in fields["texts"].items()), count)


STEP = ConverseStep()
