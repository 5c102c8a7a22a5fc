"""What scenario files say of frames: a socket's `framing`, and the regular expressions of replies.

A framing is a word (`line`, `until_close`) or a mapping with one form (`delimiter`,
`length_prefix`, `fixed`, or a word with `true`), and `max` beside it. A step's `frame` and `regex`
mean the framing of the step's sockets, so these must have one, and the same (`Wire`).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from loadmux.framing import (
    LARGEST_FRAME,
    ByteOrder,
    Delimited,
    Fixed,
    Framing,
    LengthPrefixed,
    PrefixSize,
    UntilClose,
    line,
)
from loadmux.loader import reader
from loadmux.loader.hints import meant
from loadmux.loader.names import Names
from loadmux.loader.reader import Fields, Mistakes, kind_of, suggestion
from loadmux.rules import MAX_FRAME
from loadmux.scenario import Regex
from loadmux.units import quoted
from loadmux.yamltree import Entry, MappingNode, Node, ScalarNode

if TYPE_CHECKING:
    from loadmux.loader.forms import Forms

WORDS: dict[str, Callable[[int], Framing]] = {"line": line, "until_close": UntilClose}
FORMS = (*WORDS, "delimiter", "length_prefix", "fixed")
REMEDY = "write line, until_close, {delimiter: BYTES}, {length_prefix: {bytes: 4}} or {fixed: SIZE}"
PREFIX_SIZES = (1, 2, 4, 8)
PREFIX_KEYS = ("bytes", "order", "counts_itself")

Constant = Callable[[Node, str], bytes | None]
"""Reads bytes (at least one) that are known when the file is loaded; takes the key for messages."""

_REFERENCE = re.compile(r"(?<!\\)\$\{\w+\}")


@dataclass(frozen=True, slots=True)
class Wire:
    """The framing of a step's sockets; None for `reason`, which is empty if that is told elsewhere.

    `answers`: the step sends one frame, so that a rule can say what answers it.
    """

    framing: Framing | None = None
    reason: str = ""
    answers: bool = False


def sends_frame(node: Node | None) -> bool:
    """Whether a `send` is one frame."""
    return isinstance(node, MappingNode) and any(entry.key == "frame" for entry in node.entries)


def may_capture(reply: Node) -> bool:
    """Whether something holds, or may have meant, a `regex`, whose groups are names."""
    if not isinstance(reply, MappingNode):
        return False
    return any(
        meant(entry.key, ("regex",)) is not None
        or (meant(entry.key, ("frame",)) is not None and may_capture(entry.value))
        for entry in reply.entries
    )


# --- the socket option --------------------------------------------------------------------------


def read(
    mistakes: Mistakes, node: Node, constant: Constant, plugins: Forms | None = None
) -> Framing | None:
    """The option `framing` of a socket."""
    if plugins is not None and (named := plugin_of(node, plugins)) is not None:
        return _plugin(mistakes, node, named, plugins)
    if isinstance(node, ScalarNode):
        return _word(mistakes, node, plugins)
    if not isinstance(node, MappingNode):
        mistakes.add(node.where, f"'framing' must not be a list; {REMEDY}")
        return None
    before = len(mistakes)
    fields = Fields(mistakes, node, "a framing", (*FORMS, "max"))
    forms = fields.among(FORMS)
    if len(forms) > 1:
        named = " and ".join(f"'{form.key}'" for form in forms)
        mistakes.add(forms[1].where, f"a framing has one form, this one has {named}")
    elif not forms and not fields.refused:
        mistakes.add(node.where, f"a framing needs a form; {REMEDY}")
    most = fields.value("max")
    size = MAX_FRAME if most is None else reader.size(mistakes, most, "'max'", LARGEST_FRAME)
    framing = _form(mistakes, forms[0], size or MAX_FRAME, constant) if len(forms) == 1 else None
    if framing is None or len(mistakes) > before:
        return None
    least = _least(framing)
    if least > (size or 0):
        given = f"({MAX_FRAME} unless it is given) " if most is None else ""
        message = f"'max' {given}must be at least {least} bytes, the size of the smallest frame"
        mistakes.add((most or node).where, message)
        return None
    return framing


def plugin_of(node: Node, forms: Forms) -> str | None:
    """The name of a plugin's framing: a word, or a key of a mapping."""
    if isinstance(node, ScalarNode):
        word = node.value if isinstance(node.value, str) else ""
        known = not word or word in FORMS
        return None if known or word not in forms.registry.names("framers") else word
    entry = forms.named(node, "framers")
    return None if entry is None else entry.key


