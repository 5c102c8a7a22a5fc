"""No generator process imports anything while its clock runs: an import stops the whole loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from commands import ROOT, in_fork
from driving import Server, answering
from real_servers import websocket_server
from transports import Authority, TlsServer

WATCHED = """
import sys
sys.path[0] = ROOT
from loadmux.running.generators import nursery
nursery.WORKER = nursery.WORKER.replace("    main()", '''
    from loadmux.running.generators.worker import Worker
    whole = Worker.run
    def watched(self, start):
        before = set(sys.modules)
        try:
            return whole(self, start)
        finally:
            with open(FILE, "a") as file:
                print("late:", *sorted(set(sys.modules) - before), file=file)
    Worker.run = watched
    main()
''')
from loadmux.__main__ import main
main()
"""
LOAD = "load: {users: 3, iterations: 3, graceful_stop: 100ms}\ntimeout: 300ms\n"


def late(*scenarios: Path, options: Sequence[str] = (), code: int | None) -> set[str]:
    """The modules that were imported in the generator processes of a run that ended with `code`."""
    report = scenarios[0].with_name("late")
    program = WATCHED.replace("ROOT", repr(str(ROOT))).replace("FILE", repr(str(report)))
    done = in_fork(["-c", program, "run", *scenarios, "--workers", "2", *options], ROOT, {})
    assert code is None or done.code == code, done.out + done.err
    lines = report.read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["late:"] * 2
    return {name for line in lines for name in line.split()[1:]}


STEPS = {
    "texts": """
variables: {word: hello, account: {csv: rows.csv}}
sockets: {one: {framing: line}, two: {count: 2}}
before: [{set: {channel: "${uuid}"}}]
seed: 7
steps:
  - {on: one, send: {frame: "${word} ${account.name} ${channel}"}, expect: {regex: '(?P<all>.*)'}}
  - {on: one, send: {join: [{frame: "${all}"}, {frame: {random: 8}}]}, expect: {frame: "${all}"}}
  - {on: one, expect: {frame: {length: 8}}}
  - {on: one, send: {frame: {base64: aGk=}}, expect: {until: "\\n"}, save: it}
  - {on: two, send: {hex: 00ff}, expect: reply, pieces: each_byte, gap: 1ms}
  - for: {w: [a, b]}
    do: [{on: one, send: {frame: "${w}"}, expect: {frame: "${w}"}}]
  - together:
    - [{on: one, send: {frame: x}, expect: {frame: x}}]
    - [{on: "two[0]", send: x, expect: reply}, {wait: {exponential: 1ms}}]
  - {barrier: here}
  - {wait: {normal: [1ms, 1ms]}}
  - {on: one, expect: {silence: 1ms}}
  - half_close: one
  - {on: one, expect: closed}
  - reset: two
""",
    "datagrams": 'steps: [{send: "a ${uuid}", expect: reply}]\n',
    "open": "steps: [{send: a, expect: reply}]\n",
}
LOADS = {
    "open": "load: {phases: [{rate: 20/s, run_time: 500ms}, {users: 0..3, run_time: 300ms}]}\n",
}


def written(folder: Path, text: str, name: str = "s") -> Path:
    (folder / "rows.csv").write_text("name\nann\nbob\neve\n")
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("steps", "options", "code"),
    [("texts", "", 0), ("texts", ", tls: true", 0), ("open", ", unix: SOCKET", None)],
)
def test_steps_in_yaml(steps: str, options: str, code: int | None, tmp_path: Path) -> None:
    options = options.replace("SOCKET", str(tmp_path / "socket"))
    target = f"target: {{bundled: epoll, reply: echo{options}}}\n"
    text = STEPS[steps] if "tls" not in options else STEPS[steps].replace("  - reset: two\n", "")
    scenario = written(tmp_path, target + text + LOADS.get(steps, LOAD))
    assert late(scenario, code=code) == set()


FAULTS = {
    "epoll": ("flip", "duplicate", "swap", "truncate", "early_close", "reset", "silence", "extra"),
    "udp": ("flip", "duplicate", "swap", "silence", "extra"),
}


@pytest.mark.parametrize("model", FAULTS)
def test_what_is_done_with_a_fault(model: str, tmp_path: Path) -> None:
    steps = 'steps: [{send: "some ${user}", expect: reply}]\n'
    scenarios = [
        written(
            tmp_path,
            f"target: {{bundled: {model}, reply: received, fault: '{fault}:2'}}\n{steps}{LOAD}",
            fault,
        )
        for fault in FAULTS[model]
    ]
    assert late(*scenarios, code=1) == set()


def test_nobody_is_there(tmp_path: Path) -> None:
    text = "target: tcp://localhost:1\nsteps: [{send: a, expect: a}]\n"
    assert late(written(tmp_path, text + LOAD), code=4) == set()


PYTHON = """
from loadmux.scripting import User, scenario

