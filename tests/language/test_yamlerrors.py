"""Texts that are no YAML: where each is to be mended, and how, in plain words."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from loader_cases import plain

from loadmux.errors import ScenarioErrors
from loadmux.language.loading import load
from loadmux.language.text import yamltree
from loadmux.language.text.yamltree import ListNode, MappingNode, Node


def told(text: str) -> str:
    with pytest.raises(ScenarioErrors) as caught:
        load("s.yaml", text=text)
    (line,) = [str(error) for error in caught.value.errors]
    return line.removeprefix("s.yaml:")


FLOW = (
    "inside {...} and [...] write texts such as 'group[0]' and '${name}' in quotes, and a comma"
    " between two entries"
)
TIGHT = "a space is missing after this ':'; write 'KEY: VALUE'"
DASH = "a space is missing after this '-'; write '- ' before each item"
DOUBLE = '\\" for a " within double quotes, and the whole text in quotes'
SINGLE = "'' for a ' within single quotes, and the whole text in quotes"
BEHIND = "this stands behind the closing quote; write "
DEEPER = "whose key has its value already; "

INDENTATION = [
    (
        "steps:\n  - send: a\n    expect: b\n   name: c\n",
        "4:4: this line is indented by 3 spaces, which fits no line above; indent it by 4 spaces,"
        " under line 3",
    ),
    (
        "steps:\n  - send: a\n - send: b\n",
        "3:2: this line is indented by 1 space, which fits no line above; indent it by 2 spaces,"
        " under line 2",
    ),
    (
        "steps:\n- send: a\n\n# here\n  - send: b\n",
        "5:3: this line is indented by 2 spaces, which fits no line above; begin it in the first"
        " column, under line 2",
    ),
    (
        "load:\r\n    users: 5\r\n  run_time: 5s\r\n",
        "3:3: this line is indented by 2 spaces, which fits no line above; indent it by 4 spaces,"
        " under line 2",
    ),
    (
        "load:\n  users: 5\n   run_time: 5s\n",
        "3:4: this line is indented deeper than line 2, " + DEEPER + "indent it by 2 spaces,"
        " under line 2",
    ),
    (
        "name: x\n steps: []\n",
        "2:2: this line is indented deeper than line 1, " + DEEPER + "begin it in the first"
        " column, under line 1",
    ),
    (
        "steps:\n  - send: a\n      expect: b\n",
        "3:7: this line is indented deeper than line 2, " + DEEPER + "indent it by 4 spaces,"
        " under line 2",
    ),
    (
        "steps:\n  - send: >\n     a\n   b\n",
        "4:4: this line is indented by 3 spaces, which fits no line above; indent it by 4 spaces,"
        " under line 2",
    ),
    (
        "steps:\n  send: a\n  - expect: b\n",
        "3:3: the lines above are keys (line 2), and this is an item of a list ('- '); indent it"
        " under the key that it belongs to",
    ),
    (
        "- a\nload: x\n",
        "2:1: the lines above are items of a list ('- ', line 1), and this is none; write '- '"
        " before it, or indent it as what it belongs to",
    ),
    ("steps:\n\t- send: a\n", "2:1: a tab cannot indent a line; indent with spaces, not tabs"),
    (
        "steps:\n  - send: a\n \t expect: b\n",
        "3:2: a tab cannot indent a line; indent with spaces, not tabs",
    ),
    (
        "a: |\n \tb\n",
        "2:2: a tab cannot indent a line; indent with spaces, not tabs",
    ),
    (
        "steps:\n  -\tsend: a\n",
        "2:4: a tab cannot stand here; write a space, or the text in quotes",
    ),
    (
        "  name: x\nsteps: []\n",
        "2:1: this line goes on nothing above it; begin all keys of the file in one column",
    ),
]

COLONS = [
    ("load: users: 5\n", "1:12: a text that holds ': ' must stand in quotes"),
    ("steps:\n  - send: 'a': b\n", "2:14: a text that holds ': ' must stand in quotes"),
    (
        "steps:\n  - {send: a expect: b}\n",
        "2:20: a text that holds ': ' must stand in quotes, and a comma between two entries",
    ),
    ("steps:\n  - send:a\n    expect: b\n", f"2:9: {TIGHT}"),
    ("variables: {a:, b: 1}\n", f"1:14: {TIGHT}"),
    ("steps:\n  - send: a\n  -expect: b\n", f"3:3: {DASH}"),
    (
        "steps\n  - send: a\n",
        "1:1: this line has no ': '; write 'KEY: VALUE', or '- ' before an item of a list",
    ),
    (
        "name: x\nsteps\nload: {users: 1}\n",
        "2:1: this line has no ': '; write 'KEY: VALUE', or '- ' before an item of a list",
    ),
    (
        "steps: - send: a\n",
        "1:8: a list begins on a line of its own; write '- ' there, or [A, B] here",
    ),
]

QUOTES = [
    (
        'steps:\n  - send: "a\n  - send: b\n',
        '2:11: the quote that opens here is never closed; close it with "',
    ),
    ("a: 'b\nc: d\n", "1:4: the quote that opens here is never closed; close it with '"),
    ('a: "b\n---\nc"\n', '1:4: the quote that opens here is never closed; close it with "'),
    ("steps:\n  - send: 'it's'\n", f"2:15: {BEHIND}{SINGLE}"),
    ('steps:\n  - {send: "a "b" c"}\n', f"2:16: {BEHIND}{DOUBLE}"),
    ('a: "b" c\n', f"1:8: {BEHIND}{DOUBLE}"),
    ("'a'b\n", f"1:4: {BEHIND}{SINGLE}"),
    ('a: "b\\qc"\n', "1:6: \\q is no escape in double quotes; write \\\\q, or use single quotes"),
    (
        'a: "\\x4"\n',
        "1:5: an escape without all its digits; they are \\xNN, \\uNNNN and \\UNNNNNNNN",
    ),
    ('a: "\\U00110000"\n', "1:5: this escape stands for no character"),
]

BRACKETS = [
    (
        "steps:\n  - {send: a, expect: b\n",
        "2:5: the '{' that opens here is never closed; close it with '}'",
    ),
    (
        "steps:\n  - {send: [a, b}\n",
        "2:12: the '[' that opens here is never closed; close it with ']'",
    ),
    (
        "steps:\n  - {send: a\n  - {send: c}\n",
        "2:5: the '{' that opens here is not closed before line 3; close it with '}', or write a"
        " comma there",
    ),
    (
        "steps: [{send: a}\nload: {users: 1}\n",
        "1:8: the '[' that opens here is not closed before line 2; close it with ']', or write a"
        " comma there",
    ),
    ("steps:\n  - {on: g[0], send: a}\n", f"2:11: {FLOW}"),
    ("steps:\n  - {send: ${x}}\n", f"2:13: {FLOW}"),
    (
        "steps: [a, b]]\n",
        "1:14: this cannot stand on this line; write it in quotes if it belongs to a text",
    ),
    (
        "a: }\n",
        "1:4: no { is open here; take it out, or write the text in quotes",
    ),
    ("[a, , b]\n", "1:5: nothing stands before this comma; take it out, or write '' before it"),
    (
        "{a: :5}\n",
        "1:5: inside {...} and [...] a text that begins with ':' must stand in quotes",
    ),
]

SIGNS = [
    ("a: @b\n", "1:4: a text cannot begin with '@'; write it in quotes"),
    ("a: `b`\n", "1:4: a text cannot begin with '`'; write it in quotes"),
    ("a: %b\n", "1:4: a text cannot begin with '%'; write it in quotes"),
    ("a: [|b]\n", "1:5: a text cannot begin with '|'; write it in quotes"),
    ("a: &\n", "1:4: '&' begins an anchor here; write a text that begins so in quotes"),
    ("a: *\n", "1:4: '*' begins an alias here; write a text that begins so in quotes"),
    ("a: !e!x y\n", "1:4: '!' begins a tag here; write a text that begins so in quotes"),
    ("%a: b\n", "1:1: '%' begins a directive here; write a text that begins so in quotes"),
    ("%YAML 1.3\n---\na: b\n", "1:1: only %YAML 1.2 is supported; leave the line out"),
    (
        "a: |x\n  b\n",
        "1:5: after '|' the text begins on the next line; write a text that begins so in quotes",
    ),
]

PARTED = [
    ("a: [?b]\n", "1:5: a text that begins with '?' must stand in quotes here"),
    (
        "a: &x:y b\n",
        "1:4: the name of an anchor holds only letters, digits, '_' and '-'; write a text in"
        " quotes",
    ),
    (
        "a: *IDN?\n",
        "1:4: the name of an anchor holds only letters, digits, '_' and '-'; write a text in"
        " quotes",
    ),
    (
        "a: b\ufeff\n",
        "1:5: the character U+FEFF cannot stand here; write it as an escape in double quotes",
    ),
]
"""What YAML 1.1 and 1.2 read otherwise: refused."""


@pytest.mark.parametrize(
    ("text", "line"), [*INDENTATION, *COLONS, *QUOTES, *BRACKETS, *SIGNS, *PARTED]
)
def test_each_mistake_is_told_where_it_is_to_be_mended(text: str, line: str) -> None:
    assert told(text) == line


# Half of a surrogate pair, be it in a comment, has PyYAML's own parser read the text, not libyaml.
IN_PYTHON = "\n# \\ud83d\n"
LAX = {"a: |\n \tb\n", "variables: {a:, b: 1}\n"}
"""What libyaml refuses and PyYAML's own parser reads."""


