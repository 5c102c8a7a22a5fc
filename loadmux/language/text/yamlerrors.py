"""What is wrong with a text that is no YAML, in plain words, at the place where it is to be mended.

A YAML parser says where it stopped and in its own words what it looked for there. That is rarely
what was written wrong: an open quote is told at the end of the file, a line that is indented badly
as a missing key. `explained` looks at the text itself. Pure; both parsers of PyYAML are understood.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from loadmux.checking.frozen import dataclass

QUOTES = "write it in quotes"
FLOW_TEXTS = (
    "inside {...} and [...] write texts such as 'group[0]' and '${name}' in quotes, and a comma"
    " between two entries"
)
COLON = re.compile(r":(?=\s|$)")
LOOSE_COLON = re.compile(r"\s*(?:- +)*[\w.-]+:(?=[^\s:/])")
LOOSE_DASH = re.compile(r"-(?=[\w\"'{\[$])")
QUOTED = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^']|'')*'")
_DASHES = re.compile(r"\s*(?:- +)*")


@dataclass(frozen=True, slots=True)
class Trouble:
    """Where the parser stopped in `text` (`at`), and where what it was reading began (`begin`)."""

    text: str
    at: int
    begin: int

    @property
    def found(self) -> str:
        """The character at which it stopped; empty at the end."""
        return self.text[self.at : self.at + 1]

    @property
    def line_start(self) -> int:
        return self.start_of(self.at)

    @property
    def before(self) -> str:
        """What stands before the place on its line."""
        return self.text[self.line_start : self.at]

    @property
    def first(self) -> bool:
        """Whether only spaces and tabs stand before it on its line."""
        return not self.before.strip()

    @property
    def ended(self) -> bool:
        return not self.text[self.at :].strip()

    def start_of(self, index: int) -> int:
        """Where the line of a character begins."""
        return max(self.text.rfind("\n", 0, index), self.text.rfind("\r", 0, index)) + 1

    def number(self, index: int) -> int:
        """The number of a character's line, from 1."""
        return len(re.findall(r"\r\n|\r|\n", self.text[: self.start_of(index)])) + 1

    def line(self, index: int) -> str:
        """The line of a character."""
        return re.split(r"[\r\n]", self.text[self.start_of(index) :], maxsplit=1)[0]

    def lines_above(self) -> list[tuple[int, int, str]]:
        """Number, start and text of the lines above, the nearest first; not blank, no comments."""
        found, end = [], self.line_start
        while end > 0:
            stop = end - 2 if self.text[:end].endswith("\r\n") else end - 1
            start = self.start_of(stop)
            line = self.text[start:stop]
            if line.strip() and not line.lstrip().startswith("#"):
                found.append((self.number(start), start, line))
            end = start
            if len(found) > MOST_LINES:
                break
        return found


MOST_LINES = 400
"""How far above a badly indented line another one is looked for that it may belong to."""

Told = tuple[int, str]
"""A place in the text, and what is wrong there."""


def explained(text: str, problem: str, context: str, at: int, begin: int) -> Told:
    """The place and the message; `begin` is `at` where the parser does not tell it."""
    trouble = Trouble(text, min(at, len(text)), min(begin, len(text)))
    for words, tell in KINDS:
        if re.search(words, f"{context}: {problem}"):
            return tell(trouble)
    return trouble.at, f"not valid YAML: {problem}"


# --- characters ---------------------------------------------------------------------------------


def _token(trouble: Trouble) -> Told:
    if trouble.found == "\t":
        return _tab(trouble)
    return trouble.at, f"a text cannot begin with {trouble.found!r}; {QUOTES}"


def _tab(trouble: Trouble) -> Told:
    line = trouble.line(trouble.at)
    indent = line[: len(line) - len(line.lstrip())]
    tab = indent.find("\t")
    if tab >= 0:
        message = "a tab cannot indent a line; indent with spaces, not tabs"
        return trouble.start_of(trouble.at) + tab, message
    return trouble.at, "a tab cannot stand here; write a space, or the text in quotes"


def _escape(trouble: Trouble) -> Told:
    at = trouble.text.rfind("\\", 0, trouble.at + 1)
    shown = trouble.text[at : at + 2]
    message = f"{shown} is no escape in double quotes; write \\{shown}, or use single quotes"
    return at, message


def _digits(trouble: Trouble) -> Told:
    at = trouble.text.rfind("\\", 0, trouble.at + 1)
    message = "an escape without all its digits; they are \\xNN, \\uNNNN and \\UNNNNNNNN"
    return at, message