def _plugin(mistakes: Mistakes, node: Node, name: str, forms: Forms) -> Framing | None:
    if not isinstance(node, MappingNode):
        return forms.framing(name, node, None, MAX_FRAME)
    entry = next(entry for entry in node.entries if entry.key == name)
    if not forms.alone(node, entry, ("max",)):
        return None
    most = next((other.value for other in node.entries if other.key == "max"), None)
    size = MAX_FRAME if most is None else reader.size(mistakes, most, "'max'", LARGEST_FRAME)
    return None if size is None else forms.framing(name, node, entry.value, size)


def _word(mistakes: Mistakes, node: ScalarNode, forms: Forms | None) -> Framing | None:
    found = reader.text(mistakes, node, "'framing'")
    if found is None:
        return None
    if found in WORDS:
        return WORDS[found](MAX_FRAME)
    if found in FORMS:
        message = f"{quoted(found)} needs a value; {REMEDY}"
    else:
        near = suggestion(found, FORMS, "")
        if forms is not None and "did you mean" not in near:
            near = forms.near(found, "framers")
        hint = near if "did you mean" in near else f"; {REMEDY}"
        message = f"unknown framing {quoted(found)}{hint}"
    mistakes.add(node.where, message)
    return None


def _form(mistakes: Mistakes, form: Entry, most: int, constant: Constant) -> Framing | None:
    key, node = form.key, form.value
    if key in WORDS:
        if isinstance(node, ScalarNode) and node.value is True:
            return WORDS[key](most)
        mistakes.add(node.where, f"'{key}' can only be true, not {kind_of(node)}")
        return None
    if key == "delimiter":
        delimiter = constant(node, "'delimiter'")
        return None if delimiter is None else Delimited(delimiter, most)
    if key == "fixed":
        size = reader.size(mistakes, node, "'fixed'", LARGEST_FRAME)
        return None if size is None else Fixed(size)
    return _length_prefix(mistakes, node, most)


def _length_prefix(mistakes: Mistakes, node: Node, most: int) -> Framing | None:
    if not isinstance(node, MappingNode):
        message = f"'length_prefix' must be a mapping, not {kind_of(node)}; write {{bytes: 4}}"
        mistakes.add(node.where, message)
        return None
    fields = Fields(mistakes, node, "a 'length_prefix'", PREFIX_KEYS)
    if "bytes" not in fields and "bytes" not in fields.meant:
        mistakes.add(node.where, "'length_prefix' needs 'bytes', one of 1, 2, 4, 8")
    size: PrefixSize | None = fields.read("bytes", _prefix_size)
    order: ByteOrder = fields.read("order", _order) or "big"
    counts_itself = fields.read("counts_itself", reader.boolean) or False
    return None if size is None else LengthPrefixed(size, order, counts_itself, most)


def _prefix_size(mistakes: Mistakes, node: Node, what: str) -> PrefixSize | None:
    size = reader.count(mistakes, node, what)
    if size is None or size in PREFIX_SIZES:
        return cast(PrefixSize | None, size)
    mistakes.add(node.where, f"{what} must be 1, 2, 4 or 8, not {quoted(str(size))}")
    return None


def _order(mistakes: Mistakes, node: Node, what: str) -> ByteOrder | None:
    found = reader.choice(mistakes, node, what.strip("'"), ("big", "little"))
    return cast(ByteOrder | None, found)


def _least(framing: Framing) -> int:
    """The size in bytes of the smallest frame."""
    match framing:
        case Fixed(size=size):
            return size
        case Delimited(delimiter=delimiter):
            return len(delimiter)
        case LengthPrefixed(prefix=prefix):
            return prefix
    return 0


# --- regular expressions ------------------------------------------------------------------------


def regex(mistakes: Mistakes, names: Names, node: Node) -> Regex | None:
    """A `regex`, whose named groups are names from here on."""
    pattern = reader.any_text(mistakes, node, "'regex'")
    groups = None if pattern is None else _groups(mistakes, node, pattern)
    if pattern is None or groups is None:
        names.give_up()
        return None
    for name in groups:
        names.check(node.where, name, "the group")
        names.define(node.where, name)
    return Regex(pattern, groups)


def _groups(mistakes: Mistakes, node: Node, pattern: str) -> tuple[str, ...] | None:
    """The names of the pattern's groups; None where it is no regex."""
    reference = _REFERENCE.search(pattern)
    if reference is not None:
        message = f"{quoted(reference[0])} is not replaced in a regex; for the text itself write"
        mistakes.add(node.where, f"{message} {quoted(chr(92) + reference[0])}")
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return tuple(re.compile(pattern.encode()).groupindex)
    except re.error as error:
        at = len(pattern.encode()[: error.pos or 0].decode(errors="ignore")) + 1
        what = "".join(c if c.isprintable() else repr(c)[1:-1] for c in error.msg)
        reason = f"{what}, at its character {at}"
    except (ValueError, OverflowError) as error:
        reason = str(error)
    except RecursionError:
        reason = "it is nested too deeply"
    mistakes.add(node.where, f"{quoted(pattern)} is no regex: {reason}")
    return None
