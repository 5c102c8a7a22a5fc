"""Compiles a Scenario into the Script that virtual users run: what can be known is worked out once.

Here each step becomes an operation of `running.steps`, with the row of statistics that it records
into. What a step sends is made by `Payloads`, what it awaits by `Replies`, and each socket gets its
endpoint; what the whole file does with a name or a socket is learned beforehand (`Survey`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from loadmux.driver.endpoint import Endpoint
from loadmux.driver.user import Operation, Script, VirtualUser
from loadmux.errors import Kind, UsageError
from loadmux.language.meaning.expected import Closed, Silence, WasReset, groups_of
from loadmux.language.meaning.scenario import Scenario
from loadmux.language.meaning.servers import Url
from loadmux.language.meaning.stepvalues import (
    Barrier,
    Call,
    Distribution,
    Exchange,
    Exponential,
    Fixed,
    For,
    Function,
    Normal,
    OnSockets,
    Performed,
    Repeat,
    Send,
    Set,
    Step,
    Together,
    Transaction,
    Uniform,
    Wait,
)
from loadmux.language.sources import usercode
from loadmux.measuring.recorder import Recorder
from loadmux.measuring.rows import StepStats
from loadmux.measuring.stats import Stats
from loadmux.plugins.payloads import Text
from loadmux.running.compiling import encoding
from loadmux.running.compiling.anytime import attentive
from loadmux.running.compiling.columns import Columns
from loadmux.running.compiling.endpoints import Contexts, endpoints
from loadmux.running.compiling.payloads import Payloads
from loadmux.running.compiling.recognizing import Shapes
from loadmux.running.compiling.replies import Replies
from loadmux.running.compiling.ruling import Rules
from loadmux.running.compiling.strays import Strays
from loadmux.running.compiling.survey import Survey
from loadmux.running.scripting import calling
from loadmux.running.scripting.asking import Library
from loadmux.running.steps import (
    blocks,
    connecting,
    conversations,
    ending,
    exchanging,
    forgiving,
    forms,
    performing,
    sending,
    transactions,
    upgrading,
    waiting,
)
from loadmux.running.steps.answering import EXCHANGE, Answers, kinds, left_open
from loadmux.running.steps.intended import FromIntendedStart, Timed
from loadmux.running.steps.messages import Message, Render
from loadmux.running.steps.place import Place

LATER_MOST = 8
FULL_AFTER = 1.0
"""Seconds in which nothing is taken by a socket that is full, unless a step says otherwise."""


def compile_scenario(
    scenario: Scenario,
    urls: Mapping[str, Url],
    seed: int,
    stats: Stats,
    first: int = 0,
    users: range = range(0),
) -> Script:
    """The script of a scenario whose targets, by name, listen at `urls`.

    `first` is the number of its first user, who has the first row of a feeder; `users` are the
    numbers of all of them, whoever runs them, none where that is not known.

    Makes a row in `stats` for each step that is measured, in the file's order. Raises TargetFailed
    when a host's name cannot be resolved.
    """
    compiler = _Compiler(scenario, urls, seed, stats, first, users)
    script = compiler.script()
    if compiler.calls:
        compiler.library.prepare("\n".join(usercode.sources()))
    return script


class _Compiler:
    """Compiles steps. `calls` is whether code of the author's is called. `in_background`: those are
    being compiled that repeat until others have ended.
    """

    in_background = False

    def __init__(
        self,
        scenario: Scenario,
        urls: Mapping[str, Url],
        seed: int,
        stats: Stats,
        first: int,
        users: range,
    ) -> None:
        authorities = {one.name: forms.authority(urls[one.to]) for one in scenario.sockets}
        columns = Columns(scenario, seed, first, users)
        self.scenario = scenario
        self.endpoints = endpoints(scenario, urls)
        self.seed = seed
        self.stats = stats
        self.urls = urls
        self.kinds = kinds(scenario)
        self.left_open = left_open(scenario)
        self.contexts = Contexts()
        self.column = columns.render
        self.rules = Rules(scenario, self.endpoints)
        self.plugin_rules = self.rules.plugin_rules
        self.rule_of = self.rules.name_of
        self.survey = Survey(scenario, self.rules)
        self.payloads = Payloads(scenario, authorities, columns, self.survey.changing)
        self.replies = Replies(scenario, self.payloads, self.rules)
        shapes = Shapes(self.payloads.fold, columns.owner, list(authorities))
        self.strays = Strays(scenario, self.rules, shapes, users)
        self.library = Library(self)
        self.calls = False

    def transaction(self, name: str) -> StepStats:
        """The row of a transaction."""
        return self.stats.row_of(name, transactions.KIND)

    def operation(self, step: Step) -> Operation:
        """Compile a step that a function asks for while the run is on."""
        if isinstance(step, Exchange):
            for index in step.sockets:
                self.survey.last_rows[index] = step.name
        return self._step(step, self.scenario.load.open)

    def script(self) -> Script:
        scenario = self.scenario
        return Script(
            left_open=self.left_open.sockets,
            on_connect=self._on_connect(),
            before=self._steps(scenario.before),
            steps=self._steps(scenario.steps, on_schedule=scenario.load.open),
            after=self._steps(scenario.after),
            endpoints=self._attentive_endpoints(),
            names=[one.name for one in scenario.sockets],
            last_rows=self.survey.last_rows,
            timeout=scenario.timeout,
            on_error=scenario.on_error,
            seed=self.seed,
        )

    def _attentive_endpoints(self) -> list[Endpoint]:
        return [
            attentive(endpoint, socket, self.payloads, self.replies, self.stats)
            for endpoint, socket in zip(self.endpoints, self.scenario.sockets, strict=True)
        ]

    def _on_connect(self) -> list[list[Operation]]:
        """Empty where no socket has any: a connection for each exchange asks nothing then."""
        found = [self._steps(one.on_connect) for one in self.scenario.sockets]
        return found if any(found) else []

    def _steps(self, script: Sequence[Step], on_schedule: bool = False) -> list[Operation]:
        operations = [self._step(step, on_schedule) for step in script]
        link(operations)
        return conversations.joined(script, operations) if self.in_background else operations

    def _branch(
        self, script: Sequence[Step], on_schedule: bool, background: bool
    ) -> list[Operation]:
        outside, self.in_background = self.in_background, self.in_background or background
        try:
            return self._steps(script, on_schedule)
        finally:
            self.in_background = outside

    def _step(self, step: Step, on_schedule: bool) -> Operation:
        match step:
            case Exchange():
                return self._on_schedule(self._exchange(step), on_schedule)
            case Performed():
                return self._on_schedule(self._perform(step), on_schedule)
            case OnSockets(action="start_tls"):
                return self._upgrade(step)
            case OnSockets(name=name, action=action, sockets=sockets):
                connects = action == "connect"
                record = self._record(name, "connect") if connects else unrecorded()
                timeout = step.within or self.scenario.timeout
                return connecting.OnSockets(name, action, sockets, timeout, record, step.pending)
            case Wait(name=name, time=time):
                talk = any(one.unasked is not None for one in self.endpoints)
                wait = waiting.AttentiveWait if talk else waiting.Wait
                return wait(name, drawer(time))
            case Repeat(name=name, times=times, do=do):
                left = self.left_open.of(step)
                return blocks.Repeat(name, times, self._steps(do, on_schedule), left)
            case For(name=name, variable=variable, values=values, do=do):
                self._at(step)
                texts = [self.payloads.render(value) for value in values]
                left = self.left_open.of(step)
                return blocks.For(name, variable, texts, self._steps(do, on_schedule), left)
            case Transaction(name=name, do=do):
                row = self.transaction(name)  # before those of its steps
                return transactions.Transaction(name, row, self._steps(do, on_schedule))
            case Set(name=name, values=pairs):
                self._at(step)
                return blocks.Set(
                    name, {key: self.payloads.render(text) for key, text in pairs.items()}
                )
            case Together(name=name, branches=branches, uses=uses, says=says):
                walked = [
                    self._branch(branch, on_schedule, number in step.background)
                    for number, branch in enumerate(branches)
                ]
                return blocks.Together(name, walked, uses, says, step.background)
            case Barrier(name=name, barrier=barrier):
                return waiting.Barrier(name, barrier)
            case Call(name=name, function=function):
                return self._call(name, function, on_schedule)

    def _at(self, step: Step, sockets: tuple[int, ...] = ()) -> None:
        self.payloads.place, self.payloads.sockets = Place(step.where, step.name), sockets

    def _on_schedule(self, operation: Timed, on_schedule: bool) -> Operation:
        bare = isinstance(operation, exchanging.Exchange | ending.End) and operation.message is None
        if not on_schedule or bare:
            return operation
        return FromIntendedStart.of(operation, self.stats.row(operation.name))

    def _upgrade(self, step: OnSockets) -> Operation:
        def how(index: int) -> upgrading.Upgrade:
            one = self.scenario.sockets[index]
            return self.contexts.of(one, self.scenario.servers.get(one.to), self.urls[one.to])

        self._at(step, step.sockets)
        timeout = step.within or self.scenario.timeout
        for index in step.sockets:  # made before the run, and reported if a file is of no use
            how(index)
        record = self._record(step.name, "connect")
        return upgrading.StartTls(
            step.name, step.sockets, timeout, record, how, self.payloads.place
        )

    def _perform(self, step: Performed) -> Timed:
        self._at(step, step.sockets)
        return performing.Perform(
            step.name,
            step.sockets,
            step.action,
            [self.payloads.render(part) for part in step.action.payloads()],
            self.rules.of_sockets(step.sockets),
            step.within or self.scenario.timeout,
            self._record(step.name, "exchange"),
        )

    def _call(self, name: str, function: Function, on_schedule: bool) -> Operation:
        """Import the function; its folder stays on the path for what it imports when it runs."""
        try:
            self.calls = True
            usercode.admit(function.folder)
            found = usercode.find(function)
        except ValueError as error:
            raise UsageError(str(error)) from None
        return calling.Call(name, found, self.library, function.folder, on_schedule)

    def _record(self, name: str, kind: str) -> Recorder:
        return Recorder(self.stats.row_of(name, kind))

    def _passed(self, name: str) -> Callable[[], None]:
        return self.stats.row_of(name, EXCHANGE).pass_untimed

    def _answers(self, name: str) -> Answers:
        """What a bare `expect` records with; its row stands in the report's order."""
        kind = self.kinds.get(name)
        if kind is not None:
            self.stats.row_of(name, kind)
        return Answers(name, self.stats)

    def _exchange(self, step: Exchange) -> Timed:
        self._at(step, step.sockets)
        timeout = step.within or self.scenario.timeout
        message = None if step.send is None else self._message(step.send, step)
        if step.expect is None:
            assert message is not None
            record = self._record(step.name, "send")
            if step.send is not None and step.send.until is not None:
                within = step.within or FULL_AFTER
                most = step.send.at_most
                return sending.Fill(step.name, step.sockets, message, within, record, most)
            return sending.Send(step.name, step.sockets, message, timeout, record)
        reply = step.expect.reply
        answers = None if step.send is not None else self._answers(step.name)
        record = self._record(step.name, "exchange") if answers is None else unrecorded()
        if isinstance(reply, Closed | WasReset | Silence):
            wanted = {Closed: Kind.CLOSED, WasReset: Kind.RESET}.get(type(reply))
            if isinstance(reply, Silence):
                timeout = reply.seconds
            passed = self._passed(step.name) if answers is None else answers.kept_silent
            return ending.End(
                step.name, step.sockets, message, wanted, timeout, record, passed, answers
            )
        alone = step.sockets[0] if message is not None and len(step.sockets) == 1 else None
        ends = alone is not None and self.endpoints[alone].may_end
        kind = forgiving.Forgiving if ends else exchanging.Exchange
        return kind(
            step.name,
            step.sockets,
            message,
            self.replies.reply(reply, step.sockets),
            timeout,
            record,
            step.expect.save,
            step.within is not None,
            bool(groups_of(reply)),
            answers,
            self.strays.context(step),
            any(self.endpoints[index].datagrams for index in step.sockets),
        )

    def _message(self, send: Send, step: Exchange) -> Message:
        names = self.scenario.sockets
        return Message(
            self.payloads.constant(send.payload),
            self.payloads.render(send.payload),
            tuple(self._piece(one) for one in send.pieces),
            send.gap,
            self.rules.of_sockets(step.sockets),
            frozenset(names[i].name for i in step.sockets if i in self.survey.reads),
            urgent=send.urgent,
            oneway=send.oneway,
        )

    def _piece(self, size: int | Text) -> int | Render:
        """A size of a piece; it is told with its digits."""
        if isinstance(size, int):
            return size
        return encoding.piece(self.payloads.render(size), self.payloads.place)


