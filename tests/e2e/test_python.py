"""Python scenarios and functions that YAML calls: run as users do, wrong in every way they can be.

Each scenario file is written into the test's own folder; its servers are real ones.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import needs
import pytest
from commands import ROOT, Done, loadmux, run
from driving import Server, answering

HEAD = "from loadmux.scripting import User, scenario\n"


def write(folder: Path, body: str, decorator: str = "users=2, iterations=3") -> Path:
    """A scenario whose function has this body."""
    path = folder / "talk.py"
    lines = textwrap.indent(textwrap.dedent(body).strip(), "    ")
    path.write_text(
        f"{HEAD}\n@scenario({decorator})\nasync def talk(user: User) -> None:\n{lines}\n"
    )
    return path


def echoed(path: Path, folder: Path, *words: str) -> Done:
    with Server(answering(lambda chunk: chunk)) as server:
        return run(path, "--target", server.url, "--reply", "echo", *words, folder=folder)


def rows(done: Done) -> dict[str, int]:
    return {row["name"]: row["count"] - row["errors"] for row in done.told["steps"]}


# --- what it can say ------------------------------------------------------------------------------

DUPLEX = """
    s = user["main"]

    async def speak():
        for number in range(20):
            await s.send(f"m {number:02}", name="said")
            await user.sleep(0.002)

    async def hear():
        for number in range(20):
            await s.expect(f"m {number:02}", name="heard")

    await s.exchange("before", "before")
    await user.together(HALVES)
    await s.exchange("after", "after")
