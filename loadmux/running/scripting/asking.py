"""The steps that a scenario's code asks for: read and compiled when first asked for, and kept.

An exchange of plain texts is compiled once for all texts (`saying`). What stands in the way of a
step is told by ValueError, with the words of the reader of steps.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from loadmux.checking.rules import Rule
from loadmux.checking.simple import LARGEST_DATAGRAM
from loadmux.driver.branch import Side
from loadmux.driver.connection import Connection, Plan
from loadmux.driver.peer import peers
from loadmux.driver.user import Operation, VirtualUser
from loadmux.language.meaning.expected import Answer, ByRule, Exactly, Length, Until, every
from loadmux.language.meaning.scenario import Scenario
from loadmux.language.meaning.stepvalues import SIDES, Exchange, Expect, OnSockets, Send, Step
from loadmux.language.sources import usercode
from loadmux.measuring.rows import StepStats
from loadmux.plugins.payloads import Data
from loadmux.running.conversing import learned
from loadmux.running.scripting.saying import SMALL_REPLY, Pattern
from loadmux.running.steps import exchanging
from loadmux.running.steps.intended import FromIntendedStart
from loadmux.running.steps.messages import Render

if TYPE_CHECKING:
    from loadmux.plugins.registry import Registry

WORDS = frozenset({"reply", "closed"})
NOT_PLAIN = ("closed", "", b"")
TIMES = frozenset({"within", "gap"})
KEPT_OPERATIONS = 4096
SAMPLES = ({"send": b"x", "expect": b"x"}, {"send": b"x", "expect": "reply"}, {"send": b"x"})


class Compiler(Protocol):
    """What turns a step into an operation while the run is on.

    `rule_of` is the rule of a socket's target; `column` reads a feeder's column in the user's row.
    `plugin_rules` are the rules of plugins that were loaded, by name.
    """

    scenario: Scenario
    plugin_rules: dict[str, Rule]

    def operation(self, step: Step) -> Operation: ...

    def rule_of(self, socket: int) -> str | None: ...

    def column(self, name: str, column: str) -> Render: ...

    def transaction(self, name: str) -> StepStats: ...


@dataclass(slots=True)
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

    `told` is put around each, where somebody wants to be told of it.
    """

    def __init__(self, compiler: Compiler) -> None:
        self.compiler = compiler
        self.columns = {
            f"{name}.{column}": compiler.column(name, column)
            for name, feeder in compiler.scenario.feeders.items()
            for column in feeder.columns
        }
        self._known: dict[tuple[object, ...], Ready] = {}
        self._plain: dict[tuple[object, ...], Exchange] = {}
        self._patterns: dict[tuple[object, ...], tuple[Ready, Pattern]] = {}
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
        if self.told is not None:
            made = replace(made, operation=self.told(made.operation))
        self._known[key] = made
        return made

    def saying(
        self,
        user: VirtualUser,
        on: On,
        send: str | bytes,
        expect: str | bytes,
        name: str | None,
        within: float | str | None,
    ) -> Ready | None:
        """The operation for plain texts or bytes there and back; None where it is no short one.

        Raises ValueError.
        """
        if expect in NOT_PLAIN:
            return None
        by_rule = expect == "reply"
        try:
            found = self._patterns.get(key := (on, by_rule, name, within))
        except TypeError:
            return None
        if found is None:
            sample = "reply" if by_rule else b"x"
            ready = self._asked(user, on, b"x", sample, name, within)
            step = None if ready.saved is not None else ready.operation
            if len(self._patterns) >= KEPT_OPERATIONS:
                self._patterns.clear()
            found = self._patterns[key] = ready, Pattern(step, by_rule)
        ready, pattern = found

        def carefully() -> Operation:
            return self._asked(user, on, send, expect, name, within).operation

        saying = pattern.saying(encoded(send), encoded(expect), carefully)
        return None if saying is None else Ready(saying, ready.sockets, True, None, ready.alone)

    def _asked(
        self,
        user: VirtualUser,
        on: On,
        send: str | bytes,
        expect: str | bytes,
        name: str | None,
        within: float | str | None,
    ) -> Ready:
        """An exchange in the words in which `exchange` of the user's sockets asks for it."""
        words = {"name": name, "within": within, "pieces": None, "gap": None}
        return self.ready(user, "exchange", on, send=send, expect=expect, **words)

    def _on_sockets(self, user: VirtualUser, action: str, on: On, words: dict[str, Any]) -> Ready:
        step = self._read(tuple(user.variables or ()), {action: listed(on), **words})
        assert isinstance(step, OnSockets)
        return Ready(self.compiler.operation(step), step.sockets, side=SIDES.get(action, "both"))

    def _exchange(self, user: VirtualUser, on: On, words: dict[str, Any]) -> Ready:
        send, expect = words.get("send"), words.get("expect")
        plain = isinstance(send, str | bytes | None) and isinstance(expect, str | bytes | None)
        cut = not words.keys().isdisjoint(("pieces", "until", "oneway"))
        whole = send not in ("", b"") and not cut and self._fits(send)
        if plain and whole and expect not in NOT_PLAIN:
            step = self._plain_exchange(tuple(user.variables or ()), on, words)
        else:
            step = self._read_exchange(tuple(user.variables or ()), on, words)
        if step.expect is None:
            return Ready(self.compiler.operation(step), step.sockets, side="send")
        learn(user, step)
        side: Side = "expect" if step.send is None else "both"
        alone = self._judged_alone(step)
        operation, saved = self.compiler.operation(step), None
        timed = operation.step if isinstance(operation, FromIntendedStart) else operation
        if isinstance(timed, exchanging.Exchange):
            if not kept_whole(step, timed.plan):
                saved = f".reply {step.sockets[-1]}"
                step = replace(step, expect=replace(step.expect, save=saved))
                operation = self.compiler.operation(step)
            return Ready(operation, step.sockets, True, saved, alone, side)
        return Ready(operation, step.sockets, side=side)

    def _fits(self, send: object) -> bool:
        """Whether it is a payload of a size that every socket can send."""
        large = isinstance(send, str | bytes) and len(encoded(send)) > LARGEST_DATAGRAM
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
        from loadmux.language.onestep import read_step

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


def learn(user: VirtualUser, step: Exchange) -> None:
    """What a step of the code says of its sockets, of which no file said it: that somebody listens
    there without a message of his own, and by a protocol's reply what is spoken.
    """
    assert step.expect is not None
    for place in step.sockets if step.send is None else ():
        user.connections[place].endpoint.listen()
    framings = [one.framing for one in every(step.expect.reply) if isinstance(one, Answer)]
    for place in step.sockets if framings else ():
        endpoint = user.connections[place].endpoint
        if endpoint.learns:
            endpoint.learn(learned(endpoint, framings[0]))
            for one in peers(user.loop):
                if one.endpoint is endpoint and isinstance(one, Connection):
                    one.tell_apart()


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
