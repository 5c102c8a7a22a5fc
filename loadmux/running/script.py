"""Compiles a Scenario into the Script that virtual users run: all that can be known is worked out
once.

Constant payloads are encoded here, `variables` are folded into the texts (unless a step redefines
them), each step gets the row of statistics it records into, and each socket its endpoint.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from loadmux.checking import chunks, datagrams, rules, verifying
from loadmux.checking.framing import Framing
from loadmux.checking.recognition import Context, Owner, Shape
from loadmux.driver.endpoint import AnyTime, Endpoint
from loadmux.driver.user import Operation, Script, VirtualUser
from loadmux.errors import Kind, UsageError
from loadmux.language import usercode
from loadmux.language.expected import (
    Answer,
    Body,
    ByRule,
    Closed,
    Exactly,
    Frame,
    Length,
    Reply,
    Saved,
    Silence,
    Skipping,
    Until,
    WasReset,
    groups_of,
)
from loadmux.language.feeders import picker
from loadmux.language.scenario import Scenario, Unasked, group_of
from loadmux.language.servers import Target, Url
from loadmux.language.stepvalues import (
    Barrier,
    Call,
    Distribution,
    Exchange,
    Expect,
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
from loadmux.measuring.recorder import Recorder
from loadmux.measuring.rows import IGNORED, StepStats
from loadmux.measuring.stats import Stats
from loadmux.plugins import formulas
from loadmux.plugins.formulas import Formula, Variable
from loadmux.plugins.payloads import (
    Checked,
    Data,
    Framed,
    Joined,
    Number,
    Outgoing,
    Payload,
    Picked,
    Random,
    Repeated,
    Sized,
    Spoken,
    Text,
    Varint,
)
from loadmux.running import encoding, randoms, scripting, texts
from loadmux.running.asking import Library
from loadmux.running.endpoints import Contexts, endpoints
from loadmux.running.expecting import Expecting
from loadmux.running.recognizing import Shapes
from loadmux.running.steps import (
    blocks,
    connecting,
    conversations,
    ending,
    exchanging,
    forms,
    framed,
    headed,
    messages,
    performing,
    replies,
    sending,
    transactions,
    upgrading,
    waiting,
)
from loadmux.running.steps.answering import EXCHANGE, Answers, kinds
from loadmux.running.steps.intended import FromIntendedStart, Timed
from loadmux.running.steps.made import Made
from loadmux.running.steps.place import Place
from loadmux.running.steps.unasked import Unexpected

OWNERS_MOST = 10_000
LATER_MOST = 8
FULL_AFTER = 1.0
"""Seconds in which nothing is taken by a socket that is full, unless a step says otherwise."""

BUILT_IN: dict[str, messages.Render] = {
    "user": lambda user, name, sent: b"%d" % user.number,
    "iteration": lambda user, name, sent: b"%d" % user.iteration,
    "socket": lambda user, name, sent: name.encode(),
    "sent": lambda user, name, sent: sent,
    "uuid": texts.uuid,
}


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
    authorities = {name: forms.authority(url) for name, url in urls.items()}
    where = endpoints(scenario, urls)
    compiler = _Compiler(scenario, seed, stats, first, where, authorities, users, urls)
    script = compiler.script()
    if compiler.calls:
        compiler.library.prepare("\n".join(usercode.sources()))
    return script


class _Compiler:
    """`place` is the step that is being compiled, `sockets` are those that it is for.

    `plugin_rules` are the reply rules of plugins that are known by now. `calls` is whether code of
    the author's is called. `in_background`: steps are compiled that repeat until others have ended.
    """

    place: Place
    sockets: tuple[int, ...] = ()
    in_background = False

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        stats: Stats,
        first: int,
        endpoints: Sequence[Endpoint],
        authorities: Mapping[str, str],
        users: range,
        urls: Mapping[str, Url],
    ) -> None:
        self.scenario = scenario
        self.endpoints = endpoints
        self.authorities = {one.name: authorities[one.to] for one in scenario.sockets}
        self.plugin_rules = dict(scenario.rules)
        self.seed = seed
        self.first = first
        self.stats = stats
        self.rows = {name: picker(feeder, seed) for name, feeder in scenario.feeders.items()}
        self.changing: set[str] = set()
        self.reads: set[int] = set()
        self.rules: dict[int, rules.Rule] = {}
        self.last_rows = ["close"] * len(scenario.sockets)
        self.kinds = kinds(scenario)
        self.users = users
        self.urls = urls
        self.contexts = Contexts()
        names = [one.name for one in scenario.sockets]
        self.shapes = Shapes(self._fold, self._owner, names)
        self.library = Library(self)
        self.calls = False
        for one in scenario.sockets:
            for unasked in (*one.ignore, *one.answer):
                self.changing.update(groups_of(unasked.body))
        for step in scenario.every_step:
            self._survey(step)

    def _survey(self, step: Step) -> None:
        """Learn what the whole file does with a name or a socket before compiling any step."""
        if isinstance(step, For):
            self.changing.add(step.variable)
        elif isinstance(step, Set):
            self.changing.update(step.values)
        elif isinstance(step, Call):
            self._survey_call()
        elif isinstance(step, Performed):
            self.changing.update(step.action.defines())
            self.reads.update(step.sockets)
            for index in step.sockets:
                self.last_rows[index] = step.name
        elif isinstance(step, Exchange):
            for index in step.sockets:
                self.last_rows[index] = step.name
            if step.expect is not None:
                self._survey_expect(step.sockets, step.expect)

    def _survey_call(self) -> None:
        """What a function does only the run will show: it may set and read all that there is."""
        self.changing.update(self.scenario.variables)
        self.reads.update(range(len(self.scenario.sockets)))
        for index in range(len(self.scenario.sockets)):
            if self.rule_of(index) is not None:
                self.rules.setdefault(index, self._rule(ByRule(None), index))

    def rule_of(self, socket: int) -> str | None:
        """The name of the rule of a socket's target."""
        return self.scenario.servers[self.scenario.sockets[socket].to].rule

    def transaction(self, name: str) -> StepStats:
        """The row of a transaction."""
        return self.stats.row_of(name, transactions.KIND)

    def operation(self, step: Step) -> Operation:
        """Compile a step that a function asks for while the run is on."""
        if isinstance(step, Exchange):
            for index in step.sockets:
                self.last_rows[index] = step.name
        return self._step(step, self.scenario.load.open)

    def _survey_expect(self, sockets: tuple[int, ...], expect: Expect) -> None:
        if expect.save is not None:
            self.changing.add(expect.save)
        self.changing.update(groups_of(expect.reply))
        self.reads.update(sockets)
        if isinstance(expect.reply, ByRule):
            for index in sockets:
                self.rules.setdefault(index, self._rule(expect.reply, index))

    def _rule(self, reply: ByRule, index: int) -> rules.Rule:
        """The rule by which a socket is replied to."""
        target = self.scenario.servers[self.scenario.sockets[index].to]
        name = reply.rule or target.rule
        assert name is not None, "the loader refuses `reply` where no rule is known"
        known = self.plugin_rules.get(name)
        rule = rules.rule(name, reads(target)) if known is None else known
        return datagrams.rule(rule) if self.endpoints[index].datagrams else rule

    def script(self) -> Script:
        scenario = self.scenario
        return Script(
            on_connect=self._on_connect(),
            before=self._steps(scenario.before),
            steps=self._steps(scenario.steps, on_schedule=scenario.load.open),
            after=self._steps(scenario.after),
            endpoints=[self._attentive(*one) for one in enumerate(self.endpoints)],
            names=[one.name for one in scenario.sockets],
            last_rows=self.last_rows,
            timeout=scenario.timeout,
            on_error=scenario.on_error,
            seed=self.seed,
        )

    def _on_connect(self) -> list[list[Operation]]:
        """Empty where no socket has any: a connection for each exchange asks nothing then."""
        found = [self._steps(one.on_connect) for one in self.scenario.sockets]
        return found if any(found) else []

    # --- what may come at any time --------------------------------------------------------------

    def _attentive(self, place: int, endpoint: Endpoint) -> Endpoint:
        """The same, where the socket's `ignore` and `answer` say anything."""
        socket = self.scenario.sockets[place]
        if not (socket.ignore or socket.answer):
            return endpoint
        every = (*socket.ignore, *socket.answer)
        judges, sends = [], list[messages.Render | None]()
        for one in every:
            self.place = Place(one.where, "ignore" if one.send is None else "answer")
            judges.append(self._judge(one, socket.framing))
            sends.append(None if one.send is None else self._render(one.send))
        row = self.stats.row_of(f"ignored {group_of(socket.name)}", IGNORED)
        unexpected = Unexpected(judges, sends, row.pass_untimed)
        constant = unexpected.constant is not None
        told = AnyTime(socket.framing, unexpected.judges, unexpected.taken, constant)
        return replace(endpoint, any_time=told)

    def _judge(self, one: Unasked, framing: Framing | None) -> Made[Any]:
        """What judges a frame: its body, or its header and its body."""
        if one.header is not None and framing is not None:
            return self._expecting(()).both(Frame(one.body, framing, header=one.header))
        return self._expecting(()).judge(one.body)

    # --- steps ----------------------------------------------------------------------------------

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
                drop = step.pending == "drop"
                return connecting.OnSockets(name, action, sockets, timeout, record, drop)
            case Wait(name=name, time=time):
                talk = any(one.unasked is not None for one in self.endpoints)
                wait = waiting.AttentiveWait if talk else waiting.Wait
                return wait(name, drawer(time))
            case Repeat(name=name, times=times, do=do):
                return blocks.Repeat(name, times, self._steps(do, on_schedule))
            case For(name=name, variable=variable, values=values, do=do):
                self._at(step)
                texts = [self._render(value) for value in values]
                return blocks.For(name, variable, texts, self._steps(do, on_schedule))
            case Transaction(name=name, do=do):
                row = self.transaction(name)  # before those of its steps
                return transactions.Transaction(name, row, self._steps(do, on_schedule))
            case Set(name=name, values=pairs):
                self._at(step)
                return blocks.Set(name, {key: self._render(text) for key, text in pairs.items()})
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
        self.place, self.sockets = Place(step.where, step.name), sockets

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
        return upgrading.StartTls(step.name, step.sockets, timeout, record, how, self.place)

    def _perform(self, step: Performed) -> Timed:
        self._at(step, step.sockets)
        return performing.Perform(
            step.name,
            step.sockets,
            step.action,
            [self._render(part) for part in step.action.payloads()],
            self._rules_of(step.sockets),
            step.within or self.scenario.timeout,
            self._record(step.name, "exchange"),
        )

    def _rules_of(self, sockets: tuple[int, ...]) -> dict[str, rules.Rule]:
        """The reply rules by which some step checks these sockets, by their names."""
        names = self.scenario.sockets
        return {names[i].name: self.rules[i] for i in sockets if i in self.rules}

    def _call(self, name: str, function: Function, on_schedule: bool) -> Operation:
        """Import the function; its folder stays on the path for what it imports when it runs."""
        try:
            self.calls = True
            usercode.admit(function.folder)
            found = usercode.find(function)
        except ValueError as error:
            raise UsageError(str(error)) from None
        return scripting.Call(name, found, self.library, function.folder, on_schedule)

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
        return exchanging.Exchange(
            step.name,
            step.sockets,
            message,
            self._reply(reply, step.sockets),
            timeout,
            record,
            step.expect.save,
            step.within is not None,
            bool(groups_of(reply)),
            answers,
            self._context(step),
            any(self.endpoints[index].datagrams for index in step.sockets),
        )

    def _context(self, step: Exchange) -> Context:
        """What helps to tell a wrong reply's kind."""
        sockets = self.scenario.sockets
        same = sum(one.to == sockets[step.sockets[0]].to for one in sockets)
        return Context(partial(self._shape, step), self.users, same * len(self.users))

    def _shape(self, step: Exchange) -> Shape | None:
        assert step.expect is not None
        sent, reply = None if step.send is None else step.send.payload, step.expect.reply
        while isinstance(reply, Skipping | Saved):
            reply = reply.reply
        match reply:
            case Exactly(payload=payload):
                return self.shapes.shape(payload, sent)
            case ByRule(rule=rule):
                return self.shapes.by_rule(rule or self.rule_of(step.sockets[0]) or "", sent)
            case Frame(body=body, framing=framing) if framing.symmetric:
                inner = sent.payload if isinstance(sent, Framed) and reply.answers else sent
                opened = framed.unframed(framing)
                if isinstance(body, ByRule):
                    rule = body.rule or self.rule_of(step.sockets[0]) or ""
                    return self.shapes.by_rule(rule, inner, opened)
                if isinstance(body, Exactly):
                    return self.shapes.shape(body.payload, inner, opened)
            case Answer(form=form) if len(parts := list(form.payloads())) == 1:
                return self.shapes.shape(parts[0])
        return None

    def _owner(self, column: str) -> Owner | None:
        """Who has a value of a feeder's column, `NAME.COLUMN`, if only one user has it."""
        name, _, of = column.partition(".")
        feeder = self.scenario.feeders.get(name)
        if feeder is None or of not in feeder.columns:
            return None
        values, row, first = feeder.columns[of], self.rows[name], self.first
        users = self.users[:OWNERS_MOST]

        def owner(value: bytes) -> int | None:
            found = [one for one in users if values[row(one - first)] == value]
            return found[0] if len(found) == 1 else None

        return owner

    def _message(self, send: Send, step: Exchange) -> messages.Message:
        names = self.scenario.sockets
        return messages.Message(
            self._constant(send.payload),
            self._render(send.payload),
            tuple(self._piece(one) for one in send.pieces),
            send.gap,
            self._rules_of(step.sockets),
            frozenset(names[i].name for i in step.sockets if i in self.reads),
            urgent=send.urgent,
        )

    def _piece(self, size: int | Text) -> int | messages.Render:
        """A size of a piece; it is told with its digits."""
        if isinstance(size, int):
            return size
        return encoding.piece(self._render(size), self.place)

    def _reply(self, reply: Reply, sockets: tuple[int, ...]) -> replies.Reply:
        """What a step awaits; replies that hold others, or ask something of them, apart."""
        return self._expecting(sockets).reply(reply)

    def _expecting(self, sockets: tuple[int, ...]) -> Expecting:
        simple = partial(self._simple_reply, sockets=sockets)
        return Expecting(self._constant, self._render, simple)

    def _simple_reply(self, reply: Reply, sockets: tuple[int, ...]) -> replies.Reply:
        match reply:
            case Exactly(payload=payload):
                return replies.ExactReply(self._constant(payload), self._render(payload))
            case Frame():
                return self._frame(reply, sockets)
            case Answer():
                return self._answer(reply)
            case ByRule():
                return self._rule_reply({i: self._rule(reply, i) for i in sockets})
            case Length(size=size):
                return replies.FormReply(partial(verifying.LengthOf, size))
            case Until(delimiter=delimiter):
                return replies.FormReply(partial(verifying.UntilDelimiter, delimiter))
        raise AssertionError(reply)

    def _frame(self, reply: Frame, sockets: tuple[int, ...]) -> replies.Reply:
        framing = reply.framing
        if reply.header is not None:
            header, body = self._asked(reply.header), self._asked(reply.body)
            return headed.HeadedReply(framing, header, body, self.place, reply.answers)
        match reply.body:
            case Exactly(payload=payload):
                constant, render = self._constant(payload), self._render(payload)
                return framed.FrameReply(framing, constant, render, self.place, reply.answers)
            case ByRule() as by:
                found = {self.scenario.sockets[i].name: self._rule(by, i) for i in sockets}
                return framed.FrameByRule(framing, found, self.place)
        raise AssertionError(reply)

    def _asked(self, body: Body) -> headed.Asked:
        """What a header or a body is asked beside the other."""
        match body:
            case Exactly(payload=payload):
                return headed.Asked(self._constant(payload), self._render(payload))
            case ByRule():
                return headed.Asked(rule=self._rule(body, self.sockets[0]))
        made = self._expecting(()).judge(body)
        return headed.Asked(judge=made.make, fixed=made.constant)

    def _answer(self, reply: Answer) -> replies.Reply:
        parts = reply.form.payloads()
        found = [self._constant(part) for part in parts]
        known = tuple(part for part in found if part is not None)
        constants = known if len(known) == len(found) else None
        renders = [self._render(part) for part in parts]
        return forms.AnswerReply(reply.form, reply.framing, constants, renders)

    def _rule_reply(self, by_socket: dict[int, rules.Rule]) -> replies.Reply:
        found = list(by_socket.values())
        if all(rule == found[0] for rule in found):
            return replies.RuleReply(found[0])
        names = self.scenario.sockets
        return replies.RuleReplies({names[i].name: rule for i, rule in by_socket.items()})

    # --- payloads -------------------------------------------------------------------------------

    def _known(self, name: str) -> bytes | None:
        """The value of a name that no step changes."""
        known = name in self.scenario.variables and name not in self.changing
        return self.scenario.variables[name].encode() if known else None

    def _calculated(self, part: Formula) -> bytes | Formula:
        """What a formula comes to, where all its names are constants and it has a value."""
        values = {name: self._known(name) for name in formulas.names(part.term)}
        known = {name: value for name, value in values.items() if value is not None}
        try:
            return formulas.data(part.term, known.__getitem__)
        except (KeyError, ValueError):
            return part

    def _fold(self, payload: Text) -> tuple[bytes | Variable | Formula, ...]:
        """A text's parts with constants put in, neighbours joined."""
        folded: list[bytes | Variable | Formula] = []
        for part in payload.parts:
            value: bytes | Variable | Formula
            if isinstance(part, Variable):
                known = self._known(part.name)
                value = part if known is None else known
            elif isinstance(part, Formula):
                value = self._calculated(part)
            else:
                value = part.encode()
            if folded and isinstance(value, bytes) and isinstance(folded[-1], bytes):
                folded[-1] += value
            else:
                folded.append(value)
        return tuple(folded)

    def _constant(self, payload: Payload) -> bytes | None:
        """The payload's bytes, if they are always the same."""
        match payload:
            case Data(data=data):
                return data
            case Random() | Picked():
                return None
            case Number() | Varint() | Sized() | Checked():
                return encoding.constant(payload, self._constant)
            case Repeated(payload=inner, times=times):
                once = self._constant(inner)
                return None if once is None else once * times
            case Joined(payloads=parts):
                found = [self._constant(part) for part in parts]
                known = [one for one in found if one is not None]
                return b"".join(known) if len(known) == len(found) else None
            case Framed():
                return framed.encoded(payload, self._constant)
            case Spoken(form=form):
                return self._spoken(form)
            case Text():
                folded = self._fold(payload)
                known = [part for part in folded if isinstance(part, bytes)]
                return b"".join(known) if len(known) == len(folded) else None

    def _spoken(self, form: Outgoing) -> bytes | None:
        """A form's bytes, if they are always the same, on whichever of the step's sockets."""
        names = self.scenario.sockets
        where = {self.authorities[names[index].name] for index in self.sockets}
        if len(where) != 1:
            return None
        return forms.constant(form, map(self._constant, form.payloads()), where.pop())

    def _render(self, payload: Payload) -> messages.Render:
        constant = self._constant(payload)
        if constant is not None:
            return lambda user, name, sent: constant
        match payload:
            case Random(size=size, alphabet=str(alphabet)):
                return lambda user, name, sent: encoding.random_text(user.random, size, alphabet)
            case Random(size=size):
                if size >= randoms.LEAST:
                    randoms.pool()  # prepared before the run
                return lambda user, name, sent: randoms.random_bytes(user.random, size)
            case Number() | Varint() | Sized() | Checked():
                return encoding.rendered(payload, self._render, self.place)
            case Picked(payloads=choices):
                return encoding.picked(payload, [self._render(one) for one in choices])
            case Repeated(payload=inner, times=times):
                once = self._render(inner)
                return lambda user, name, sent: once(user, name, sent) * times
            case Joined(payloads=parts):
                renders = [self._render(part) for part in parts]
                return lambda user, name, sent: b"".join([r(user, name, sent) for r in renders])
            case Framed(payload=inner, framing=framing, header=header):
                head = None if header is None else self._render(header)
                return framed.wrapped(framing, self._render(inner), self.place, head)
            case Spoken(form=form):
                said = [self._render(part) for part in form.payloads()]
                return forms.rendered(form, said, self.authorities, self.place)
            case Text():
                return texts.text([self._named(part) for part in self._fold(payload)])
        raise AssertionError(payload)

    def _named(self, part: bytes | Variable | Formula) -> bytes | texts.Named:
        """A part of a text."""
        if isinstance(part, bytes):
            return part
        name = part.name if isinstance(part, Variable) else ""
        return texts.Named(name if name in BUILT_IN else "", self._part(part))

    def _part(self, part: bytes | Variable | Formula) -> messages.Render:
        if isinstance(part, bytes):
            return lambda user, name, sent: part
        if isinstance(part, Formula):
            renders = {one: self._part(Variable(one)) for one in formulas.names(part.term)}
            return encoding.formula(part, renders, self.place)
        name = part.name
        own = name in self.scenario.variables or name in self.changing
        if name in encoding.LATER and not own:
            return encoding.LATER[name]
        if name in BUILT_IN:
            return BUILT_IN[name]
        if "." in name:
            return self.column(*name.split(".", 1))
        default = self.scenario.variables.get(name, "").encode()
        return lambda user, socket, sent: user.get(name, default)

    def column(self, name: str, column: str) -> messages.Render:
        """A column of a feeder: the value in the user's row."""
        feeder = self.scenario.feeders[name]
        values, row, first = feeder.columns[column], self.rows[name], self.first
        return lambda user, socket, sent: values[row(user.number - first)]


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


def reads(target: Target) -> chunks.Reads:
    """How a target reads, as far as it is known: a bundled one reads all, unless told."""
    size = target.reads_at_most
    if size is not None:
        return chunks.Reads.at_most(size)
    return chunks.UNKNOWN if target.bundled is None else chunks.ORDINARY


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


def draw_seed() -> int:
    """A seed for a run that was given none; printed, so that the run can be repeated."""
    return random.SystemRandom().getrandbits(32)
