"""What loads and is hardly meant (backslashes that are no escapes), and files full of mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadmux.errors import ScenarioErrors
from loadmux.language.loading import load

HEAD = "target: tcp://127.0.0.1:9\n"


def notices_of(text: str) -> list[str]:
    return [str(one).removeprefix("s.yaml:") for one in load("s.yaml", text=HEAD + text).notices]


def doubt(place: str, escape: str) -> str:
    size = len(escape)
    return (
        f"{place}: warning: here {escape} is {size} characters, no escape; write the text in double"
        " quotes"
    )


@pytest.mark.parametrize(
    ("text", "place", "escape"),
    [
        (r"steps: [{send: 'PING\r\n'}]", "2:16", r"\r"),
        (r"steps: [{send: PING\n}]", "2:16", r"\n"),
        (r"steps: [{send: {text: 'a\tb'}}]", "2:23", r"\t"),
        (r"steps: [{send: {join: [a, 'b\x00']}}]", "2:27", r"\x00"),
        (r"steps: [{send: {repeat: 'a\0', times: 2}}]", "2:25", r"\0"),
        (r"steps: [{send: a, expect: '+OK\r\n'}]", "2:27", r"\r"),
        (r"steps: [{send: a, expect: {until: '\r\n'}}]", "2:35", r"\r"),
        (r"steps: [{set: {a: '\u00e9'}}, {send: '${a}'}]", "2:19", r"\u00e9"),
        (r"steps: [{for: {a: ['\n']}, do: [{send: '${a}'}]}]", "2:20", r"\n"),
        (r"steps: [{send: {resp: ['SET\r', a]}, expect: {resp: OK}}]", "2:24", r"\r"),
        ("variables: {a: '\\n'}\nsteps: [{send: '${a}'}]", "2:16", r"\n"),
        ("sockets: {main: {framing: {delimiter: '\\r\\n'}}}\nsteps: [{send: a}]", "2:39", r"\r"),
        ("steps:\n - send: |\n    GET / HTTP/1.1\\r\n", "3:10", r"\r"),
    ],
)
def test_a_backslash_outside_of_double_quotes(text: str, place: str, escape: str) -> None:
    assert notices_of(text) == [doubt(place, escape)]


@pytest.mark.parametrize(
    "text",
    [
        r'steps: [{send: "PING\r\n"}]',
        r'steps: [{send: "PING\\r\\n"}]',
        r"steps: [{send: 'C:\data'}]",
        r"""steps: [{send: '{"text": "two\nlines"}'}]""",
        r"""steps: [{send: a, expect: "Server received b'a\\r\\n'"}]""",
        r"""steps: [{send: a, expect: 'Server received b''a\r\n'''}]""",
        "sockets: {main: {framing: line}}\nsteps: [{send: a, expect: {regex: '[^\\r\\n]+\\x20'}}]",
        "steps: [{send: {hex: '00'}}]\ndescription: 'with \\n'",
    ],
)
def test_backslashes_that_are_meant(text: str) -> None:
    assert notices_of(text) == []


def test_python_has_escapes_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "s.py"
    path.write_text(
        "from loadmux.scripting import scenario\n"
        "@scenario(target='tcp://127.0.0.1:9', variables={'a': 'x\\\\n'})\n"
        "async def talk(user): await user['main'].send('a')\n"
    )
    scenario = load(path)
    assert scenario.variables == {"a": "x\\n"}
    assert scenario.notices == ()


@pytest.mark.parametrize(("count", "last"), [(20, None), (21, "1 more mistake"), (120, "100 more")])
def test_of_many_mistakes_twenty_are_shown_and_the_rest_is_counted(
    count: int, last: str | None
) -> None:
    with pytest.raises(ScenarioErrors) as caught:
        load("s.yaml", text=HEAD + "steps:\n" + "- {snd: a}\n" * count)
    lines = str(caught.value).split("\n")
    assert len(caught.value.errors) == count
    assert [line for line in lines if line.startswith("s.yaml:22:")] == [
        "s.yaml:22:4: unknown key 'snd' in a step; did you mean 'send'?"
    ]
    if last is None:
        assert len(lines) == 20
    else:
        assert len(lines) == 21
        assert lines[-1].startswith(f"s.yaml: and {last}")
