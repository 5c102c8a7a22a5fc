"""What crosses the network between master and workers: loadmux's values, and nothing else.

Run by `tests/locust/test_inside.py`.
"""

from __future__ import annotations

import collections
import os
import pickle
from pathlib import Path

import pytest
from samples import fault, measured, wrong_byte

from loadmux.errors import Kind, UsageError
from loadmux.language.loading import load
from loadmux.language.scenario import Overrides
from loadmux.locust import wire
from loadmux.measuring.stats import Stats
from loadmux.running.catalog import scenarios

SCENARIOS = list(scenarios().values())


@pytest.mark.parametrize("path", SCENARIOS, ids=[path.stem for path in SCENARIOS])
def test_a_scenario_comes_out_as_it_went_in(path: Path) -> None:
    scenario = load(path, Overrides())
    assert wire.unpack(wire.pack(scenario, "it")) == scenario


PAYLOADS = """
target: {bundled: epoll, reply: echo}
steps:
  - set: {n: "${len(uuid) + user * 2}", part: "${uuid[1:4]}", c: {checked: a, check: crc32}}
  - {send: {join: [{int: "${n}", bytes: 2}, {varint: 5}, {random: 4, of: hex}]}, expect: reply}
  - {send: {sized: {pick: [a, b], weights: [1, 2]}, bytes: 1}, pieces: "${n}", expect: reply}
"""


def test_every_form_of_a_payload_comes_out_as_it_went_in() -> None:
    scenario = load("s.yaml", text=PAYLOADS)
    assert wire.unpack(wire.pack(scenario, "it")) == scenario


def test_statistics_and_evidence_come_out_as_they_went_in() -> None:
    stats = measured({"ask": [0.001, 0.002]}, connects=[0.0001])
    fault("ask", Kind.CORRUPT, 2, stats)
    stats.record_fault(wrong_byte())
    assert wire.unpack(wire.pack(stats, "it")) == stats


class Malicious:
    """Runs a command when it is unpickled by pickle itself."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (self.command,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_command_is_not_run(protocol: int, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    data = pickle.dumps(Malicious(f"touch {trace}"), protocol=protocol)
    with pytest.raises(pickle.UnpicklingError, match="is no value of loadmux"):
        wire.unpack(data)
    assert not trace.exists()


def call(module: str, name: str, argument: str) -> bytes:
    """A pickle that calls a global, found by a dotted name, with a text."""
    words = [module, name, argument]
    texts = [b"\x8c" + bytes([len(word)]) + word.encode() for word in words]
    return b"\x80\x04" + texts[0] + texts[1] + b"\x93" + texts[2] + b"\x85R."


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("builtins", "eval"),
        ("loadmux.measuring.stats", "struct.pack"),
        ("loadmux.measuring.stats", "sys.exit"),
        ("loadmux.measuring.stats", "_moved"),
        ("loadmux.measuring.stats", "dataclass"),
        ("loadmux.measuring.stats", "Stats.merge"),
        ("loadmux.language.scenario", "Mapping"),
        ("loadmux.errors", "LoadmuxError"),
        ("loadmux.running.target", "TargetProcess"),
        ("loadmux.running.run", "spawn"),
        ("collections", "namedtuple"),
    ],
)
def test_nothing_but_values_is_made(module: str, name: str) -> None:
    with pytest.raises(pickle.UnpicklingError, match="is no value of loadmux"):
        wire.unpack(call(module, name, "1"))


def test_a_counter_is_a_value() -> None:
    assert wire.unpack(wire.pack(collections.Counter("aab"), "it")) == {"a": 2, "b": 1}


def test_what_is_too_large_is_named() -> None:
    with pytest.raises(UsageError, match=r"^big\.yaml: with all the files that it names"):
        wire.pack(b"x" * (wire.LARGEST + 1), "big.yaml")


def test_what_was_cut_off_is_refused() -> None:
    data = wire.pack(Stats(), "it")
    with pytest.raises((pickle.UnpicklingError, EOFError)):
        wire.unpack(data[:-5])
