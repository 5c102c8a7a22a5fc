"""The shipped scenario of DNS, against dnsmasq and against servers that lie."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commands import ROOT, loadmux, run
from real_servers import dnsmasq

ANSWER = bytes.fromhex("85800001000100000000")
ADDRESS = bytes.fromhex("c00c00010001000000000004c0000201")


def right(query: bytes) -> bytes:
    return query[:2] + ANSWER + query[12:] + ADDRESS


def other_id(query: bytes) -> bytes:
    return bytes([query[0] ^ 1]) + right(query)[1:]


def other_address(query: bytes) -> bytes:
    return right(query)[:-1] + b"\x02"


def part_missing(query: bytes) -> bytes:
    return right(query)[:-4]


@contextlib.contextmanager
def answering(answer: Callable[[bytes], bytes]) -> Iterator[str]:
    """A server over UDP; an empty datagram to itself ends it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def serve() -> None:
            while True:
                query, sender = server.recvfrom(4096)
                if not query:
                    return
                server.sendto(answer(query), sender)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"udp://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.sendto(b"", server.getsockname())
            thread.join()


def test_it_passes(tmp_path: Path) -> None:
    with dnsmasq() as port:
        targets = [f"udp=udp://127.0.0.1:{port}", f"tcp=tcp://127.0.0.1:{port}"]
        words = [word for one in targets for word in ("--target", one)]
        words += ["--iterations", "20"]
        done = run("dns", *words, "--workers", "2", folder=tmp_path)
    assert done.code == 0, done.out + done.err
    assert done.told["faults"] == []
    assert done.told["exchanges"]["count"] > 100


def test_it_has_targets_of_its_own() -> None:
    done = loadmux("check", ROOT / "scenarios" / "dns.yaml")
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize(
    ("answer", "kinds"),
    [
        (right, set()),
        (other_id, {"mismatch", "corrupt"}),
        (other_address, {"corrupt"}),
        (part_missing, {"truncated"}),
    ],
)
def test_the_id_must_come_back(
    answer: Callable[[bytes], bytes], kinds: set[str], tmp_path: Path
) -> None:
    text = (ROOT / "scenarios" / "dns.yaml").read_text()
    over_udp = text[: text.rindex("  - set:")] + "load: {users: 2, iterations: 2}\n"
    (tmp_path / "s.yaml").write_text(over_udp)
    with answering(answer) as url:
        words = ("--target", f"udp={url}", "--var", "host=loadmux")
        done = run(tmp_path / "s.yaml", *words, folder=tmp_path)
    found = {fault["kind"] for fault in done.told["faults"]}
    assert done.code == bool(kinds), done.out + done.err
    assert found <= kinds
    assert bool(found) == bool(kinds)
