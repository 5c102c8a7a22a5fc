"""The loader on anything: no text does more than raise mistakes, each at a place in the file."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from loadmux.errors import ScenarioErrors, UsageError
from loadmux.language.loading import load
from loadmux.language.meaning.scenario import Overrides, Scenario
from loadmux.running.catalog import models

VOCABULARY = """
name description target variables sockets before steps after load thresholds timeout on_error seed
url bundled reply echo tcp://h:1 unix:///s main all a b group[0] count nodelay receive_buffer
send_buffer source linger framing send expect connect close reset wait repeat for set do on within
pieces each_byte gap save text hex base64 file random times join frame rule length until closed
silence regex uniform exponential normal together barrier call users spawn_rate run_time iterations
until_close line delimiter length_prefix bytes order big fixed max
pacing graceful_stop rate phases max_users 0/s..5/s 5s 10ms
 64KiB 500/s 0..5 ${user} ${a} ${sent} $${ ${ ${a.b}
errors==0 a:p(99)<5ms 00ff aGk= epoll abort csv pick shuffled random when_short wrap to weight
"""
WORDS = VOCABULARY.split()
PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.sampled_from(WORDS),
    st.text(max_size=9),
)
KEYS = st.sampled_from(WORDS) | st.text(max_size=5)


def grown(children: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.lists(children, max_size=4) | st.dictionaries(KEYS, children, max_size=4)


TREES = st.recursive(PLAIN, grown, max_leaves=25)

STEP_KEYS = st.sampled_from(WORDS[WORDS.index("send") : WORDS.index("text")])
STEPS = st.lists(st.dictionaries(STEP_KEYS, TREES, max_size=3), max_size=4)
OTHER_KEYS = ("variables", "sockets", "before", "after", "load", "thresholds", "timeout")
SCENARIOS = st.fixed_dictionaries(
    {"target": st.just({"bundled": "epoll"}) | TREES, "steps": STEPS},
    optional=dict.fromkeys(OTHER_KEYS, TREES),
)
FRAMINGS = st.sampled_from(["line", "until_close", {"fixed": 2}, {"delimiter": "ab"}])
PATTERNS = st.text("a(?P<b>)[]{}\\\\*+|^$.01-,&~\u00e9\n", max_size=15)
FORM_KEYS = st.sampled_from(["frame", "regex", "until", "text", "random", "join", "rule", "length"])
FORMS = st.recursive(
    PLAIN | PATTERNS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(FORM_KEYS, inner, max_size=2),
    max_leaves=8,
)
FRAMED = st.fixed_dictionaries(
    {
        "target": st.just({"bundled": "epoll"}),
        "sockets": st.fixed_dictionaries(
            {"main": st.fixed_dictionaries({"framing": FRAMINGS | TREES})}
        ),
        "steps": st.lists(
            st.dictionaries(st.sampled_from(["send", "expect", "save"]), FORMS, min_size=1),
            min_size=1,
            max_size=3,
        ),
    }
)
INDICATORS = [*":,[]{}&*!|>-?#%@`'\"\\", ": ", "- ", "? ", "&a ", "*a", "<<: ", "---", "|\n  x\n"]
BREAKS = ["\n", "\n  ", "\r\n", "\r", "\t", "\x00", "\x85", "\u2028", "\ufeff"]
TAGS = ["!!int ", "!!python/none ", "%YAML 1.1\n"]
SCALARS = ['"\\ud800"', '"\\UFFFFFFFF"', "0x1F", ".nan", "~", "9" * 5000]
YAML_BITS = st.sampled_from([*WORDS, *INDICATORS, *BREAKS, *TAGS, *SCALARS])
MIXED = st.lists(YAML_BITS | st.text(max_size=3), max_size=40).map("".join)

TWO_LINES = "target: tcp://h:1\nsteps: [{send: a}]\n"

MODELS = models()

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def check(text: str) -> None:
    """`text` is a scenario or has mistakes; each is one line and points into the text."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    result = outcome(text)
    if isinstance(result, Scenario):
        assert result.steps
        assert result.target is not None
        assert result.thresholds
        return
    assert result.errors
    for error in result.errors:
        assert error.where.path == "s.yaml"
        assert 1 <= error.where.line <= len(lines)
        assert 1 <= error.where.column <= len(lines[error.where.line - 1]) + 1
        assert str(error).isprintable()


def outcome(text: str) -> Scenario | ScenarioErrors:
    try:
        return load("s.yaml", text=text, models=MODELS)
    except ScenarioErrors as errors:
        return errors


@QUICK
@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    check(text)


@QUICK
@given(MIXED)
@example("a: *a\n")
@example("&a [*a]\n")
@example("- " * 100)
@example("[" * 10_000)
@example("? " * 10_000)
@example("'")
@example("a: |\n  \ufeff\n\u00e9: 'x")
def test_pieces_of_yaml(text: str) -> None:
    check(text)


ROOT = Path(__file__).resolve().parents[2]
WHOLE = [*sorted((ROOT / "scenarios").glob("*.yaml")), ROOT / "tests" / "e2e" / "every_key.yaml"]
TEXTS = [path.read_text() for path in WHOLE]


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A right file with a few things cut out of it or put into it."""
    text = draw(st.sampled_from(TEXTS))
    for _ in range(draw(st.integers(0, 3))):
        begin = draw(st.integers(0, len(text)))
        end = begin + draw(st.integers(0, 12))
        text = text[:begin] + draw(YAML_BITS | st.just("")) + text[end:]
    return text


@QUICK
@given(damaged())
def test_right_files_with_damage(text: str) -> None:
    check(text)


@QUICK
@given(TREES)
def test_any_tree(tree: object) -> None:
    """JSON is YAML 1.2; what JSON has not (NaN, Infinity) is a text there."""
    check(json.dumps(tree, ensure_ascii=True))


@QUICK
@given(SCENARIOS, st.sampled_from([None, 1]))
def test_trees_like_scenarios(tree: object, indent: int | None) -> None:
    check(json.dumps(tree, indent=indent))


@QUICK
@given(FRAMED)
def test_frames_of_all_forms(tree: object) -> None:
    check(json.dumps(tree))


@QUICK
@given(PATTERNS)
@example("(" * 5000)
@example("(" * 5000 + ")" * 5000)
@example("a{99999999999}")
@example("(?<=a*)b")
@example("[[a]")
@example("(?\n")
@example("(?P<user>a)")
def test_any_regex(pattern: str) -> None:
    sockets = {"main": {"framing": "line"}}
    steps = [{"expect": {"regex": pattern}}]
    check(json.dumps({"target": "tcp://h:1", "sockets": sockets, "steps": steps}))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60))
@example("target: é".encode("latin-1"))
@example("target: é".encode("utf-16"))
def test_any_bytes(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "s.yaml"
        path.write_bytes(data)
        with pytest.raises(ScenarioErrors) as caught:
            load(path)
    for error in caught.value.errors:
        assert 1 <= error.where.line <= data.count(b"\n") + data.count(b"\r") + 1
        assert 1 <= error.where.column <= len(data) + 1
        assert error.message.isprintable()


@QUICK
@given(
    st.builds(
        Overrides,
        target=st.none() | st.sampled_from(WORDS) | st.text(max_size=9),
        reply=st.none() | st.sampled_from(["echo", "ok", "x"]),
        users=st.none() | st.integers(-2, 9),
        spawn_rate=st.none() | st.sampled_from(WORDS),
        run_time=st.none() | st.sampled_from(WORDS),
        thresholds=st.lists(st.text(max_size=9) | st.sampled_from(WORDS), max_size=1).map(tuple),
    )
)
def test_any_override_is_taken_or_refused_in_one_line(overrides: Overrides) -> None:
    try:
        told = str(load("s.yaml", overrides, text=TWO_LINES).load.users)
    except UsageError as error:
        told = str(error)
    assert told == str(overrides.users or 1) or told.startswith("--")
    assert told.isprintable()