def _no_character(trouble: Trouble) -> Told:
    at = trouble.text.rfind("\\", 0, trouble.at + 1)
    return at, "this escape stands for no character"


def _sigil(trouble: Trouble) -> Told:
    sigil = trouble.text[trouble.begin : trouble.begin + 1]
    what = {"&": "an anchor", "*": "an alias", "!": "a tag"}.get(sigil, "a directive")
    return trouble.begin, f"{sigil!r} begins {what} here; write a text that begins so in quotes"


# --- quotes and brackets ------------------------------------------------------------------------


def _open_quote(trouble: Trouble) -> Told:
    quote = trouble.text[trouble.begin : trouble.begin + 1]
    return trouble.begin, f"the quote that opens here is never closed; close it with {quote}"


def _open_bracket(trouble: Trouble) -> Told:
    """Inside `{...}` or `[...]` something else came than a comma or the end."""
    bracket = trouble.text[trouble.begin : trouble.begin + 1]
    closing = {"{": "}", "[": "]"}.get(bracket, "}")
    unclosed = f"the {bracket!r} that opens here is never closed; close it with {closing!r}"
    if trouble.ended or trouble.found in ("]", "}"):
        return trouble.begin, unclosed
    later = trouble.line_start > trouble.begin
    if later and (trouble.first or not _DASHES.sub("", trouble.before, count=1)):
        line = trouble.number(trouble.at)
        message = f"the {bracket!r} that opens here is not closed before line {line}; close it with"
        return trouble.begin, f"{message} {closing!r}, or write a comma there"
    if trouble.found == ":":
        message = "a text that holds ': ' must stand in quotes, and a comma between two entries"
        return trouble.at, message
    if trouble.before.rstrip()[-1:] in ("'", '"'):
        return trouble.at, _after_quote(trouble)
    return trouble.at, FLOW_TEXTS


def _after_quote(trouble: Trouble) -> str:
    """Something stands behind a closing quote."""
    quote = trouble.before.rstrip()[-1]
    inner = (
        "'' for a ' within single quotes" if quote == "'" else '\\" for a " within double quotes'
    )
    return f"this stands behind the closing quote; write {inner}, and the whole text in quotes"


def _empty_place(trouble: Trouble) -> Told:
    """A value is missing, or begins with what no text can begin with."""
    if trouble.found == ",":
        return trouble.at, "nothing stands before this comma; take it out, or write '' before it"
    if trouble.found == ":":
        return trouble.at, "inside {...} and [...] a text that begins with ':' must stand in quotes"
    if trouble.found in ("]", "}"):
        return trouble.at, f"no {'[' if trouble.found == ']' else '{'} is open here; " + (
            "take it out, or write the text in quotes"
        )
    return trouble.at, f"a value is missing before this; {QUOTES} if it is a text"


def _tight_colon(trouble: Trouble) -> Told:
    return trouble.at, "a space is missing after this ':'; write 'KEY: VALUE'"


# --- lines --------------------------------------------------------------------------------------


def _second_colon(trouble: Trouble) -> Told:
    """`: ` where no key can end: in a text, or on a line that is indented too deep."""
    if COLON.search(QUOTED.sub("''", trouble.before)):
        return trouble.at, "a text that holds ': ' must stand in quotes"
    above = trouble.lines_above()
    if not above:
        return trouble.at, "a text that holds ': ' must stand in quotes"
    number, start, line = above[0]
    tight = LOOSE_COLON.match(line)
    if tight is not None and not COLON.search(QUOTED.sub("''", line)):
        return start + tight.end() - 1, "a space is missing after this ':'; write 'KEY: VALUE'"
    if not COLON.search(QUOTED.sub("''", line)):
        return _keyless(trouble, start)
    at = trouble.line_start + _content(trouble.line(trouble.at))
    message = f"this line is indented deeper than line {number}, whose key has its value already"
    return at, f"{message}; {_indented(_content(line), number)}"


def _keyless(trouble: Trouble, index: int) -> Told:
    """A line that should be a key and its value."""
    start, line = trouble.start_of(index), trouble.line(index)
    tight = LOOSE_COLON.match(line)
    if tight is not None:
        return start + tight.end() - 1, "a space is missing after this ':'; write 'KEY: VALUE'"
    dash = LOOSE_DASH.match(line.lstrip())
    at = start + len(line) - len(line.lstrip())
    if dash is not None:
        return at, "a space is missing after this '-'; write '- ' before each item"
    return at, "this line has no ': '; write 'KEY: VALUE', or '- ' before an item of a list"


def _no_colon(trouble: Trouble) -> Told:
    return _keyless(trouble, trouble.begin)


