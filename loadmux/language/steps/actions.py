"""What stands after the actions of steps and beside them, but for payloads and replies."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from loadmux.language.grammar import patterns
from loadmux.language.grammar.contract import Schema, Schemas, Type, Writing
from loadmux.language.grammar.names import SENT
from loadmux.language.grammar.patterns import portable, whole
from loadmux.language.grammar.reading import NO_STEP, Reading
from loadmux.language.grammar.references import NAME, Reference
from loadmux.language.grammar.shapes import Form, Forms
from loadmux.language.grammar.types import Constant, Duration, Label, Pair, Size, Words
from loadmux.language.meaning.stepvalues import Exponential, Fixed, Function, Normal, Uniform
from loadmux.language.messages.numbers import written_text
from loadmux.language.messages.payloadforms import PLAIN, bounded
from loadmux.language.messages.payloads import PAYLOAD, AnyPayload
from loadmux.language.steps import connecting
from loadmux.language.text import nodes
from loadmux.language.text.nodes import kind_of, suggestion
from loadmux.language.text.yamltree import FunctionNode, ListNode, MappingNode, Node, ScalarNode
from loadmux.measuring.thresholds import CONNECT, NAMED_CONNECT
from loadmux.plugins.payloads import Payload, Text
from loadmux.units import SIZE_FORMS, quoted

EACH_BYTE = "each_byte"
REFERENCE = portable(NAME.pattern) + r"(?:\[[0-9]{1,9}\])?"
FUNCTION = re.compile(r"([^\W\d]\w*(?:\.[^\W\d]\w*)*):([^\W\d]\w*(?:\.[^\W\d]\w*)*)")
FUNCTION_FORM = "write PACKAGE.MODULE:FUNCTION"


class On(Type):
    """Sockets: reads to a Reference, is written from their places."""

    word = "sockets"
    definition = "sockets"

    def read(self, r: Reading, node: Node, what: str) -> Reference | None:
        return r.sockets.refer(node, what)

    def schema(self, s: Schemas) -> Schema:
        one = s.refer("socket", self._one)
        listed = {"type": "array", "items": one, "minItems": 1, "uniqueItems": True}
        told = "A socket, a group, one socket of a group (`group[0]`), `all`, or a list of these."
        return {"description": told, "anyOf": [one, listed]}

    def _one(self, s: Schemas) -> Schema:
        told = "A socket, a group, one socket of a group (`group[0]`), or `all`."
        return {"description": told, "type": "string", "pattern": whole(REFERENCE)}

    def write(self, value: Any, w: Writing) -> Any:
        return w.sockets(value)


class RowName(Label):
    """What the report calls a step; `connect` is the row of all connects already."""

    def made(self, r: Reading, node: Node, text: str, what: str) -> Any:
        found = super().made(r, node, text, what)
        return NAMED_CONNECT if found == CONNECT else found


class Pieces(Type):
    """Sizes, of which the last one repeats; `each_byte` is (1,)."""

    word = "size, list of sizes or `each_byte`"

    def read(self, r: Reading, node: Node, what: str) -> Any:
        if isinstance(node, ScalarNode) and isinstance(node.value, str) and "${" not in node.value:
            if node.value == EACH_BYTE:
                return (1,)
            if not node.value[:1].isdigit():
                hint = suggestion(node.value, [EACH_BYTE], f"{SIZE_FORMS}, a list, or")
                return r.refuse(node, f"{quoted(node.value)} are no pieces{hint}")
        if isinstance(node, ListNode) and not node.items:
            r.add(node.where, f"'pieces' holds no size; {SIZE_FORMS}")
        items = node.items if isinstance(node, ListNode) else (node,)
        sizes = [self._size(r, item) for item in items]
        return None if None in sizes else tuple(sizes)

    def _size(self, r: Reading, node: Node) -> int | Text | None:
        if isinstance(node, ScalarNode) and isinstance(node.value, str) and "${" in node.value:
            return r.names.text(node.where, node.value)
        size: int | None = Size().read(r, node, "a piece")
        return size

    def schema(self, s: Schemas) -> Schema:
        size = {"anyOf": [Size().schema(s), {"type": "string", "pattern": patterns.VARYING}]}
        listed = {"type": "array", "items": size, "minItems": 1}
        return {"anyOf": [{"enum": [EACH_BYTE]}, size, listed]}

    def write(self, value: Any, w: Writing) -> Any:
        if not value:
            return None
        found = [
            written_text(one) if isinstance(one, Text) else Size().write(one, w) for one in value
        ]
        return EACH_BYTE if found == [1] else found[0] if len(found) == 1 else found


# --- waits --------------------------------------------------------------------------------------


def _uniform(r: Reading, form: Any, others: Any) -> Uniform | None:
    pair = UNIFORM.read(r, form.value, "'uniform'")
    if pair is None:
        return None
    if pair[0] > pair[1]:
        return r.refuse(form.value, "'uniform' goes from the shorter to the longer time")
    return Uniform(*pair)


UNIFORM = Pair(Duration(), "{uniform: [A, B]}")
# fmt: off
DRAWN = (
    Form("uniform", UNIFORM, "Any time from the first to the second, equally likely.",
        reads=_uniform, cls=Uniform,
        examples=("- {wait: {uniform: [1ms, 5ms]}}\n- {send: hello, expect: reply}",)),
    Form("exponential", Duration(zero=False), "Exponential with this mean.", cls=Exponential,
        examples=("- {wait: {exponential: 2ms}}\n- {send: hello, expect: reply}",)),
    Form("normal", Pair(Duration(), "{normal: [MEAN, SD]}"), "Normal, with a mean and a standard"
        " deviation; less than nothing counts as nothing.", make=lambda pair: Normal(*pair),
        cls=Normal, examples=("- {wait: {normal: [5ms, 1ms]}}\n- {send: hello, expect: reply}",)),
)
# fmt: on


class Time(Forms):
    """A duration, or one that is drawn."""

    word = "duration, or one that is drawn"

    def __init__(self) -> None:
        super().__init__("a 'wait'", DRAWN)

    def scalar(self, r: Reading, node: ScalarNode, what: str) -> Any:
        seconds = Duration().read(r, node, what)
        return None if seconds is None else Fixed(seconds)

    def listed(self, r: Reading, node: ListNode, what: str) -> Any:
        message = "'wait' must be a duration or a mapping, not a list; write {uniform: [A, B]}"
        r.add(node.where, message)

    def mapping(self, r: Reading, node: MappingNode, what: str) -> Any:
        return super().mapping(r, node, self.what)

    def missing(self) -> str:
        return f"needs a duration or one of {', '.join(self.forms)}"

    def schema(self, s: Schemas) -> Schema:
        return {"anyOf": [s.of(Duration()), super().schema(s)]}

    def write(self, value: Any, w: Writing) -> Any:
        if isinstance(value, Fixed):
            return Duration().write(value.seconds, w)
        return super().write(value, w)


# --- values of names ----------------------------------------------------------------------------


class Value(Constant):
    """A text with `${name}`s, or a number or boolean as it is written."""

    definition = "value"

    def __init__(self) -> None:
        super().__init__(patterns.text(without=SENT))

    def read(self, r: Reading, node: Node, what: str) -> Any:
        found = super().read(r, node, "a value")
        return None if found is None else r.names.text(node.where, found)

    def schema(self, s: Schemas) -> Schema:
        told = "A text, in which `${name}` is replaced, a number or a boolean."
        return {"description": told, **super().schema(s)}

    def write(self, value: Any, w: Writing) -> Any:
        return written_text(value)


VALUE = Value()


def names_schema(value: Schema, **more: Any) -> Schema:
    """A mapping from names that texts may use, `${name}`, to values."""
    names = {"pattern": whole(patterns.NAME), **patterns.NOT_BUILT_IN}
    told = {"type": "object", "propertyNames": names, "additionalProperties": value}
    return {**told, "minProperties": 1, **more}


def no_names(r: Reading, node: Node, message: str) -> None:
    """Something that defines names is none; where a merge key is why, that is known already."""
    if not (isinstance(node, MappingNode) and node.incomplete):
        r.add(node.where, message)
    r.lose_steps()


class Settable(Value):
    """A value, or any payload that needs no socket."""

    definition = "settable"
    _PAYLOAD = AnyPayload(PLAIN, plugins=False)

    def read(self, r: Reading, node: Node, what: str) -> Any:
        if not isinstance(node, MappingNode):
            return super().read(r, node, what)
        r.wire = NO_STEP
        found = self._PAYLOAD.read(r, node, "a value")
        return None if found is None or not bounded(r, node.where, found) else found

    def schema(self, s: Schemas) -> Schema:
        return {"anyOf": [s.of(VALUE), s.of(PAYLOAD)]}

    def write(self, value: Any, w: Writing) -> Any:
        return PAYLOAD.write(value, w)


SETTABLE = Settable()


class Values(Type):
    """`{NAME: VALUE}`: names from here on."""

    word = "names with values"

    def read(self, r: Reading, node: Node, what: str) -> dict[str, Payload] | None:
        if not isinstance(node, MappingNode) or not node.entries or node.incomplete:
            shown = "an empty one" if isinstance(node, MappingNode) else kind_of(node)
            no_names(r, node, f"{what} must be a mapping, not {shown}; write {{NAME: VALUE}}")
            return None
        values = {entry.key: SETTABLE.read(r, entry.value, "") for entry in node.entries}
        for entry in node.entries:
            r.names.check(entry.where, entry.key, "the variable")
            r.names.define(entry.where, entry.key)
        return {name: value for name, value in values.items() if value is not None}

    def schema(self, s: Schemas) -> Schema:
        return names_schema(s.of(SETTABLE))

    def write(self, value: Any, w: Writing) -> Any:
        return {name: SETTABLE.write(one, w) for name, one in value.items()}


class Listed(Type):
    """What a `for` goes through: a list, or `${name}` of a list in `variables`."""

    def read(self, r: Reading, node: Node, what: str) -> tuple[Text, ...] | None:
        if isinstance(node, ScalarNode) and isinstance(node.value, str):
            return self._named(r, node, node.value)
        items = nodes.items(r.mistakes, node, "what 'for' goes through")
        if items is None:
            return None
        values = [VALUE.read(r, item, "") for item in items]
        return tuple(value for value in values if value is not None)

    def _named(self, r: Reading, node: Node, text: str) -> tuple[Text, ...] | None:
        name = text.removeprefix("${").removesuffix("}")
        if text == f"${{{name}}}" and name in r.names.lists:
            return r.names.lists[name]
        if r.names.incomplete:
            return None
        lists = ["${" + known + "}" for known in r.names.lists]
        hint = suggestion("${" + name + "}", lists, "lists in 'variables' are")
        message = f"'for' goes through a list, and {quoted(text)} is none"
        return r.refuse(node, message + (hint or "; write {NAME: [A, B]}"))

    def schema(self, s: Schemas) -> Schema:
        pattern = rf"^\$\{{{patterns.NAME}\}}$"
        listed = {"type": "array", "items": s.of(VALUE)}
        return {"anyOf": [listed, {"type": "string", "pattern": pattern}]}

    def write(self, value: Any, w: Writing) -> Any:
        return [VALUE.write(one, w) for one in value]


class Loop(Type):
    """`{NAME: LIST}`; who reads the steps reads the two."""

    word = "a name with a list"

    def schema(self, s: Schemas) -> Schema:
        return names_schema(Listed().schema(s), maxProperties=1)

    def write(self, value: Any, w: Writing) -> Any:
        variable, values = value
        return {variable: Listed().write(values, w)}


# --- barriers and functions ---------------------------------------------------------------------


class BarrierName(Label):
    def read(self, r: Reading, node: Node, what: str) -> Any:
        if r.together:
            message = "a 'barrier' cannot stand in a branch of 'together': the whole user waits"
            r.add(node.where, message)
        connecting.refuse(r, node.where, "a 'barrier' cannot stand in it")
        return super().read(r, node, what)


class Called(Type):
    """A function of the author's, by its name or, in Python, itself."""

    word = "`PACKAGE.MODULE:FUNCTION`"

    def read(self, r: Reading, node: Node, what: str) -> Function | None:
        # What a function does on sockets has rows that only the run will show.
        r.complete = False
        folder = str(r.folder.resolve())
        if isinstance(node, FunctionNode):
            return _given(r, node, folder)
        text = nodes.text(r.mistakes, node, what)
        match = None if text is None else FUNCTION.fullmatch(text)
        if text is None or match is None:
            if text is not None:
                r.add(node.where, f"{quoted(text)} names no function; {FUNCTION_FORM}")
            return None
        from loadmux.language.sources import usercode

        function = Function(folder, match[1], match[2])
        try:
            with usercode.borrowed(folder):
                usercode.find(function)
        except ValueError as error:
            r.add(node.where, str(error))
        return function

    def schema(self, s: Schemas) -> Schema:
        return Words(whole(portable(FUNCTION.pattern))).schema(s)

    def write(self, value: Any, w: Writing) -> Any:
        """A function of a Python scenario as another file would call it."""
        module = value.module if value.path is None else Path(value.path).stem
        return f"{module}:{value.function}"


def _given(r: Reading, node: FunctionNode, folder: str) -> Function:
    """A function itself, of which the other processes need the name."""
    from loadmux.language.sources import usercode

    module = str(getattr(node.function, "__module__", ""))
    try:
        usercode.check(node.function, node.text)
        if "<" in node.text:
            raise ValueError(f"{node.text!r} must stand at the top level of a module")
    except ValueError as error:
        r.add(node.where, str(error))
    if module != usercode.name_of(node.where.path):
        return Function(folder, module, node.text)
    return Function(folder, "", node.text, str(Path(node.where.path).resolve()))