@pytest.mark.parametrize(("text", "line"), [*INDENTATION, *COLONS, *QUOTES, *BRACKETS, *SIGNS])
def test_the_slow_parser_tells_the_same(text: str, line: str) -> None:
    if text in LAX:
        yamltree.parse("s.yaml", text + IN_PYTHON)
    elif "U0011" not in text:  # chr() leaves no place
        assert told(text + IN_PYTHON) == line


# --- what is YAML -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a":1,"b":[true,null]}', {"a": 1, "b": [True, None]}),
        ("{a: b:c, d: http://e/f}", {"a": "b:c", "d": "http://e/f"}),
        ("{on: yes, off: no, y: n}", {"on": "yes", "off": "no", "y": "n"}),
        ("a: 010\nb: 0o10\nc: 1_000\nd: 1:30\ne: 2020-01-01", {
            "a": 10, "b": 8, "c": "1_000", "d": "1:30", "e": "2020-01-01"}),
        ('a: "\\/ \\ud83d\\ude00 \\x41 \\e"', {"a": "/ \U0001f600 A \x1b"}),
        ("a: 'it''s'\nb: it's\nc: a#b # d", {"a": "it's", "b": "it's", "c": "a#b"}),
        ("? a\n: b\n? c\n", {"a": "b", "c": None}),
        ("- a\n-\n- ~\n- ''", ["a", None, None, ""]),
        ("a: |\n  x\n   y\n\nb: >-\n  x\n  y\nc: |+\n  z\n\nd: e", {
            "a": "x\n y\n", "b": "x y", "c": "z\n\n", "d": "e"}),
        ("a: &x [1, &y 2]\nb: *x\nc: *y", {"a": [1, 2], "b": [1, 2], "c": 2}),
        ("a: !!str 1\nb: !!int '2'\nc: ! d", {"a": "1", "b": 2, "c": "d"}),
        ("%YAML 1.2\n---\na: b\n...\n", {"a": "b"}),
        ("\ufeffa: b\r\nc:\r\n  - d\r\n", {"a": "b", "c": ["d"]}),
        ("a: {b: -}\nb: -c\nc: '- d'\ne: ?f", {"a": {"b": "-"}, "b": "-c", "c": "- d", "e": "?f"}),
    ],
)  # fmt: skip
def test_yaml_1_2_reads_so(text: str, value: object) -> None:
    for one in (text, text + IN_PYTHON):
        tree, mistakes = yamltree.parse("s.yaml", one)
        assert (plain(tree), mistakes) == (value, [])