def link(operations: Sequence[Operation]) -> None:
    """Tell each exchange which replies the steps after it await on the same sockets."""
    every = [one.step if isinstance(one, FromIntendedStart) else one for one in operations]
    for place, one in enumerate(every):
        if not isinstance(one, exchanging.Exchange) or one.context is None:
            continue
        for other in every[place + 1 : place + 1 + LATER_MOST]:
            if isinstance(other, blocks.Set | waiting.Wait):
                continue
            if not isinstance(other, exchanging.Exchange) or other.message is not None:
                break
            if other.sockets != one.sockets:
                break
            one.context.later.append((other.name, other.awaited))


def unrecorded() -> Recorder:
    """What records into no row."""
    return Recorder(StepStats(""))


def drawer(time: Distribution) -> Callable[[VirtualUser], float]:
    """Draws a duration (seconds, not negative) from a user's own source of chance."""
    match time:
        case Fixed(seconds=seconds):
            return lambda user: seconds
        case Uniform(low=low, high=high):
            return lambda user: user.random.uniform(low, high)
        case Exponential(mean=mean):
            return lambda user: user.random.expovariate(1 / mean) if mean else 0.0
        case Normal(mean=mean, deviation=deviation):
            return lambda user: max(0.0, user.random.gauss(mean, deviation))
