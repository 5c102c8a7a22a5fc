"""The reference of the scenario language, by topic: what `loadmux help` prints, as Markdown.

It is made of the declarations: what a key means, what it takes, its default, and examples, each of
which runs. Only what belongs to no key is written here.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from loadmux.errors import UsageError
from loadmux.language.grammar.shapes import Form, Key
from loadmux.language.keys.file import SCENARIO
from loadmux.language.keys.launching import COMMAND
from loadmux.language.keys.load import LOAD, PHASE
from loadmux.language.keys.sockets import OPTIONS
from loadmux.language.keys.targets import AT_URL, RULE
from loadmux.language.keys.tls import TLS
from loadmux.language.keys.variables import FEEDER
from loadmux.language.messages import (
    framings,
    payloadforms,
    payloads,
    plugged,
    prefixes,
    replyforms,
)
from loadmux.language.steps import actions, stepkeys, steplists
from loadmux.language.text import yamltext

TITLE = "The scenario language"
INTRODUCTION = """\
Every key with an example that runs; `loadmux help TOPIC` prints one of these sections. An example
that shows no `target` runs against `{bundled: epoll, reply: echo}`, a server that sends back what
it reads; one that shows no `steps` has `[{send: hello, expect: reply}]`; a list alone is `steps`.

Files are YAML 1.2. Durations have units (`250us`, `10ms`, `1.5s`, `2m`, `1h`), sizes may (`64`,
`64KiB` = 65536, `1MB` = 1000000), rates do (`500/s`, `30/m`), ramps go from one to the other
(`0..500`). Files are named relative to the scenario's folder."""


@dataclass(frozen=True)
class Section:
    """Keys that stand together, and examples of what is none of them."""

    title: str
    introduction: str
    keys: Sequence[Key] = ()
    examples: tuple[str, ...] = ()


PROTOCOLS = tuple(
    f"- `{name}`: sent: {sent} Expected: {plugged.REPLIES[name]}"
    for name, sent in plugged.PAYLOADS.items()
)
ANSWERS = {
    **{"echo": "hello", "upper": "HELLO", "ok": "ok", "upper_sb": "HELLO_SB", "sink": "reply"},
    **{"received": "\"Server received b'hello'\"", "hello": "Hello Client!"},
}
"""What is right after `send: hello`, by rule."""
# fmt: off
SECTIONS = (
    Section("Scenario", "The top level of a file.", tuple(SCENARIO.keys.values())),
    Section("Target", "A server that is there already.",
        (*AT_URL.keys.values(), RULE.keys["read_size"])),
    Section("Command", "A target that is a server of your own, started for the run; `reply` is as"
        " for one that is there already.", COMMAND),
    Section("Feeder", "A variable that is a table, a CSV file with a header: one row a user, the"
        " same one as long as it lives. A text says `${name.column}`.",
        tuple(FEEDER.keys.values())),
    Section("Sockets", "Options of a socket. Each user has its own. One connects at its first use,"
        " stays connected over iterations, and is closed when the user stops. Without `sockets`"
        " there is one, `main`.", tuple(OPTIONS.keys.values())),
    Section("TLS", "Options of `tls`.", tuple(TLS.keys.values())),
    Section("Framing", "Where a message ends, for `frame` and `regex`: a word, or one of these"
        " forms, and `max` and `check` beside it.", (*framings.FORMS, *framings.BESIDE)),
    Section("Length prefix", "Keys of `length_prefix`.", tuple(prefixes.PREFIX.keys.values())),
    Section("Steps", "A step has one action, and what belongs to it. `send` and `expect` together"
        " are one *exchange*, timed from just before the send until the last byte of the checked"
        " reply. A whole reply is judged as soon as it is there, also while its message is still"
        " being sent: if it is right, the rest of the message is given up, and the next message"
        " goes out on a new connection.", tuple(stepkeys.KEYS.values())),
    Section("Together", "What may stand in place of a branch of `together`.",
        (steplists.IN_BACKGROUND,)),
    Section("Wait", "What is drawn in place of a duration.", actions.DRAWN),
    Section("Payloads", "A text stands for itself, in UTF-8; escapes such as `\\r\\n` are written"
        " in double quotes. `${name}` is replaced: by variables, what `save`, `regex`, `set` and"
        " `for` define, and the built-in `user` and `iteration` (both from 0), `socket`, `uuid`,"
        " and in `expect` `sent`: what the same step sent; `connection` (a number of the socket's"
        " connection, unique over the run), `now` (milliseconds since 1970) and `worker` (from 0),"
        " unless the scenario gives these names to something of its own; `env.NAME` of the"
        " environment, or `env.NAME:-DEFAULT`, read with the file, in `variables` too."
        " `${NAME[A:B]}` is a slice of its bytes, `${len(NAME)}` their number, `${n + 1}` a sum of"
        " whole numbers (`+ - * // %` and parentheses). `$${` is a literal `${`. `{text: ...}`"
        " says that a word such as `reply` is a text. Nothing is replaced elsewhere (`name`, `on`,"
        " `barrier`, thresholds, the target): there `${name}` is a mistake.",
        (*payloadforms.FORMS, payloads.OUT_OF_BAND), (
            '- {send: "user ${user}, iteration ${iteration}, on ${socket}: ${uuid}",'
            ' expect: "${sent}"}',
            'variables: {line: status=42}\n'
            "steps:\n"
            '  - set: {code: "${line[7:]}", home: "${env.NO_SUCH:-nowhere}"}\n'
            '  - {send: "${code + 1} ${len(line) // 2} ${home}", expect: 43 4 nowhere}\n'
            '  - {send: "${connection} ${now} ${worker}", expect: "${sent}"}',
            '- {send: "not a variable: $${user}", expect: "not a variable: $${user}"}',)),
    Section("Replies", "A text or another constant payload: exactly these bytes. The word `reply`:"
        " what the target's rule makes of what this socket has sent and not yet checked. Or one of"
        " these. `[REPLY, REPLY]` is one after the other: one exchange, whose latency ends with the"
        " last byte of the last; `closed` or `{reset: true}` may be the last. What a reply saves"
        " has a value in those after it.", replyforms.KEYS, (
            "- {send: hello}\n- {send: world, expect: reply}",
            "- send: \"5 hello\"\n"
            "  expect: [{regex: '(?P<size>\\d+) ', until: \" \"}, {length: 5}]\n"
            "- {send: bye}\n"
            "- {half_close: main}\n"
            "- {expect: [bye, closed]}",)),
    Section("Rules", "How a server answers each chunk that it reads. `expect: reply` is right"
        " however the stream was cut.", (), tuple(
            f"target: {{bundled: epoll, reply: {rule}}}\n"
            f"steps: [{{send: hello, expect: {reply}}}]"
            for rule, reply in ANSWERS.items())),
    Section("Protocols", "Forms of the protocols that ship.\n\n" + "\n".join(PROTOCOLS)),
    Section("Load", "Without a `load` there is one user with one iteration.",
        tuple(LOAD.keys.values())),
    Section("Phases", "Keys of each phase of `phases`.", tuple(PHASE.keys.values())),
    Section("Thresholds", "`[STEP:] METRIC OP VALUE`. `connect` is the row of the connects; a step"
        " is named in quotes or without.", (), ('thresholds: ["errors == 0", "error_rate < 1%",'
            ' "dropped == 0", "iterations >= 1", "rate > 1/m"]', 'thresholds: ["p(99) < 1s",'
            ' "p(99.9) <= 2s", "min > 1us", "mean < 500ms", "max != 1s"]',
            "steps: [{name: log in, send: hello, expect: reply}]\n"
            'thresholds: ["\'log in\': p(95) < 1s", "log in: errors == 0", "connect p(99) < 1s",'
            ' "connect: max < 3s"]')),
)
# fmt: on


