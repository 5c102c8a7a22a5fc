"""The shipped scenarios of binary and several-lined protocols: real servers, and some that lie."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commands import ROOT, loadmux, run
from driving import Server, answering
from real_servers import beanstalkd, memcached, mosquitto, nats, smtp_server

NAMES = ["beanstalkd", "memcached_binary", "mqtt", "nats", "smtp"]


@contextlib.contextmanager
def server_for(scenario: str, folder: Path) -> Iterator[str]:
    with contextlib.ExitStack() as stack:
        match scenario:
            case "beanstalkd":
                yield stack.enter_context(beanstalkd())
            case "nats":
                yield stack.enter_context(nats())
            case "memcached_binary":
                yield stack.enter_context(memcached())
            case "mqtt":
                yield stack.enter_context(mosquitto(folder))
            case "smtp":
                yield stack.enter_context(smtp_server(folder))


@pytest.mark.parametrize("name", NAMES)
def test_it_passes(name: str, tmp_path: Path) -> None:
    with server_for(name, tmp_path) as url:
        words = ("--target", url, "-u", "4", "-t", "1s", "--workers", "2", "--iterations", "20")
        done = run(name, *words, folder=tmp_path)
    assert done.code == 0, done.out + done.err
    assert done.told["exchanges"]["count"] > 20
    assert done.told["faults"] == []


@pytest.mark.parametrize("name", NAMES)
def test_it_has_a_target_of_its_own(name: str) -> None:
    done = loadmux("check", ROOT / "scenarios" / f"{name}.yaml")
    assert (done.code, done.err) == (0, "")


def memcached_set(request: bytes) -> bytes:
    """A right answer to `set`."""
    return b"\x81\x01" + bytes(10) + request[12:16] + b"\0\0\0\0\0\0\0\x07"


def other_opaque(request: bytes) -> bytes:
    return memcached_set(request[:15] + bytes([request[15] ^ 1]) + request[16:])


def longer(request: bytes) -> bytes:
    reply = memcached_set(request)
    return reply[:11] + b"\x01" + reply[12:]


def not_stored(request: bytes) -> bytes:
    reply = memcached_set(request)
    return reply[:7] + b"\x05" + reply[8:]


@pytest.mark.parametrize(
    ("answer", "kinds"),
    [
        (memcached_set, set()),
        (other_opaque, {"corrupt"}),
        (longer, {"corrupt"}),
        (not_stored, {"corrupt"}),
    ],
)
def test_what_a_header_says_is_judged(
    answer: Callable[[bytes], bytes], kinds: set[str], tmp_path: Path
) -> None:
    text = (ROOT / "scenarios" / "memcached_binary.yaml").read_text()
    end = text.index("  - set: {opaque", text.index("name: set"))
    (tmp_path / "s.yaml").write_text(text[:end] + "load: {users: 2, iterations: 2}\n")
    with Server(answering(answer)) as server:
        done = run(tmp_path / "s.yaml", "--target", server.url, folder=tmp_path)
    assert done.code == bool(kinds), done.out + done.err
    assert {fault["kind"] for fault in done.told["faults"]} == kinds
