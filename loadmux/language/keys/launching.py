"""The keys of `target: {command: …}`: a server of the user's own that is started for the run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from loadmux.language.grammar import patterns
from loadmux.language.grammar.contract import Schema, Schemas, Type, Writing
from loadmux.language.grammar.reading import Reading
from loadmux.language.grammar.shapes import Key
from loadmux.language.grammar.types import Constant, Duration, Integer
from loadmux.language.meaning.servers import PORT, Command, Url
from loadmux.language.meaning.urls import NETWORKED, parse_url
from loadmux.language.text import nodes
from loadmux.language.text.nodes import kind_of
from loadmux.language.text.yamltree import ListNode, MappingNode, Node, ScalarNode
from loadmux.units import quoted

COMMAND_FORMS = 'write [python, server.py, --port, "{port}"]'


class CommandWords(Type):
    """The words of a command: a list, or a text that is cut as a shell cuts it."""

    word = "list of words, or a text"

    def read(self, r: Reading, node: Node, what: str) -> Any:
        if isinstance(node, ScalarNode) and isinstance(node.value, str):
            return self._cut(r, node, node.value, what)
        if not isinstance(node, ListNode) or not node.items:
            kind = "an empty list" if isinstance(node, ListNode) else kind_of(node)
            return r.refuse(node, f"{what} must be a list of words, not {kind}; {COMMAND_FORMS}")
        found = [self._word(r, item) for item in node.items]
        return None if None in found else tuple(found)

    def _cut(self, r: Reading, node: Node, text: str, what: str) -> Any:
        found = nodes.literal(r.mistakes, node.where, text, what)
        try:
            words = () if found is None else tuple(shlex.split(found))
        except ValueError as error:
            return r.refuse(node, f"{what} is no command: {str(error).lower()}; {COMMAND_FORMS}")
        if found is not None and not words:
            return r.refuse(node, f"{what} is empty; {COMMAND_FORMS}")
        return words or None

    def _word(self, r: Reading, node: Node) -> str | None:
        what = "a word of 'command'"
        found = Constant().read(r, node, what)
        return None if found is None else nodes.literal(r.mistakes, node.where, found, what)

    def schema(self, s: Schemas) -> Schema:
        word = {"type": ["string", "number", "boolean"], "pattern": patterns.CONSTANT}
        listed = {"type": "array", "minItems": 1, "items": word}
        text = rf"^(?=[\s\S]*\S)(?:{patterns.LITERAL})*$"
        return {"anyOf": [{"type": "string", "pattern": text}, listed]}

    def write(self, value: Any, w: Writing) -> Any:
        return [nodes.escaped(word) for word in value]


class ListeningUrl(Type):
    """A URL in which `{port}` may stand for the port."""

    word = "URL"
    stand_in = "1"

    def read(self, r: Reading, node: Node, what: str) -> Any:
        text = nodes.text(r.mistakes, node, what)
        if text is None:
            return None
        networked = not text.lower().startswith("unix:")
        drawn = networked and text.endswith(f":{PORT}")
        try:
            found = parse_url(text.removesuffix(PORT) + self.stand_in if drawn else text)
        except ValueError as error:
            return r.refuse(node, str(error))
        return replace(found, port=0) if drawn else found

    def schema(self, s: Schemas) -> Schema:
        schemes = map(patterns.any_case, (*NETWORKED, "unix"))
        return {"type": "string", "pattern": f"^(?:{'|'.join(schemes)})://."}

    def write(self, value: Url, w: Writing) -> Any:
        told = str(value)
        return told.removesuffix("0") + PORT if value.scheme != "unix" and not value.port else told


class LinePattern(Type):
    """A regular expression that is looked for in a line of text."""

    word = "regular expression"

    def read(self, r: Reading, node: Node, what: str) -> Any:
        found = nodes.text(r.mistakes, node, what)
        try:
            if found is not None:
                re.compile(found)
        except (re.error, OverflowError, RecursionError) as error:
            return r.refuse(node, f"{quoted(found or '')} is no regex: {error}")
        return found

    def schema(self, s: Schemas) -> Schema:
        return {"type": "string"}

    def write(self, value: Any, w: Writing) -> Any:
        return nodes.escaped(value)


# fmt: off
WORDS = Key("command", CommandWords(), "A server of your own, started for the run and ended with it"
    " whatever happens: its words, in which `{port}` is a free port. A word that names no file from"
    " here is looked for beside the scenario. When it dies, the last lines of its output are shown."
    , required="a target needs a 'command'", examples=(
        'target: {command: [python, server.py, --port, "{port}"], reply: echo}',
        'target: {command: "python server.py --port {port}", ready: "^ready", ready_within: 20s,'
        " reply: echo}"))
COMMAND = (
    WORDS,
    Key("url", ListeningUrl(), "Where the command's server listens, by default"
        " tcp://127.0.0.1:{port}; with a port of its own it need not be told one.", examples=(
            'target: {command: [python, server.py, --port, "{port}"], url: "tcp://localhost:{port}",'
            " reply: echo}",)),
    Key("port", Integer(1, 65535), "The port on which the command's server listens, instead of a"
        " free one.", examples=("target: {command: [python, server.py, --port, 18437], port: 18437,"
            " reply: echo}",)),
    Key("ready", LinePattern(), "The server is ready when a line of its output matches, not when it"
        " listens.", examples=('target: {command: [python, server.py, --port, "{port}"], ready:'
            ' "^ready", reply: echo}',)),
    Key("ready_within", Duration(zero=False), "The longest wait until the command's server is"
        " ready.", default=10.0, examples=('target: {command: [python, server.py, --port,'
            ' "{port}"], ready_within: 30s, reply: echo}',)),
)
# fmt: on
NOT_TOLD = (
    "the server is not told its port: write '{port}' in 'command', or where it listens: 'port: N'"
)
TWICE = "'port' and the port in 'url' are two; leave one of them out"


def is_command(values: Mapping[str, Node]) -> bool:
    """Whether a mapping is a target with a command, and no map of names of which one is so."""
    found = values.get("command")
    if found is None or isinstance(found, MappingNode):
        return False
    text = found.text if isinstance(found, ScalarNode) else ""
    return not text.startswith(tuple(f"{scheme}://" for scheme in (*NETWORKED, "unix")))


def command(r: Reading, node: Node, **values: Any) -> Command:
    """The command, whose parts must go together."""
    found = Command(**values)
    if not found.told_port and not found.fixed:
        r.add(node.where, NOT_TOLD)
    if found.port is not None and found.url is not None and found.url.port:
        r.add(node.where, TWICE)
    return found