"""


@pytest.mark.parametrize("halves", ["speak(), hear()", "hear(), speak()"])
@pytest.mark.parametrize("words", [[], ["--workers", "2"]])
def test_one_socket_for_who_speaks_and_who_hears(
    halves: str, words: list[str], tmp_path: Path
) -> None:
    done = echoed(write(tmp_path, DUPLEX.replace("HALVES", halves)), tmp_path, *words)
    assert done.code == 0, done.out
    assert rows(done) == {"exchange main": 12, "said": 120, "heard": 120}


def test_who_hears_may_be_the_first_to_connect(tmp_path: Path) -> None:
    body = DUPLEX.replace("HALVES", "hear(), speak()").replace("await s.exchange", "# ")
    assert echoed(write(tmp_path, body), tmp_path).code == 0


def test_a_transaction(tmp_path: Path) -> None:
    body = """
        async with user.transaction("log in"):
            await user["main"].exchange("name")
            await user.sleep(0.3)
            await user["main"].exchange("bad" if user.number else "secret", "secret")
        async with user.transaction("work"):
            assert not user.iteration
    """
    path = write(tmp_path, body, "users=2, iterations=2, thresholds=[\"'log in': p(99) < 300ms\"]")
    done = echoed(path, tmp_path)
    found = {row["name"]: (row["kind"], row["count"], row["errors"]) for row in done.told["steps"]}
    assert found["log in"] == ("transaction", 4, 2)
    assert found["work"] == ("transaction", 2, 1)
    assert done.code == 1
    assert [one["met"] for one in done.told["thresholds"] if one["step"]] == [True]


def test_a_socket_that_is_full(tmp_path: Path) -> None:
    body = """
        await user["main"].send("x" * 10_000, until="full", within=0.2)
        await user["main"].close(pending="drop")
        await user["main"].send({"urgent": "!"})
        await user["main"].exchange("hello")
    """
    words = "sockets={'main': {'send_buffer': '16KiB', 'receive_buffer': '16KiB'}}, users=2"
    assert echoed(write(tmp_path, body, words), tmp_path).code == 0


def test_a_large_message_and_its_echo_at_once(tmp_path: Path) -> None:
    body = """
        big = "x" * 5_000_000
        await user.together(user["main"].send(big), user["main"].expect(big))
        await user.together(user["main"].expect(big), user["main"].send(big))
    """
    assert echoed(write(tmp_path, body), tmp_path).code == 0


def test_a_branch_on_a_shared_socket_keeps_to_its_side(tmp_path: Path) -> None:
    body = DUPLEX.replace("HALVES", "hear(), speak()").replace(
        "await user.sleep(0.002)", "await s.exchange('x', 'x')"
    )
    done = echoed(write(tmp_path, body), tmp_path)
    assert done.code == 3
    assert "two branches use the socket 'main' at once" in done.out


def test_who_hears_may_begin_once_who_speaks_has_ended(tmp_path: Path) -> None:
    body = """
        s = user["main"]

        async def hear():
            await user.sleep(0.05)
            await s.expect("ab")

        for _ in range(3):
            await user.together(s.send("ab"), hear())
    """
    assert echoed(write(tmp_path, body), tmp_path).code == 0


def test_requests_sent_before_any_reply_says_what_is_spoken(tmp_path: Path) -> None:
    """The response to HEAD has no body, and no length either."""
    needs.package("h11")
    body = """
        sent = "HEAD / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\nGET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n"
        await user["main"].send(sent)
        await user["main"].expect({"http": 200})
        await user["main"].expect({"http": {"body": "page"}})
    """
    page = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage"
    said = b"HTTP/1.1 200 OK\r\n\r\n" + page
    path = write(tmp_path, body, "users=2, iterations=3, timeout='500ms'")
    with Server(answering(lambda chunk: said)) as server:
        assert run(path, "--target", server.url, folder=tmp_path).code == 0


@pytest.mark.parametrize("words", [[], ["--workers", "2"]])
def test_the_bundled_example(words: list[str], tmp_path: Path) -> None:
    done = run("chat", "-t", "1s", *words, folder=tmp_path)
    assert done.code == 0, done.out
    assert done.told["exchanges"]["count"] > 0
    assert {"alice greets", "bob shouts"} <= set(rows(done))
    assert loadmux("check", "chat").code == loadmux("check", "chat.py", cwd=tmp_path).code == 0


def test_on_a_schedule_replies_come_as_ever_and_first_exchanges_count_from_its_start(
    tmp_path: Path,
) -> None:
    body = """
        assert await user["main"].exchange("hello") == b"hello"
        assert await user["main"].exchange("e" * 5_000) == b"e" * 5_000
        assert await user["main"].exchange({"text": "${user}"}) == b"%d" % user.number
        pair = user.together(user["main"].exchange("a", name="a"), user["other"].exchange("b"))
        assert await pair == [b"a", b"b"]
    """
    words = "sockets=['main', 'other'], rate='60/s', max_users=5, run_time='500ms'"
    done = echoed(write(tmp_path, body, words), tmp_path)
    assert done.told["exchanges"]["errors"] == 0, done.out
    schedule = done.told["schedule"]
    assert schedule["begun"] + schedule["dropped"] == 30
    assert done.told["iterations"] == schedule["begun"]
    first, last = (row for row in done.told["steps"] if row["name"] in ("exchange main", "a"))
    assert first["latency"]["mean"] > first["service"]["mean"]
    assert last["latency"] == last["service"]


def test_every_action(tmp_path: Path) -> None:
    body = """
        main, other = user["main"], user["other"]
        await main.connect(within=2)
        assert await main.exchange("a", "a") == b"a"
        assert await main.exchange(b"b", b"b", name="row", within=0.5) == b"b"
        assert await main.exchange("c") == b"c"
        assert await main.exchange({"repeat": "xy", "times": 3}, {"length": 6}) == b"xyxyxy"
        assert await main.exchange("l1\\n", {"until": "\\n"}) == b"l1\\n"
        assert len(await main.exchange({"random": 100_000}, {"length": 100_000})) == 100_000
        assert await main.exchange("d" * 50_000, "d" * 50_000) == b"d" * 50_000
        assert await main.exchange("e" * 5_000) == b"e" * 5_000
        assert await main.exchange("${user}", "${user}") == b"${user}"
        user.variables["mine"] = "yours"
        assert await main.exchange({"text": "${user} ${mine} ${given}"}) == (
            f"{user.number} yours 5".encode()
        )
        await main.send("1", pieces="each_byte")
        await main.send("22", pieces=[1], gap=0.001)
        assert await main.expect() == b"122"
        assert await user["main", "other"].exchange("both") == b"both"
        assert await user["all"].exchange("all", name="all") == b"all"
        await main.stop_reading()
        await main.send("later")
        await main.resume_reading()
        assert await main.expect("later") == b"later"
        assert await main.expect({"silence": "10ms"}) == b""
        await user.sleep(0.001)
        await other.half_close()
        assert await other.expect("closed") == b""
        await main.close()
        await user["main"].exchange("again")
        await main.reset()
        await user.barrier("end")
        assert await user.together(main.exchange("m"), other.exchange("o")) == [b"m", b"o"]
        await other.close()
        assert 0 <= user.random.random() < 1
        assert user.number < 3 and user.iteration < 2
        assert dict(user.variables) == {"given": b"5", "mine": b"yours"}
    """
    decorator = 'users=3, iterations=2, sockets=["main", "other"], variables={"given": 5}'
    done = echoed(write(tmp_path, body, decorator), tmp_path)
    assert done.code == 0, done.out
    assert done.told["script_errors"] == []
    assert done.told["iterations"] == 6
    assert rows(done)["row"] == 6
    assert rows(done)["exchange main,other"] == 12


def test_every_key_of_the_top_level(tmp_path: Path) -> None:
    path = tmp_path / "all.py"
    path.write_text(
        HEAD
        + textwrap.dedent("""
            async def login(user: User) -> None:
                await user["a"].exchange("login", name="login")

            @scenario(
                name="everything", description="All keys.",
                target={"bundled": "epoll", "reply": "echo"},
                variables={"word": "hi", "words": ["x", "y"]},
                sockets={"a": {"nodelay": False}, "group": {"count": 2}},
                before=[login, {"on": "a", "send": "${word}", "expect": "hi", "name": "yaml"}],
                after=login,
                load={"users": 2}, iterations=2, pacing="1ms", graceful_stop="1s",
                thresholds=["errors == 0", "'login': p(99) < 10s"],
                timeout="2s", on_error="abort", seed=7,
            )
            async def talk(user: User) -> None:
                await user["group"].exchange("all of them", name="group")
                await user["group[1]"].exchange("one")
        """)
    )
    done = run(path, folder=tmp_path)
    assert done.code == 0, done.out
    assert rows(done) == {
        "yaml": 2,
        "login": 4,
        "group": 8,
        "exchange group[1]": 4,
    }
    assert (done.told["seed"], done.told["scenario"]["name"]) == (7, "everything")


def test_the_command_line_overrides_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, 'await user["main"].exchange("x")', "users=9, run_time='1h'")
    done = echoed(path, tmp_path, "-u", "2", "-t", "200ms", "--threshold", "p(99) < 0.001us")
    assert done.code == 99, done.out
    assert done.told["users"]["started"] == 2


def test_the_same_seed_draws_the_same(tmp_path: Path) -> None:
    body = 'await user["main"].exchange(str(user.random.random()))'
    path, seen = write(tmp_path, body), []
    for _ in range(2):
        chunks: list[bytes] = []
        with Server(answering(lambda chunk, to=chunks: to.append(chunk) or chunk)) as server:  # type: ignore[misc]
            run(path, "--target", server.url, "--reply", "echo", "--seed", "4", folder=tmp_path)
        seen.append(sorted(chunks))
    assert len(set(seen[0])) == 6
    assert seen[0] == seen[1]


# --- the target's faults --------------------------------------------------------------------------


def lied_to(path: Path, folder: Path) -> Done:
    with Server(answering(lambda chunk: b"lie" if chunk == b"bad" else chunk)) as server:
        return run(path, "--target", server.url, "--reply", "echo", folder=folder)


FAULTS = {
    "plain": 'await user["main"].exchange("bad", "bad")',
    "by rule": 'await user["main"].exchange("bad")',
    "caught": """
        try:
            await user["main"].exchange("bad", "bad")
        except Exception:
            pass
    """,
    "caught and gone on": """
        try:
            await user["main"].exchange("bad", "bad")
        except Exception:
            await user["main"].exchange("good", "good")
    """,
    "turned into another": """
        try:
            await user["main"].exchange("bad", "bad")
        except Exception:
            raise RuntimeError("mine") from None
    """,
    "in a branch": """
        await user.together(user["main"].exchange("bad", "bad"), user.sleep(60))
    """,
    "in a branch, cancelled code holds on": """
        async def hold():
            while True:
                try:
                    await user.sleep(60)
                except Exception:
                    pass

        await user.together(hold(), user["main"].exchange("bad", "bad"))
    """,
}


@pytest.mark.parametrize("body", FAULTS.values(), ids=FAULTS)
def test_a_fault_is_the_targets_whatever_the_function_does(body: str, tmp_path: Path) -> None:
    done = lied_to(write(tmp_path, body), tmp_path)
    assert done.code == 1, done.out
    assert done.told["script_errors"] == []
    assert done.told["iterations"] == 0
    (group,) = done.told["faults"]
    assert (group["kind"], group["step"], group["count"]) == ("mismatch", "exchange main", 6)
    assert bytes.fromhex(group["examples"][0]["received"]) == b"lie"


def test_bytes_that_nobody_asked_for_are_a_fault(tmp_path: Path) -> None:
    path = write(tmp_path, 'await user["main"].exchange("x", "x", name="row")', "iterations=1")
    with Server(answering(lambda chunk: chunk + b"!")) as server:
        done = run(path, "--target", server.url, folder=tmp_path)
    assert done.code == 1
    assert [(one["kind"], one["step"]) for one in done.told["faults"]] == [("surplus", "row")]


# --- the author's mistakes while it runs ----------------------------------------------------------

MISTAKES = {
    "an exception": ("1 / 0", 6, "ZeroDivisionError: division by zero"),
    "in the standard library": ("import json\njson.loads('{')", 7, "json.*JSONDecodeError: .*"),
    "SystemExit": ("raise SystemExit(3)", 6, "SystemExit: 3"),
    "an unknown socket": (
        'await user["mian"].exchange("x")',
        6,
        "ValueError: unknown socket 'mian'; did you mean 'main'\\?",
    ),
    "an unknown form": (
        'await user["main"].exchange("x", {"lenght": 3})',
        6,
        "ValueError: unknown key 'lenght' in a reply; did you mean 'length'\\?",
    ),
    "an unknown name": (
        'await user["main"].exchange({"text": "${nobody}"})',
        6,
        "ValueError: unknown name '\\${nobody}'; known are .*",
    ),
    "nothing to send": ('await user["main"].send("")', 6, "ValueError: there is nothing to send.*"),
    "another rule": (
        'await user["main"].exchange("x", {"rule": "ok"})',
        6,
        "ValueError: the target replies by the rule 'echo', and this expects 'ok'",
    ),
    "asyncio.sleep": (
        "import asyncio\nawait asyncio.sleep(1)",
        7,
        "RuntimeError: asyncio does not run here; use user.sleep.*",
    ),
    "asyncio.sleep(0)": (
        "import asyncio\nawait asyncio.sleep(0)",
        7,
        "RuntimeError: asyncio does not run here; use user.sleep.*",
    ),
    "asyncio in a branch": (
        "import asyncio\nawait user.together(asyncio.sleep(0))",
        7,
        "RuntimeError: asyncio does not run here; use user.sleep.*",
    ),
    "a forgotten await": (
        'user["main"].exchange("x")',
        3,
        "something that it called on the user was never awaited; write 'await'",
    ),
    "two branches, one socket": (
        'await user.together(user["main"].exchange("x"), user["main"].exchange("y"))',
        6,
        "ValueError: two branches use the socket 'main' at once",
    ),
    "a barrier in a branch": (
        'await user.together(user.barrier("x"))',
        6,
        "ValueError: a barrier cannot stand in a branch: the whole user waits",
    ),
    "no coroutine": ("await user.together(5)", 6, "TypeError: user.together takes calls of .*"),
    "a negative sleep": ("await user.sleep(-1)", 6, "ValueError: user.sleep takes seconds.*"),
}


@pytest.mark.parametrize(("body", "line", "said"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_counted_and_the_run_goes_on(
    body: str, line: int, said: str, tmp_path: Path
) -> None:
    path = write(tmp_path, f'await user["main"].exchange("before")\n{body}')
    done = echoed(path, tmp_path)
    assert done.code == 3, done.out
    assert done.told["verdict"] == "inconclusive"
    assert done.told["faults"] == []
    assert rows(done)["exchange main"] >= 6
    (error,) = done.told["script_errors"]
    assert error["count"] == 6
    assert re.fullmatch(rf"{re.escape(str(path))}:\d+: {said}", error["message"]), error["message"]
    assert error["message"].startswith(f"{path}:{line}: ")
    assert "error in the scenario's code" in done.out


def test_faults_outweigh_mistakes(tmp_path: Path) -> None:
    body = 'if user.number:\n    1 / 0\nawait user["main"].exchange("bad", "bad")'
    done = lied_to(write(tmp_path, body), tmp_path)
    assert done.code == 1
    assert [one["count"] for one in done.told["script_errors"]] == [3]


def test_an_endless_loop_that_sleeps_is_interrupted(tmp_path: Path) -> None:
    body = """
        while True:
            try:
                await user.sleep(0)
            except Exception:
                pass
    """
    path = write(tmp_path, body, "users=2, run_time='200ms', graceful_stop='100ms'")
    done = echoed(path, tmp_path)
    assert done.code == 3, done.out
    assert done.told["interrupted"] == 2


def test_a_function_that_awaits_nothing_does_not_hold_up_the_run(tmp_path: Path) -> None:
    done = echoed(write(tmp_path, "pass", "users=2, run_time='200ms'"), tmp_path)
    assert done.code == 3, done.out
    assert done.told["iterations"] > 10


@pytest.mark.parametrize(("on_error", "count"), [("stop_user", 2), ("abort", 1)])
def test_on_error_holds_for_mistakes(on_error: str, count: int, tmp_path: Path) -> None:
    path = write(tmp_path, "1 / 0", f"users=2, iterations=3, on_error={on_error!r}")
    done = echoed(path, tmp_path)
    assert done.code == 3
    assert done.told["script_errors"][0]["count"] in (count, 2)


# --- mistakes that are told before anything is sent -----------------------------------------------

EMPTY = "async def a(user): pass\n"
FILES = [
    ("x = 1\n", "1:1: no scenario here; put @scenario(...) of loadmux.scripting on an 'async def'"),
    ("x = (\n", "1:5: SyntaxError: '(' was never closed"),
    ("import nothing_like_this\n", "1:1: ModuleNotFoundError: No module named 'nothing_like_this'"),
    ("x = 1\ny = x / 0\n", "2:1: ZeroDivisionError: division by zero"),
    ("raise SystemExit(1)\n", "1:1: SystemExit: 1"),
    (
        HEAD + "@scenario()\nasync def a(user): pass\n@scenario()\nasync def b(user): pass\n",
        "4:1: a file holds one scenario, and 'a' and 'b' are two",
    ),
    (
        HEAD + "@scenario()\ndef a(user): pass\n",
        "2:1: 'a' is not an 'async def' function",
    ),
    (
        HEAD + "@scenario()\nasync def a(): pass\n",
        "2:1: 'a' must take one argument, the user",
    ),
    (
        HEAD + "@scenario(\n  usrs=3,\n)\nasync def a(user): pass\n",
        "3:3: unknown key 'usrs' in a load; did you mean 'users'?",
    ),
    (
        HEAD + "@scenario(users=2,\n  run_time='10', sockets=['a',\n  'b c'])\n" + EMPTY,
        "3:12: '10' is not a duration; write a number with a unit such as 250us, 10ms, 5s, 2m, 1h",
        "4:3: 'b c' is no name for a socket; use letters, digits, '_', '-' and '.'",
    ),
    (
        HEAD
        + "@scenario(target={'bundled': 'epoll',\n 'replly': 'echo'})\nasync def a(user): pass\n",
        "3:2: unknown key 'replly' in a target; did you mean 'reply'?",
    ),
    (
        HEAD + "@scenario(steps=[], users=object())\nasync def a(user): pass\n",
        "2:11: the function is the steps; leave 'steps' out",
        "2:27: a value of type object means nothing in a scenario",
    ),
    (
        HEAD + "@scenario(load={'users': 3}, users=4)\nasync def a(user): pass\n",
        "2:30: 'users' is given twice, in 'load' and beside it",
    ),
    (
        HEAD + "@scenario(before=lambda user: 1)\nasync def a(user): pass\n",
        "2:18: '<lambda>' is not an 'async def' function",
    ),
    (
        HEAD + "@scenario(before=[{'snd': 'x'}])\nasync def a(user): pass\n",
        "2:20: unknown key 'snd' in a step; did you mean 'send'?",
    ),
]


@pytest.mark.parametrize("case", FILES, ids=[case[1][:40] for case in FILES])
def test_a_wrong_file_is_told_in_lines(case: tuple[str, ...], tmp_path: Path) -> None:
    text, *mistakes = case
    path = tmp_path / "wrong.py"
    path.write_text(text)
    done = loadmux("check", path, "--target", "tcp://127.0.0.1:9")
    assert done.code == 2
    lines = [line.removeprefix(f"{path}:") for line in done.err.strip().splitlines()]
    assert [line for line in lines if "users' must be" not in line] == mistakes


# --- call -----------------------------------------------------------------------------------------

HELPERS = """
from loadmux.scripting import User