def about(topic: str | None, others: Iterable[str] = ()) -> str:
    """What there is to say of a topic, without one which topics there are.

    Raises UsageError, which names the nearest topic or one of the `others`.
    """
    if topic is None:
        listed = "".join(f"\n- {one.title}{_listed(one)}" for one in SECTIONS)
        return f"## {TITLE}\n\n{INTRODUCTION}\n\nTopics (and `all`):\n{listed}"
    if topic.lower() == "all":
        return "\n\n".join([f"# {TITLE}", INTRODUCTION, *map(_page, SECTIONS)])
    found = [_page(one) for one in SECTIONS if one.title.lower() == topic.lower()]
    found += [_about_key(key, one) for one, key in _every_key() if key.name == topic.lower()]
    if found:
        return "\n\n".join(found)
    near = difflib.get_close_matches(topic.lower()[:100], [*topics(), *others], 1)
    hint = f"did you mean {near[0]!r}?" if near else "`loadmux help` lists them"
    raise UsageError(f"help: no such topic {topic[:60]!r}; {hint}")


def topics() -> list[str]:
    """All topics, in lower case; `all` is the whole reference."""
    titles = [section.title.lower() for section in SECTIONS]
    return list(dict.fromkeys([*titles, *(key.name for _, key in _every_key()), "all"]))


def _every_key() -> Iterator[tuple[Section, Key]]:
    for section in SECTIONS:
        for key in section.keys:
            yield section, key
            for beside in key.beside if isinstance(key, Form) else ():
                if beside.name not in {other.name for other in section.keys}:
                    yield section, beside


def _listed(section: Section) -> str:
    names = [key.name for one, key in _every_key() if one is section]
    return f": {', '.join(names)}" if names else ""


def _page(section: Section) -> str:
    keys = [key for one, key in _every_key() if one is section]
    rows = [f"| `{key.name}` | {_cell(key.help)} | {_cell(_takes(key))} |" for key in keys]
    table = ["\n".join(["| key | meaning | value |", "|---|---|---|", *rows])] if rows else []
    shown = [f"### {key.name}\n\n{_fenced(key.examples)}" for key in keys if key.examples]
    examples = [_fenced(section.examples)] if section.examples else []
    return "\n\n".join([f"## {section.title}", section.introduction, *table, *examples, *shown])


def _about_key(key: Key, section: Section) -> str:
    """A key that has no examples of its own is shown by another's."""
    every = (other for one in (section, *SECTIONS) for other in one.keys)
    others = (text for other in every for text in other.examples if f"{key.name}:" in text)
    examples = key.examples or tuple(others)[:1]
    shown = [_fenced(examples)] if examples else []
    return "\n\n".join([f"### {key.name} ({section.title})", key.help, _takes(key), *shown])


def _takes(key: Key) -> str:
    default = key.written_default()
    given = "" if default in (None, "", []) else f"; default `{yamltext.flow(default)}`"
    return f"{key.type.word}{given}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _fenced(examples: Iterable[str]) -> str:
    kinds = ((("python" if text.startswith("async def") else "yaml"), text) for text in examples)
    return "\n\n".join(f"```{kind}\n{text}\n```" for kind, text in kinds)
