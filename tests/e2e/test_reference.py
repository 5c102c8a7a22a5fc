"""The reference of the language: every example runs and passes, and every key has one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import needs
import pytest
from commands import ROOT, loadmux, run
from examples import Example, Runner, examples, running
from language import LANGUAGE, words
from loader_cases import plain

from loadmux.language.describing import manual
from loadmux.language.describing.schema import schema
from loadmux.language.meaning import urls
from loadmux.language.text import yamltree
from loadmux.measuring import thresholds
from loadmux.running.catalog import models

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

EXAMPLES = examples()


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    with running(tmp_path_factory.mktemp("examples")) as found:
        yield found


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_each_example_passes(example: Example, runner: Runner) -> None:
    verdict = runner.run(example.whole)
    assert verdict.code == 0, verdict


@cache
def of_schema() -> Draft202012Validator:
    return needs.validator(schema(models()))


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_the_schema_takes_each_example(example: Example) -> None:
    tree, errors = yamltree.parse("s.yaml", example.whole)
    assert not errors
    assert not [error.message for error in of_schema().iter_errors(plain(tree))]


def test_every_key_of_the_loader_has_an_example() -> None:
    shown = set[str]()
    for example in EXAMPLES:
        tree, _ = yamltree.parse("s.yaml", example.text)
        shown.update(words(plain(tree)))
    missing = {part: set(keys) - shown for part, keys in LANGUAGE.items()}
    assert not {part: keys for part, keys in missing.items() if keys}
    every = " ".join(shown)
    assert all(f"{scheme}://" in every for scheme in (*urls.NETWORKED, "unix"))


def test_every_metric_and_operator_has_an_example() -> None:
    listed = [
        thresholds.parse(text)
        for example in EXAMPLES
        for text in plain(yamltree.parse("s.yaml", example.whole)[0]).get("thresholds", [])
    ]
    assert {one.metric for one in listed} == set(thresholds.METRICS)
    assert {one.op for one in listed} == set(thresholds.OPERATORS)
    assert {thresholds.CONNECT, None, "log in"} == {one.step for one in listed}


def test_every_key_is_a_topic_with_an_example() -> None:
    topics = manual.topics()
    parts = ("top level", "load", "steps", "sockets", "payloads", "replies")
    for key in {key for part in parts for key in LANGUAGE[part]} - {"each_byte", "reply"}:
        assert key in topics
        assert manual.about(key).count("```yaml")


@pytest.mark.parametrize("number", [0, len(EXAMPLES) // 3, -1])
def test_the_command_runs_them_alike(number: int, tmp_path: Path) -> None:
    elsewhere = ("://", "command:", "csv:", "file:", "call:", "include:")
    whole = [one for one in EXAMPLES if not any(word in one.text for word in elsewhere)]
    (tmp_path / "s.yaml").write_text(whole[number].whole)
    done = run(tmp_path / "s.yaml", "-t", "300ms", folder=tmp_path)
    assert done.code == 0, done.out + done.err


def test_help_prints_a_topic(tmp_path: Path) -> None:
    done = loadmux("help", "half_close", cwd=tmp_path)
    assert done.code == 0, done.err
    assert done.out.startswith("### half_close (Steps)\n")
    assert "```yaml" in done.out
    done = loadmux("help", cwd=tmp_path)
    assert "\n- Steps: " in done.out
    assert "receive_buffer, send_buffer" in done.out
    assert "\n- `faults`: Faults and verdicts\n" in done.out
    done = loadmux("help", "faults", cwd=tmp_path)
    assert done.out.startswith("# Faults and verdicts\n")
    done = loadmux("help", "protocols", cwd=tmp_path)
    assert done.out.startswith("# Protocols\n")
    assert "\n## Protocols\n" in done.out
    done = loadmux("help", "half_clos", cwd=tmp_path)
    assert done.code == 2
    assert done.err == "loadmux: help: no such topic 'half_clos'; did you mean 'half_close'?\n"


def test_the_page_of_the_reference_is_what_the_declarations_say() -> None:
    page = ROOT / "loadmux/manual/language.md"
    assert page.read_text() == manual.about("all") + "\n", "write it anew: make manual"


def test_the_shell_completes_a_topic(tmp_path: Path) -> None:
    asked = {"COMP_WORDS": "loadmux help half", "COMP_CWORD": "2"}
    done = loadmux(cwd=tmp_path, env={"_LOADMUX_COMPLETE": "complete_bash", **asked})
    assert done.out.split() == ["half_close"], done.err


def test_a_topic_of_two_kinds_comes_with_both() -> None:
    assert manual.about("frame").count("### frame (") == 2
    assert "### half_close\n" in manual.about("steps")


def test_a_wrong_example_would_be_found(runner: Runner) -> None:
    with pytest.raises(AssertionError, match="corrupt"):
        runner.run("target: {bundled: epoll}\nsteps: [{send: hello, expect: jello}]\n")