async def login(user: User) -> None:
    user.variables["token"] = f"secret {user.number}"
    await user["main"].exchange("login", name="login")

async def broken(user: User) -> None:
    raise KeyError("no")

def plain(user): ...

class Flow:
    @staticmethod
    async def half(user: User) -> None:
        await user["main"].exchange("half", name="half")
"""

CALLS = """
variables: {token: none}
sockets: [main, side]
steps:
  - call: "helpers:login"
  - {name: use, on: main, send: "${token}", expect: "secret ${user}"}
  - call: "helpers:Flow.half"
  - together:
    - [{call: "package.inner:both"}]
    - [{name: beside, on: side, send: x, expect: x}]
load: {users: 3, iterations: 2}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "helpers.py").write_text(HELPERS)
    (tmp_path / "select.py").write_text("raise RuntimeError('not the standard library')\n")
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "inner.py").write_text(
        "import helpers\nasync def both(user):\n    import json\n    await helpers.login(user)\n"
    )
    (tmp_path / "calls.yaml").write_text(CALLS)
    return tmp_path


@pytest.mark.parametrize("words", [[], ["--workers", "2"]])
def test_yaml_calls_functions_beside_it(words: list[str], project: Path) -> None:
    done = echoed(project / "calls.yaml", project, *words)
    assert done.code == 0, done.out + done.err
    assert rows(done) == {"use": 6, "beside": 6, "login": 12, "half": 6}


