"""Frames with headers and checksums wherever they may stand: unasked, in Python, under Locust."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from commands import run
from driving import Driven, Server, drive, scenario_for
from locusting import headless, locustfile

from loadmux.language.describing.printing import dump

FRAMING = "framing: {length_prefix: {at: 1, varint: true}, check: crc16_modbus, order: little}"
UNASKED = (
    "ignore: [{frame: '', header: {hex: d0 00}}],"
    " answer: [{to: {frame: {regex: '(?P<id>..)'}, header: '2-'},"
    " send: {frame: '${id}', header: '3-'}}]"
)
ASK = (
    "{name: ask, send: {frame: 'ask ${iteration}', header: 'a-'},"
    " expect: {frame: 'told ${iteration}', header: 'b-'}}"
)


def checksum(data: bytes) -> bytes:
    """CRC-16/MODBUS, bit by bit."""
    found = 0xFFFF
    for byte in data:
        found ^= byte
        for _ in range(8):
            found = found >> 1 ^ 0xA001 * (found & 1)
    return found.to_bytes(2, "little")


def frame(kind: bytes, body: bytes) -> bytes:
    assert len(body) < 100
    return kind + bytes([len(body) + 2]) + body + checksum(body)


class Telling:
    """Tells what it is asked, with a heartbeat and a question before; `lie` changes all it says."""

    def __init__(self, size: int = 1000, lie: tuple[bytes, bytes] = (b"", b"")) -> None:
        self._size = size
        self._lie = lie
        self.answers: list[bytes] = []

    def __call__(self, connection: socket.socket, number: int) -> None:
        with connection.makefile("rb") as stream:
            while kind := stream.read(1):
                body = stream.read(stream.read(1)[0])
                assert body[-2:] == checksum(body[:-2])
                if kind == b"3":
                    self.answers.append(body[:-2])
                    continue
                assert kind == b"a"
                told = frame(b"b", b"told " + body[4:-2])
                whole = (frame(b"\xd0", b"") + frame(b"2", b"id") + told).replace(*self._lie)
                for at in range(0, len(whole), self._size):
                    connection.sendall(whole[at : at + self._size])


def talk(steps: str = ASK, options: str = UNASKED) -> str:
    return (
        f"sockets: {{main: {{{FRAMING}, {options}}}}}\nsteps: [{steps}]\n"
        "load: {users: 2, iterations: 3}\ntimeout: 400ms\n"
    )


def driven(server: Telling, text: str) -> Driven:
    with Server(server) as listening:
        return drive(text, listening.url)


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_headers_tell_what_may_come_at_any_time(size: int) -> None:
    server = Telling(size)
    found = driven(server, talk())
    assert found.kinds == {}
    assert found.stats.steps["ignored main"].right == 2 * 6
    assert set(server.answers) == {b"id"}


@pytest.mark.parametrize(
    ("lie", "kinds"),
    [
        ((b"\xd0\x02", b"\xd1\x02"), {"mismatch", "surplus", "corrupt"}),
        ((b"b\x08", b"c\x08"), {"corrupt"}),
        ((b"told 1", b"tolx 1"), {"corrupt"}),
    ],
)
def test_a_lie_among_them_is_found(lie: tuple[bytes, bytes], kinds: set[str]) -> None:
    found = set(driven(Telling(lie=lie), talk()).kinds)
    assert found
    assert found <= kinds


def test_what_is_printed_means_the_same() -> None:
    once = scenario_for(talk(), "tcp://127.0.0.1:9")
    again = scenario_for(dump(once), "tcp://127.0.0.1:9")
    assert again.sockets == once.sockets
    assert again.steps[0].name == "ask"


def test_on_connect_before_together_and_for() -> None:
    steps = f"""
before: [{ASK.replace("name: ask", "name: first")}]
steps:
  - together: [[{{for: {{n: [7, 8]}}, do: [{ASK.replace("iteration", "n")}]}}], [{{wait: 1ms}}]]
  - {{send: {{join: [{{frame: ask 1, header: 'a-'}}, {{frame: ask 2, header: a-}}]}}}}
  - expect: [{{frame: told 1, header: 'b-'}}, {{frame: {{regex: 'told .'}}, header: {{length: 2}}}}]
"""
    options = f"{UNASKED}, on_connect: [{ASK.replace('ask,', 'login,')}]"
    text = talk(options=options)
    text = text[: text.index("steps:")] + steps + text[text.index("load:") :]
    found = driven(Telling(2), text)
    assert found.kinds == {}
    assert found.stats.steps["login"].right == 2
    assert found.stats.steps["ask"].right == 12


def test_in_a_python_scenario_and_by_workers(tmp_path: Path) -> None:
    (tmp_path / "talk.py").write_text(
        """
from loadmux.scripting import User, scenario

FRAMING = {"length_prefix": {"at": 1, "varint": True}, "check": "crc16_modbus", "order": "little"}
BEAT = {"frame": "", "header": {"hex": "d0 00"}}
ASKED = {"to": {"frame": "id", "header": "2-"}, "send": {"frame": "id", "header": "3-"}}

@scenario(
    sockets={"main": {"framing": FRAMING, "ignore": [BEAT], "answer": [ASKED]}},
    users=2, iterations=3,
)
async def talk(user: User) -> None:
    got = await user["main"].exchange(
        {"frame": f"ask {user.iteration}", "header": "a-"},
        {"frame": {"regex": "told .*"}, "header": "b-"},
    )
    assert got == b"told %d" % user.iteration, got
"""
    )
    with Server(Telling(3)) as listening:
        words = ("--target", listening.url, "--workers", "2")
        done = run(tmp_path / "talk.py", *words, folder=tmp_path)
    assert done.code == 0, done.out
    assert done.told["exchanges"]["count"] == 6


def test_under_locust(tmp_path: Path) -> None:
    more = r"""
  marked: {framing: {start: "<", end: ">", check: xor8}}
  lines: {framing: {lines_until: '\d{3} .*'}}
  stream: {framing: sse}
"""
    text = talk().replace("sockets: {main: {", "sockets:\n  main: {")
    text = text.replace("}}\nsteps", f"}}{more}steps", 1)
    with Server(Telling()) as listening:
        path = tmp_path / "talk.yaml"
        path.write_text(f"target: {listening.url}\n{text}")
        locustfile(tmp_path, path)
        done = headless(tmp_path, "-u", "2", "-r", "2")
    assert done.code == 0, done.text
