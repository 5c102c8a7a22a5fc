"""What crosses the network between master and workers: loadmux's values, and nothing else.

Run by `tests/locust/test_inside.py`.
"""

from __future__ import annotations

import collections
import os
import pickle
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

import msgpack  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import fault, measured, wrong_byte

from loadmux.errors import Kind, UsageError
from loadmux.language.loading import load
from loadmux.language.meaning.scenario import Overrides, Scenario
from loadmux.locust import wire
from loadmux.locust.wire import Tag, Unreadable
from loadmux.measuring.stats import Stats
from loadmux.running.catalog import scenarios

SCENARIOS = list(scenarios().values())


@pytest.mark.parametrize("path", SCENARIOS, ids=[path.stem for path in SCENARIOS])
def test_a_scenario_comes_out_as_it_went_in(path: Path) -> None:
    scenario = load(path, Overrides())
    assert wire.unpack(wire.pack(scenario, "it"), Scenario) == scenario


PAYLOADS = """
target: {bundled: epoll, reply: echo}
steps:
  - set: {n: "${len(uuid) + user * 2}", part: "${uuid[1:4]}", c: {checked: a, check: crc32}}
  - {send: {join: [{int: "${n}", bytes: 2}, {varint: 5}, {random: 4, of: hex}]}, expect: reply}
  - {send: {sized: {pick: [a, b], weights: [1, 2]}, bytes: 1}, pieces: "${n}", expect: reply}
"""


def test_every_form_of_a_payload_comes_out_as_it_went_in() -> None:
    scenario = load("s.yaml", text=PAYLOADS)
    assert wire.unpack(wire.pack(scenario, "it"), Scenario) == scenario


def test_statistics_and_evidence_come_out_as_they_went_in() -> None:
    stats = measured({"ask": [0.001, 0.002]}, connects=[0.0001])
    fault("ask", Kind.CORRUPT, 2, stats)
    stats.record_fault(wrong_byte())
    assert wire.unpack(wire.pack(stats, "it"), Stats) == stats


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
    with pytest.raises(Unreadable):
        wire.unpack(data, Stats)
    assert not trace.exists()


def message(plain: object, *names: str) -> bytes:
    data: bytes = msgpack.packb([list(names), [], plain])
    return data


STATS = "loadmux.measuring.stats:Stats"
SHAPED = [len(fields(Stats)) * [None]]

HOSTILE = {
    "a function": message([Tag.PART, 0], "builtins:eval"),
    "a function's call": message([Tag.OBJECT, 0, "1"], "os:system"),
    "what a module imports": message([Tag.OBJECT, 0, "1"], "loadmux.measuring.histogram:struct"),
    "a function of ours": message([Tag.PART, 0], "loadmux.measuring.rows:moved"),
    "a decorator": message([Tag.PART, 0], "loadmux.measuring.stats:dataclass"),
    "a method": message([Tag.PART, 0], "loadmux.measuring.stats:Stats.merge"),
    "a class itself": message([Tag.PART, 0], STATS),
    "an exception": message([Tag.OBJECT, 0, "1"], "loadmux.errors:LoadmuxError"),
    "a process": message([Tag.OBJECT, 0, "1"], "loadmux.running.servers.bundled:TargetProcess"),
    "a class of Python's": message([Tag.OBJECT, 0], "collections:OrderedDict"),
    "an attribute of a class": message([Tag.MEMBER, 0, "merge"], STATS),
    "a method of a kind": message([Tag.MEMBER, 0, "__class__"], "loadmux.errors:Kind"),
    "a field too many": message([Tag.OBJECT, 0, *SHAPED[0], "merge"], STATS),
    "a field too few": message([Tag.OBJECT, 0], STATS),
    "fields of another type": message([Tag.OBJECT, 0, *SHAPED[0]], STATS),
    "a name that is not there": message([Tag.OBJECT, 0], "loadmux.errors:Nothing"),
    "a module that is not there": message([Tag.OBJECT, 0], "loadmux.nothing:Nothing"),
    "no name": message([Tag.OBJECT, 7], STATS),
    "a name from behind": message([Tag.OBJECT, -1], STATS),
    "a mapping": msgpack.packb([[], [], {"a": 1}]),
    "an extension": msgpack.packb([[], [], msgpack.ExtType(1, b"x")]),
    "keys that cannot be": message([Tag.MAPPING, [Tag.LIST], 1]),
    "half a pair": message([Tag.MAPPING, 1]),
    "another list": message([99, 1]),
    "an empty list": message([]),
    "another value": message([Tag.LIST, 1]),
    "nothing": b"",
    "depth": msgpack.packb([[], []])[:1] + b"\x93\x90\x90" + b"\x92\x00" * 900 + b"\x00",
    "more than is read": b"\x00" * (wire.LARGEST + 1),
    "no bytes": "text",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_but_values_is_made(name: str) -> None:
    before = dict(vars(Stats))
    with pytest.raises(Unreadable):
        wire.unpack(HOSTILE[name], Stats)
    assert vars(Stats) == before


# BUILD, pickle's way to set attributes, on a class instead of an object of it.
BUILDS = b"\x80\x04cloadmux.measuring.stats\nStats\n(N}\x8c\x05merge\x8c\x03pwns\x86tb."


def test_no_message_sets_attributes_of_our_classes() -> None:
    merge = Stats.merge
    with pytest.raises(Unreadable):
        wire.unpack(BUILDS, Stats)
    assert Stats.merge is merge


def test_a_long_text_is_sent_once() -> None:
    text = b"x" * 100_000
    data = wire.pack([text] * 1000, "it")
    assert len(data) < 110_000
    assert wire.unpack(data, list) == [text] * 1000


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_any_value_comes_out_as_it_went_in(value: object) -> None:
    assert wire.unpack(wire.pack([value], "it"), list) == [value]


@given(st.binary())
def test_any_bytes_are_a_value_or_unreadable(data: bytes) -> None:
    with suppress(Unreadable):
        wire.unpack(data, Stats)


def test_a_counter_is_a_value() -> None:
    count = wire.unpack(wire.pack(collections.Counter("aab"), "it"), collections.Counter)
    assert count == {"a": 2, "b": 1}


def test_what_is_too_large_is_named() -> None:
    with pytest.raises(UsageError, match=r"^big\.yaml: with all the files that it names"):
        wire.pack(b"x" * (wire.LARGEST + 1), "big.yaml")


def test_what_was_cut_off_is_refused() -> None:
    data = wire.pack(Stats(), "it")
    for size in range(len(data)):
        with pytest.raises(Unreadable):
            wire.unpack(data[:size], Stats)