def test_a_socket_that_another_branch_drives_is_refused(project: Path) -> None:
    path = project / "calls.yaml"
    path.write_text(CALLS.replace("on: side", "on: main"))
    done = echoed(path, project)
    assert done.code == 3, done.out
    assert "two branches use the socket 'main' at once" in done.told["script_errors"][0]["message"]


def test_an_error_in_a_called_function(project: Path) -> None:
    path = project / "calls.yaml"
    path.write_text(CALLS.replace("helpers:login", "helpers:broken"))
    done = echoed(path, project)
    assert done.code == 3, done.out
    (error,) = done.told["script_errors"]
    assert error == {"message": f"{project / 'helpers.py'}:9: KeyError: 'no'", "count": 6}


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("nowhere:f", "there is no module 'nowhere'; modules are looked for in {folder} first"),
        ("package.gone:f", "there is no module 'package.gone'; modules are looked for in .*"),
        ("helpers:gone", "the module 'helpers' \\({folder}/helpers.py\\) has no 'gone'"),
        ("helpers:plain", "'plain' is not an 'async def' function"),
        ("broken:f", "cannot import 'broken': {folder}/broken.py:2: NameError: name 'x' is .*"),
        ("syntax:f", "cannot import 'syntax': {folder}/syntax.py:1: SyntaxError: .*"),
        ("needs:f", "cannot import 'needs': {folder}/needs.py:1: ModuleNotFoundError: .*'gone'"),
        ("leaves:f", "cannot import 'leaves': {folder}/leaves.py:1: SystemExit: 4"),
    ],
)
def test_a_call_that_cannot_be(named: str, said: str, project: Path) -> None:
    (project / "broken.py").write_text("import json\nx.y\n")
    (project / "syntax.py").write_text("def (\n")
    (project / "needs.py").write_text("import gone\n")
    (project / "leaves.py").write_text("raise SystemExit(4)\n")
    path = project / "calls.yaml"
    path.write_text(CALLS.replace("helpers:login", named))
    done = loadmux("check", path, "--target", "tcp://127.0.0.1:9")
    assert done.code == 2
    pattern = rf"{re.escape(str(path))}:5:11: {said.format(folder=re.escape(str(project)))}\n"
    assert re.fullmatch(pattern, done.err), done.err