def test_tabs_part_what_they_may_part() -> None:
    """libyaml alone takes them there."""
    tree, mistakes = yamltree.parse("s.yaml", "a:\tb\t# c\nd: [1,\t2]")
    assert (plain(tree), mistakes) == ({"a": "b", "d": [1, 2]}, [])


def test_a_value_that_is_missing_stands_behind_what_it_belongs_to() -> None:
    text = "a:\nb: # why\n\nc: {d: , e}\nf:\n  -\n  - g\n"
    tree, _ = yamltree.parse("s.yaml", text)
    assert isinstance(tree, MappingNode)
    values = [entry.value for entry in tree.entries]
    assert [one.where[1:] for one in values] == [(1, 3), (2, 3), (4, 4), (6, 3)]
    assert isinstance(values[2], MappingNode)
    assert [one.value.where[1:] for one in values[2].entries] == [(4, 7), (4, 11)]
    assert isinstance(values[3], ListNode)
    assert [one.where[1:] for one in values[3].items] == [(6, 4), (7, 5)]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
                      .filter(lambda key: key != "<<"), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=300)
@given(JSON, st.sampled_from([None, 1]), st.sampled_from([(", ", ": "), (",", ":")]))
def test_all_json_is_yaml(value: object, indent: int | None, separators: tuple[str, str]) -> None:
    text = json.dumps(value, indent=indent, separators=separators)
    tree, mistakes = yamltree.parse("s.yaml", text)
    assert mistakes == []
    assert plain(tree) == value


BITS = (
    *("a", "b", "on", "1", "x y", "- ", "-", "? ", "?", ": ", ":", ",", "[", "]", "{", "}", "&a "),
    *("*a", "!t ", "!!str ", "#", " # c", "|\n", ">", "@", "`", "'", '"', "'q'", '"d"', "\\n"),
    *(
        "\n",
        "\n  ",
        "\n    ",
        "\n- ",
        "\n  - ",
        "\t",
        " ",
        "\r\n",
        "a: ",
        "b: ",
        "k:v",
        "${x}",
        "~",
    ),
    *("\u00e9", "\U0001f600", "=", "<<: ", '"\\u00e9"', "|-\n  x\n"),
)


def shape(node: Node | None) -> object:
    """A tree with its places."""
    if isinstance(node, MappingNode):
        return node.where, [(one.where, one.key, shape(one.value)) for one in node.entries]
    if isinstance(node, ListNode):
        return node.where, [shape(one) for one in node.items]
    return None if node is None else (node.where, node.text, repr(node.value), node.raw)


@settings(max_examples=600)
@given(st.lists(st.sampled_from(BITS), max_size=14).map("".join))
@example("[?a]")
@example("&an:chor value")
@example("{a: , b}")
def test_both_parsers_read_the_same_or_refuse(bits: str) -> None:
    """A text has one meaning, whatever reads it; what only one of them takes is no danger."""
    text = f"key: {bits}"
    found = []
    for one in (text + "\nz: 1\n", text + "\nz: 1\n" + IN_PYTHON):
        try:
            tree, mistakes = yamltree.parse("s.yaml", one)
        except ScenarioErrors:
            return
        found.append((shape(tree), list(map(str, mistakes))))
    assert found[0] == found[1]
