"""Makes of payloads their bytes, where those are always the same, or what renders them.

Constant payloads are encoded once, and `variables` are folded into the texts unless a step gives
them another value.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from loadmux.language.meaning.scenario import Scenario
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
from loadmux.running.compiling import encoding, randoms, texts
from loadmux.running.compiling.columns import Columns
from loadmux.running.steps import forms, framed
from loadmux.running.steps.messages import Render
from loadmux.running.steps.place import Place

BUILT_IN: dict[str, Render] = {
    "user": lambda user, name, sent: b"%d" % user.number,
    "iteration": lambda user, name, sent: b"%d" % user.iteration,
    "socket": lambda user, name, sent: name.encode(),
    "sent": lambda user, name, sent: sent,
    "uuid": texts.uuid,
}


class Payloads:
    """`authorities` are those of the sockets, by name; `changing` are the names that a step gives a
    value while the run is on. `place` is the step that is being compiled, `sockets` are its own.
    """

    place: Place
    sockets: tuple[int, ...] = ()

    def __init__(
        self,
        scenario: Scenario,
        authorities: Mapping[str, str],
        columns: Columns,
        changing: Collection[str],
    ) -> None:
        self.scenario = scenario
        self.authorities = authorities
        self.changing = changing
        self._columns = columns

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

    def fold(self, payload: Text) -> tuple[bytes | Variable | Formula, ...]:
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

    def constant(self, payload: Payload) -> bytes | None:
        """The payload's bytes, if they are always the same."""
        match payload:
            case Data(data=data):
                return data
            case Random() | Picked():
                return None
            case Number() | Varint() | Sized() | Checked():
                return encoding.constant(payload, self.constant)
            case Repeated(payload=inner, times=times):
                once = self.constant(inner)
                return None if once is None else once * times
            case Joined(payloads=parts):
                found = [self.constant(part) for part in parts]
                known = [one for one in found if one is not None]
                return b"".join(known) if len(known) == len(found) else None
            case Framed():
                return framed.encoded(payload, self.constant)
            case Spoken(form=form):
                return self._spoken(form)
            case Text():
                folded = self.fold(payload)
                known = [part for part in folded if isinstance(part, bytes)]
                return b"".join(known) if len(known) == len(folded) else None

    def _spoken(self, form: Outgoing) -> bytes | None:
        """A form's bytes, if they are always the same, on whichever of the step's sockets."""
        names = self.scenario.sockets
        where = {self.authorities[names[index].name] for index in self.sockets}
        if len(where) != 1:
            return None
        return forms.constant(form, map(self.constant, form.payloads()), where.pop())

    def render(self, payload: Payload) -> Render:
        constant = self.constant(payload)
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
                return encoding.rendered(payload, self.render, self.place)
            case Picked(payloads=choices):
                return encoding.picked(payload, [self.render(one) for one in choices])
            case Repeated(payload=inner, times=times):
                once = self.render(inner)
                return lambda user, name, sent: once(user, name, sent) * times
            case Joined(payloads=parts):
                renders = [self.render(part) for part in parts]
                return lambda user, name, sent: b"".join([r(user, name, sent) for r in renders])
            case Framed(payload=inner, framing=framing, header=header):
                head = None if header is None else self.render(header)
                return framed.wrapped(framing, self.render(inner), self.place, head)
            case Spoken(form=form):
                said = [self.render(part) for part in form.payloads()]
                return forms.rendered(form, said, self.authorities, self.place)
            case Text():
                return texts.text([self._named(part) for part in self.fold(payload)])
        raise AssertionError(payload)

    def _named(self, part: bytes | Variable | Formula) -> bytes | texts.Named:
        """A part of a text."""
        if isinstance(part, bytes):
            return part
        name = part.name if isinstance(part, Variable) else ""
        return texts.Named(name if name in BUILT_IN else "", self._part(part))

    def _part(self, part: bytes | Variable | Formula) -> Render:
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
            return self._columns.render(*name.split(".", 1))
        default = self.scenario.variables.get(name, "").encode()
        return lambda user, socket, sent: user.get(name, default)
