"""One file with every key of the language: the schema takes it, it runs, and again when dumped."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import ROOT
from examples import running
from jsonschema import Draft202012Validator
from language import LANGUAGE, words
from loader_cases import values

from loadmux import thresholds
from loadmux.catalog import models
from loadmux.dump import dump
from loadmux.schema import schema

PATH = ROOT / "tests" / "e2e" / "every_key.yaml"

LEFT_OUT = {"words": {"reconnect", "stop_user", "ok", "hello", "upper_sb"}}
"""A file has one `on_error`; a rule is a word among others."""


def test_every_key_is_there() -> None:
    shown = set(words(values(PATH)))
    for part, keys in LANGUAGE.items():
        assert set(keys) - shown <= LEFT_OUT.get(part, set()), part
    listed = [thresholds.parse(text) for text in values(PATH)["thresholds"]]
    assert {one.metric for one in listed} == set(thresholds.METRICS)
    assert {one.op for one in listed} == set(thresholds.OPERATORS)


def test_the_schema_takes_it() -> None:
    assert not list(Draft202012Validator(schema(models())).iter_errors(values(PATH)))


@pytest.mark.parametrize("written", ["as it stands", "as it is dumped"])
def test_it_runs(written: str, tmp_path: Path) -> None:
    text = PATH.read_text()
    with running(tmp_path) as runner:
        if written == "as it is dumped":
            text = dump(runner.load(text))
        verdict = runner.run(text)
    assert verdict.code == 0, verdict