def _entry_in_line(trouble: Trouble) -> Told:
    if trouble.first:
        return _misplaced(trouble)
    return trouble.at, "a list begins on a line of its own; write '- ' there, or [A, B] here"


def _misplaced(trouble: Trouble) -> Told:
    """Something that belongs to no line above it."""
    if not trouble.first:
        if trouble.before.rstrip()[-1:] in ("'", '"'):
            return trouble.at, _after_quote(trouble)
        return trouble.at, f"this cannot stand on this line; {QUOTES} if it belongs to a text"
    line, column = trouble.line(trouble.at), len(trouble.before)
    dash = LOOSE_DASH.match(line.lstrip())
    item = bool(re.match(r"-(\s|$)", line.lstrip()))
    keys, items = _levels(trouble)
    if column in items and not item and dash is not None:
        return trouble.at, "a space is missing after this '-'; write '- ' before each item"
    if item and not items and column in keys:
        message = f"the lines above are keys (line {keys[column]}), and this is an item of a list"
        return trouble.at, f"{message} ('- '); indent it under the key that it belongs to"
    if not item and column in items:
        message = f"the lines above are items of a list ('- ', line {items[column]}), and this is"
        return (
            trouble.at,
            f"{message} none; write '- ' before it, or indent it as what it belongs to",
        )
    fitting = items if item else keys
    if not fitting or column in fitting:
        return trouble.at, "this line goes on nothing above it; indent it as what it belongs to"
    near = min(fitting, key=lambda one: abs(one - column))
    message = f"this line is indented by {_spaces(column)}, which fits no line above"
    return trouble.at, f"{message}; {_indented(near, fitting[near])}"


def _levels(trouble: Trouble) -> tuple[dict[int, int], dict[int, int]]:
    """Columns at which a key, and at which an item may go on, with a line that begins there."""
    keys, items = dict[int, int](), dict[int, int]()
    open_to = len(trouble.text)
    for number, _, line in trouble.lines_above():
        indent = len(line) - len(line.lstrip(" "))
        if indent >= open_to:
            continue
        open_to = indent
        content = _content(line)
        keys.setdefault(content, number)
        for dash in re.finditer("-", line[:content]):
            items.setdefault(dash.start(), number)
        if indent == 0:
            break
    return keys, items


def _content(line: str) -> int:
    """The column of what a line says, behind its dashes."""
    match = _DASHES.match(line)
    return 0 if match is None else match.end()


def _spaces(count: int) -> str:
    return "1 space" if count == 1 else f"{count} spaces"


def _indented(column: int, number: int) -> str:
    where = f"indent it by {_spaces(column)}" if column else "begin it in the first column"
    return f"{where}, under line {number}"


def _trailing(trouble: Trouble) -> Told:
    """Something after what was the whole file."""
    if not trouble.first:
        if trouble.before.rstrip()[-1:] in ("'", '"'):
            return trouble.at, _after_quote(trouble)
        return trouble.at, f"this cannot stand on this line; {QUOTES} if it belongs to a text"
    return (
        trouble.at,
        "this line goes on nothing above it; begin all keys of the file in one column",
    )


def _block_header(trouble: Trouble) -> Told:
    sigil = trouble.text[trouble.begin : trouble.begin + 1]
    message = f"after {sigil!r} the text begins on the next line; write a text that begins so"
    return trouble.at, f"{message} in quotes"


def _version(trouble: Trouble) -> Told:
    return trouble.at, "only %YAML 1.2 is supported; leave the line out"


Tell = Callable[[Trouble], Told]
KINDS: tuple[tuple[str, Tell], ...] = (
    ("cannot start any token", _token),
    ("tab character", _tab),
    ("unexpected (end of stream|document (indicator|separator))", _open_quote),
    ("unknown escape", _escape),
    ("hexa?decimal", _digits),
    ("invalid Unicode character escape", _no_character),
    ("scanning an (anchor|alias)", _sigil),
    ("scanning a (tag|directive)|tag handle", _sigil),
    ("incompatible (YAML )?document|duplicate %?YAML", _version),
    ("scanning a block scalar", _block_header),
    ("mapping values are not allowed", _second_colon),
    ("(sequence entries|mapping keys) are not allowed", _entry_in_line),
    ("could not find expected ':'", _no_colon),
    ("unexpected ':'", _tight_colon),
    ("node content", _empty_place),
    ("flow (sequence|mapping): ", _open_bracket),
    ("block (mapping|collection|sequence): ", _misplaced),
    ("<document start>", _trailing),
)
"""What the words of a parser mean; the first that fits."""
