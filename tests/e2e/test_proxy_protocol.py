"""The shipped scenario of the PROXY protocol, against haproxy before redis."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import ROOT, run
from real_servers import haproxy, redis

TEXT = (ROOT / "scenarios" / "proxy_protocol.yaml").read_text()
HEADER = '"PROXY TCP4 ${client} ${server} ${user + 1024} 6379\\r\\n"'
BINARY = """
          join:
            - {hex: 0d 0a 0d 0a 00 0d 0a 51 55 49 54 0a 21 11}
            - sized:
                join:
                  - {hex: c0 00 02 07 c0 00 02 fe}
                  - {join: [{int: "${user + 1024}", bytes: 2}, {int: 6379, bytes: 2}]}
              bytes: 2"""


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with redis(tmp_path) as server, haproxy(tmp_path, server) as proxy:
        yield proxy


def test_it_passes_and_a_header_is_needed(url: str, tmp_path: Path) -> None:
    """On each connection, in its second, binary form as well; of another client it is refused."""
    short = ("--target", url, "-t", "500ms")
    done = run("proxy_protocol", *short, folder=tmp_path)
    assert done.code == 0, done.out + done.err
    rows = {row["name"]: row["count"] for row in done.told["steps"]}
    assert rows["PROXY header"] == done.told["connects"]["count"] == 20
    assert HEADER in TEXT
    binary = tmp_path / "binary.yaml"
    binary.write_text(TEXT.replace("{name: PROXY header, send: " + HEADER + "}",
        "name: PROXY header\n        send:" + BINARY))  # fmt: skip
    done = run(binary, *short, folder=tmp_path)
    assert done.code == 0, done.out + done.err
    done = run("proxy_protocol", *short, "--var", "client=198.51.100.7", folder=tmp_path)
    assert done.code == 1, done.out + done.err
    without = tmp_path / "without.yaml"
    without.write_text(TEXT.replace(HEADER, '"PING\\r\\n"'))
    done = run(without, *short, folder=tmp_path)
    assert done.code == 1, done.out + done.err
