"""The peers of HTTP, wrk and h2load, and of large echoes, a plain Python socket; see `compare.py`.

wrk and h2load count responses by status; loadmux checks the status and the body of each. Requests
are those of HTTP/1.1 on kept connections, one under way on each.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import peers
from servers import BODY, bundled, nginx

WRK = re.compile(r"Requests/sec:\s*([\d.]+)")
WRK_COUNT = re.compile(r"(\d+) requests in")
H2LOAD = re.compile(r"finished in [\d.]+\w*, ([\d.]+) req/s")
H2LOAD_COUNT = re.compile(r"(\d+) succeeded")
FAILED = re.compile(r"Non-2xx or 3xx responses|Socket errors")
HTTP = (
    "target: {{url: 'tcp://{host}:{port}'}}\nload: {{users: {users}}}\n"
    "steps: [{{send: {{http: /x}}, expect: {{http: {{status: 200, body: {{length: {size}}}}}}}}}]\n"
)
ECHO = (
    "target: {{url: 'tcp://{host}:{port}', reply: echo}}\nload: {{users: 1}}\n"
    "steps: [{{send: {{repeat: 0123456789abcdef, times: {times}}}, expect: reply}}]\n"
)


def wrk(seconds: int) -> peers.Rate:
    with nginx() as port:
        words = ["-t1", f"-c{peers.USERS}", f"-d{seconds}s", f"http://{peers.HOST}:{port}/x"]
        told, cpu = peers.timed(["wrk", *words], seconds)
        return peers.Rate(_figure("wrk", WRK, told), cpu / _figure("wrk", WRK_COUNT, told))


def h2load(seconds: int) -> peers.Rate:
    with nginx() as port:
        words = ["--h1", "-t1", f"-c{peers.USERS}", f"-D{seconds}"]
        command = ["h2load", *words, f"http://{peers.HOST}:{port}/x"]
        told, cpu = peers.timed(command, seconds)
        if not re.search(r" 0 failed, 0 errored", told):
            raise peers.PeerError(f"h2load met failures: {told[-500:]}")
        count = _figure("h2load", H2LOAD_COUNT, told)
        return peers.Rate(_figure("h2load", H2LOAD, told), cpu / count)


def _figure(name: str, pattern: re.Pattern[str], told: str) -> float:
    found = pattern.search(told)
    if found is None or FAILED.search(told):
        raise peers.PeerError(f"{name} told no rate: {told[-500:]}")
    return float(found[1])


def loadmux_http(seconds: int) -> peers.Rate:
    with nginx() as port:
        fields = {"host": peers.HOST, "port": port, "users": peers.USERS, "size": len(BODY)}
        return _loadmux(HTTP.format(**fields), port, seconds, peers.USERS)


def plain(size: int, seconds: int) -> peers.Rate:
    with bundled("epoll") as url:
        program = str(peers.HERE / "python_socket.py")
        words = [url.rpartition(":")[2], str(size), str(seconds)]
        rate, cpu = peers.run([sys.executable, program, *words], seconds).split()
        return peers.Rate(float(rate), float(cpu))


def loadmux_echo(size: int, seconds: int) -> peers.Rate:
    with bundled("epoll") as url:
        port = int(url.rpartition(":")[2])
        text = ECHO.format(host=peers.HOST, port=port, times=size // 16)
        return _loadmux(text, port, seconds, 1)


def _loadmux(text: str, port: int, seconds: int, users: int) -> peers.Rate:
    with TemporaryDirectory() as folder:
        path = Path(folder, "scenario.yaml")
        path.write_text(text)
        return peers.loadmux(str(path), port, seconds, users)
