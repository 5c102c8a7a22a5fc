"""What `soak.py` runs: random scenarios, each with a right server for it.

Streams by every rule against every model, over TCP, TLS and Unix sockets; datagrams; readers that
take little at a time; crowds; HTTP (nginx), RESP (redis) and WebSocket, where these are installed;
closed and open load. Everything is drawn from one source of chance.
"""

from __future__ import annotations

import importlib.util
import random
import shutil
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

RULES = ("echo", "upper", "ok", "received", "upper_sb", "hello", "sink")
MODELS = (
    *("select", "poll", "epoll", "epoll_et", "epoll_oneshot", "selectors", "event_loop", "signal"),
    *("threads", "thread_pool", "fork", "nonblocking", "io_uring", "asyncio", "gevent"),
)
NO_TLS = ("io_uring", "asyncio", "gevent")
TEXTS = (
    "_SB",
    "a_sb_SB_",
    "it's",
    'say \\"hi\\"',
    'it\'s \\"both\\"',
    "\\\\ \\n\\t",
    "ok",
    "plain",
)
TIMEOUT = 4.0
RUN_TIME = 3.0
SERVERS = str(Path(__file__).with_name("soak_servers.py"))
NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi; keepalive_requests 1000000;
    server {{ listen 127.0.0.1:{port}; root {folder}; }}
}}
"""


@dataclass(frozen=True, slots=True)
class Case:
    """A scenario, what to call it, and its server.

    `command` starts the server, which says `listening URL` on its first line, unless `url` is known
    before. `open` load may be inconclusive on a busy machine.
    """

    about: str
    text: str
    command: Sequence[str]
    url: str | None = None
    open: bool = False


def size(chance: random.Random, most: int) -> int:
    """Sizes of all orders of magnitude, the small ones as often as the large ones."""
    return max(1, int(most ** chance.random()))


def payload(chance: random.Random, most: int) -> str:
    kind = chance.random()
    if kind < 0.6:
        return f"{{random: {size(chance, most)}}}"
    text = chance.choice(TEXTS)
    if kind < 0.8:
        return f'{{repeat: "{text}", times: {size(chance, min(most // 8, 500))}}}'
    return f'{{join: ["{text} ${{user}} ${{iteration}} ", {{random: {size(chance, most // 8)}}}]}}'


def cutting(chance: random.Random) -> str:
    kind = chance.random()
    if kind < 0.6:
        return ""
    if kind < 0.8:
        return f", pieces: {max(50, size(chance, 100_000))}"
    sizes = [size(chance, 3000) + 50 for _ in range(chance.randint(1, 4))]
    gap = ", gap: 1ms" if chance.random() < 0.2 and min(sizes) > 500 else ""
    return f", pieces: {sizes}{gap}"


def load(chance: random.Random, most: int) -> tuple[str, bool]:
    """The last lines of a scenario with at most so many users; whether its load is open."""
    users, time = size(chance, most), f"run_time: {RUN_TIME:g}s"
    begin = f"timeout: {TIMEOUT:g}s\nload: "
    if chance.random() < 0.3:
        rate = size(chance, 100)
        return f"{begin}{{rate: {rate}/s, max_users: {users}, {time}}}\n", True
    pacing = ", pacing: 50ms" if chance.random() < 0.3 else ""
    return f"{begin}{{users: {users}, {time}{pacing}}}\n", False


def streams(chance: random.Random, folder: Path) -> Case:
    """The bundled targets, by every rule, over every transport."""
    rule, model = chance.choice(RULES), chance.choice(MODELS)
    transports = ("tcp", "tcp", "unix") if model in NO_TLS else ("tcp", "tcp", "unix", "tls")
    transport = chance.choice(transports)
    most = 64 * 1024 if rule in ("received", "upper_sb") else 1024 * 1024
    sockets = []
    for name in "abc"[: chance.randint(1, 3)]:
        options = ["tls: {verify: false}"] if transport == "tls" else []
        if chance.random() < 0.3:
            options.append(f"receive_buffer: {size(chance, 100_000) + 2048}")
        if chance.random() < 0.3:
            options.append(f"send_buffer: {size(chance, 100_000) + 2048}")
        if chance.random() < 0.3:
            options.append(f"count: {chance.randint(2, 4)}")
        sockets.append(f"  {name}: {{{', '.join(options)}}}")
    names = [line.split(":")[0].strip() for line in sockets]
    steps = []
    for _ in range(chance.randint(1, 5)):
        on = chance.choice(names)
        if chance.random() < 0.2:
            steps.append(f"  - {{on: {on}, send: {payload(chance, most)}{cutting(chance)}}}")
        send = f"send: {payload(chance, most)}{cutting(chance)}"
        steps.append(f"  - {{on: {on}, {send}, expect: reply}}")
    if chance.random() < 0.3:
        on = chance.choice(names)
        steps.append(f"  - {{half_close: {on}}}")
        steps.append(f"  - {{on: {on}, expect: closed}}")
    elif chance.random() < 0.3 and rule not in ("ok", "hello"):
        steps.append(f"  - {{close: {chance.choice(names)}}}")
    if chance.random() < 0.2:
        steps.append(f"  - {{wait: {chance.randint(1, 50)}ms}}")
    end, is_open = load(chance, 40)
    text = "\n".join(["sockets:", *sockets, "steps:", *steps, end])
    options = {"unix": ["--unix", str(folder / "socket")], "tls": ["--tls"]}.get(transport, [])
    if model == "thread_pool":
        options = [*options, "--workers", "600"]  # one for each connection, or some wait for ever
    command = [*loadmux("serve", model, "--reply", rule), *options]
    return Case(f"{transport} {model} {rule}", text, command, open=is_open)


def datagrams(chance: random.Random, folder: Path) -> Case:
    rule = chance.choice(RULES)
    steps = [
        f"  - {{send: {payload(chance, 1400)}, expect: reply}}" for _ in range(chance.randint(1, 4))
    ]
    end, is_open = load(chance, 20)
    text = "\n".join(["steps:", *steps, end])
    return Case(f"udp {rule}", text, loadmux("serve", "udp", "--reply", rule), open=is_open)


def slow_reader(chance: random.Random, folder: Path) -> Case:
    """Replies come while the message is still on its way, and for seconds no byte is taken."""
    amount, gap = chance.choice(((20_000, 0.05), (2_000, 0.01), (100, 0.001)))
    steps = [
        f"  - {{send: {payload(chance, 4 * 1024 * 1024)}{cutting(chance)}, expect: reply}}"
        for _ in range(chance.randint(1, 3))
    ]
    end, is_open = load(chance, 10)
    text = "\n".join(["steps:", *steps, end])
    command = [sys.executable, SERVERS, "slow", str(amount), str(gap)]
    return Case(f"slow {amount} {gap}", text, command, open=is_open)


def http(chance: random.Random, folder: Path) -> Case:
    steps = []
    for number in range(chance.randint(1, 4)):
        body = size(chance, 1024 * 1024)
        (folder / f"{number}.bin").write_bytes(bytes(body))
        reply = f"{{status: 200, body: {{length: {body}}}}}"
        steps.append(f"  - {{send: {{http: /{number}.bin}}, expect: {{http: {reply}}}}}")
    end, is_open = load(chance, 40)
    port = free_port()
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port))
    command = [program("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    text = "\n".join(["steps:", *steps, end])
    return Case("http nginx", text, command, f"tcp://127.0.0.1:{port}", is_open)


def resp(chance: random.Random, folder: Path) -> Case:
    key = '"key:${user}"'
    steps = []
    for _ in range(chance.randint(1, 3)):
        length = size(chance, 300_000)
        value = f"{{random: {length}}}"
        steps.append(f"  - {{send: {{resp: [SET, {key}, {value}]}}, expect: {{resp: OK}}}}")
        steps.append(f"  - {{send: {{resp: [STRLEN, {key}]}}, expect: {{resp: {length}}}}}")
        steps.append('  - {send: {resp: [ECHO, "${uuid}"]}, expect: {resp: {regex: ".{36}"}}}')
    end, is_open = load(chance, 40)
    port = free_port()
    words = ("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder))
    text = "\n".join(["steps:", *steps, end])
    url = f"tcp://127.0.0.1:{port}"
    return Case("resp redis", text, [program("redis-server"), *words], url, is_open)


def websocket(chance: random.Random, folder: Path) -> Case:
    steps = []
    for _ in range(chance.randint(1, 3)):
        length = size(chance, 100_000)
        talk = '{websocket: "to ${user} in ${iteration}"}'
        binary = f"{{websocket: {{binary: {{random: {length}}}}}}}"
        replied = f"{{websocket: {{binary: {{length: {length}}}}}}}"
        steps.append(f"  - {{send: {talk}, expect: {talk}}}")
        steps.append(f"  - {{send: {binary}, expect: {replied}}}")
        steps.append(f"  - {{wait: {chance.randint(1, 700)}ms}}")
    end, is_open = load(chance, 20)
    socket_options = "sockets: {main: {framing: {websocket: {path: /}}}}"
    text = "\n".join([socket_options, "steps:", *steps, end])
    return Case("websocket", text, [sys.executable, SERVERS, "websocket"], open=is_open)


def crowd(chance: random.Random, folder: Path) -> Case:
    """So many users that a turn of the loop takes long, though nobody holds it."""
    reply = chance.choice(("reply", '{until: "\\n"}', '"hello\\n"'))
    text = "\n".join(
        [
            f'steps: [{{send: "hello\\n", expect: {reply}}}]',
            f"timeout: {TIMEOUT:g}s",
            f"load: {{users: {chance.randint(300, 900)}, run_time: {RUN_TIME:g}s}}\n",
        ]
    )
    model = chance.choice(("epoll", "epoll_et", "asyncio", "io_uring"))
    return Case(f"crowd {model}", text, loadmux("serve", model, "--reply", "echo"))


Draw = Callable[[random.Random, Path], Case]


def kinds() -> list[Draw]:
    """Those that can run here, streams as often as all others."""
    others: list[Draw] = [datagrams, slow_reader, crowd]
    others += [http] if program("nginx") else []
    others += [resp] if program("redis-server") else []
    others += [websocket] if importlib.util.find_spec("websockets") else []
    return [*others, *[streams] * len(others)]


def loadmux(*words: str) -> list[str]:
    return [sys.executable, "-m", "loadmux", *words]


def program(name: str) -> str:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin") or ""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