@scenario(sockets=["one", "two"], users=3, iterations=2, timeout="300ms", graceful_stop="100ms")
async def talk(user: User) -> None:
BODY
"""
BODIES = {
    "texts": """
    await user["one"].exchange(f"hello {user.number}", expect="reply")
    await user["one", "two"].exchange(b"hello", expect=b"hello", name="both", within=1)
    await user["one"].send("a" * 5000, pieces=100, gap=0.001)
    await user["one"].expect({"length": 5000})
    await user["one"].exchange("line;", expect={"regex": "(?P<all>.*);", "until": ";"})
    await user["one"].exchange({"random": 16}, expect={"rule": "echo"})
    await user.together(user["one"].exchange("x"), user["two"].exchange("y"))
    await user.barrier("here")
    await user.sleep(0.001)
    await user["one"].stop_reading()
    await user["one"].resume_reading()
    await user["one"].close()
    await user["one"].connect()
    await user["one"].half_close()
    await user["one"].expect("closed")
    await user["two"].reset()
    user.variables["x"] = str(user.random.random())
""",
    "mistake": """
    await user["one"].exchange("hello")
    raise RuntimeError("a mistake of the author's")
""",
    "misuse": """
    await user["one"].exchange("hello", expect={"no such form": 1})
""",
    "fault": """
    await user["one"].exchange("hello", expect="hullo")
""",
    "http": """
    await user["one"].exchange({"http": "/"}, expect={"http": {"body": "hi"}})
""",
    "resp": """
    await user["one"].exchange({"resp": ["PING"]}, expect={"resp": {"any": True}})
""",
}
CODES = {"mistake": 3, "misuse": 3, "fault": 1}
REPLIES: dict[str, Callable[[bytes], bytes]] = {
    "http": lambda chunk: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    "resp": lambda chunk: b"+PONG\r\n",
    "wrong http": lambda chunk: b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno",
    "wrong resp": lambda chunk: b"-ERR no\r\n",
    "no http": lambda chunk: b"\0\0\n\n",
    "no resp": lambda chunk: b"*1\r\n?\r\n",
}


@pytest.mark.parametrize("body", BODIES)
def test_scenarios_in_python(body: str, tmp_path: Path) -> None:
    scenario = tmp_path / "s.py"
    scenario.write_text(PYTHON.replace("BODY", BODIES[body]))
    with Server(answering(REPLIES.get(body, lambda chunk: chunk))) as server:
        options = ["--target", server.url, "--reply", "echo"]
        assert late(scenario, options=options, code=CODES.get(body, 0)) == set()


SPOKEN = {
    "http": "steps: [{send: {http: /}, expect: {http: {body: hi}}}]\n",
    "resp": "steps: [{send: {resp: [PING]}, expect: {resp: PONG}}]\n",
}


@pytest.mark.parametrize("protocol", SPOKEN)
def test_protocols(protocol: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        scenarios = []
        for number, how in enumerate(("", "wrong ", "no ")):
            server = stack.enter_context(Server(answering(REPLIES[f"{how}{protocol}"])))
            text = f"target: {server.url}\n{SPOKEN[protocol]}{LOAD}"
            scenarios.append(written(tmp_path, text, f"s{number}"))
        assert late(*scenarios, code=1) == set()


def test_websocket(tmp_path: Path) -> None:
    text = "sockets: {main: {framing: websocket}}\n"
    text += "steps: [{send: {websocket: hello}, expect: {websocket: AWAITED}}]\n"
    with websocket_server() as url:
        scenarios = [
            written(tmp_path, f"target: {url}\n{text.replace('AWAITED', awaited)}{LOAD}", awaited)
            for awaited in ("hello", "else")
        ]
        assert late(*scenarios, code=1) == set()


@pytest.mark.parametrize("trusted", [True, False])
def test_certificates(trusted: bool, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    tls = f"{{tls: {{ca: {authority.path}}}}}" if trusted else "{}"
    with TlsServer(answering(lambda chunk: chunk), authority.server()) as server:
        text = f"target: {server.url}\nsockets: {{main: {tls}}}\nsteps: [{{send: a, expect: a}}]\n"
        assert late(written(tmp_path, text + LOAD), code=0 if trusted else 4) == set()