def test_two_projects_with_modules_of_one_name(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "helpers.py").write_text("async def only_here(user): ...\n")
    (other / "calls.yaml").write_text("steps: [{call: 'helpers:only_here'}]\n")
    words = ("--target", "tcp://127.0.0.1:9")
    done = loadmux("check", project / "calls.yaml", other / "calls.yaml", *words, cwd=ROOT)
    assert (done.code, done.err) == (0, "")


# --- checks of the author's own -------------------------------------------------------------------


@pytest.mark.parametrize("words", [[], ["--workers", "2"]])
@pytest.mark.parametrize(
    ("check", "told"),
    [
        ('assert reply == b"other", "it is " + reply.decode()', "AssertionError: it is hello"),
        ('user.fail(f"no {reply.decode()}")', "no hello"),
        ("await user.together(other(user, reply))", "AssertionError: it is hello"),
        ('[user.fail("no hello") for _ in [1] if reply]', "no hello"),
    ],
)
def test_a_check_that_fails_is_the_targets_fault(
    check: str, told: str, words: list[str], tmp_path: Path
) -> None:
    path = write(tmp_path, f'reply = await user["main"].exchange("hello")\n{check}')
    path.write_text(
        path.read_text()
        + "\nasync def other(user: User, reply: bytes) -> None:\n"
        + '    assert reply == b"other", "it is " + reply.decode()\n'
    )
    done = echoed(path, tmp_path, *words)
    assert done.code == 1, done.out
    (group,) = done.told["faults"]
    assert (group["kind"], group["step"], group["count"]) == ("check", "call #1", 6)
    assert re.fullmatch(rf".*/talk\.py:\d+: {re.escape(told)}", group["examples"][0]["message"])
    assert done.told["script_errors"] == []
    assert done.told["iterations"] == 0


def test_a_check_cannot_be_caught(tmp_path: Path) -> None:
    body = """
        try:
            user.fail("wrong")
        except Exception:
            pass
        try:
            await user["main"].exchange("hello")
        except Exception:
            pass
    """
    done = echoed(write(tmp_path, body), tmp_path)
    assert done.code == 1
    assert [(one["kind"], one["count"]) for one in done.told["faults"]] == [("check", 6)]
    assert done.told["exchanges"]["count"] == 0


def test_a_check_in_before_is_tried_again_with_a_growing_pause(tmp_path: Path) -> None:
    path = write(tmp_path, 'await user["main"].exchange("hello")', "before=login, run_time='500ms'")
    text = path.read_text()
    login = "async def login(user: User) -> None:\n    assert False\n\n"
    path.write_text(text.replace("@scenario", login + "@scenario", 1))
    done = echoed(path, tmp_path)
    assert done.code == 1, done.out
    (group,) = done.told["faults"]
    assert group["kind"] == "check"
    assert 2 <= group["count"] < 20
