"""Branches, barriers and code beside targets, tables, frames, UDP and other scenarios."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from commands import loadmux, run
from driving import Server, answering
from transports import UdpServer

HEAD = "from loadmux.scripting import User, scenario\n"

EVERYTHING = (
    HEAD
    + """
@scenario(
    target={
        "near": {"bundled": "epoll", "reply": "echo"},
        "far": {"bundled": "threads", "reply": "upper"},
        "post": {"bundled": "udp", "reply": "echo"},
    },
    sockets={
        "a": {"to": "near", "framing": "line"},
        "b": {"to": "far"},
        "c": {"to": "post"},
    },
    variables={"account": {"csv": "accounts.csv"}},
    users=3,
    iterations=4,
)
async def talk(user: User) -> None:
    login = user.variables["account.login"]
    assert await user["b"].exchange(login) == login.upper()
    assert await user["a"].exchange({"frame": "${account.login}"}, {"frame": login}) == login
    assert await user["a"].exchange({"frame": "id=7"}, {"regex": "id=(?P<id>.)"}) == b"id=7"
    assert user.variables["id"] == b"7"
    assert "account.login" in user.variables and len(user.variables) == 2
    pair = user["b"].exchange("x" * 9000), user["c"].exchange({"text": "${account.login}"})
    assert await user.together(*pair) == [b"X" * 9000, login]
    assert await user["c"].exchange(b"abcdef", pieces=2) == b"abcdef"
"""
)

LOGINS = ("ann", "ben", "cid")


@pytest.fixture
def everything(tmp_path: Path) -> Path:
    (tmp_path / "accounts.csv").write_text("login\n" + "\n".join(LOGINS) + "\n")
    path = tmp_path / "talk.py"
    path.write_text(EVERYTHING)
    return path


@pytest.mark.parametrize(
    "words", [[], ["--workers", "2"], ["--rate", "50/s", "-u", "3", "-t", "1s"]]
)
def test_code_with_targets_tables_and_frames(
    words: list[str], everything: Path, tmp_path: Path
) -> None:
    done = run(everything, *words, folder=tmp_path)
    assert done.code == 0, done.out
    assert done.told["script_errors"] == []
    if "--rate" not in words:
        assert done.told["iterations"] == 12


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('user.variables["account.login"] = "x"', "'account.login' is a column of a feeder"),
        ('await user["b"].exchange({"frame": "x"})', "'frame' needs to know where a frame ends"),
        ('await user["a"].exchange("${account.x}")', None),
        ('await user["b"].exchange({"text": "${account.x}"})', "'account' has no column 'x'"),
        ('await user["c"].half_close()', "UDP has no connection whose end could be told"),
        ('await user["c"].exchange("x" * 70_000)', "a datagram has at most 65507 bytes"),
        ('await user["b"].exchange("x", {"rule": "echo"})', "replies by the rule 'upper'"),
    ],
)
def test_what_code_asks_in_vain(
    line: str, said: str | None, everything: Path, tmp_path: Path
) -> None:
    everything.write_text(EVERYTHING[: EVERYTHING.index("    login =")] + f"    {line}\n")
    done = run(everything, folder=tmp_path)
    told = [one["message"] for one in done.told["script_errors"]]
    if said is None:  # a bare text is sent as it is
        assert (done.code, told) == (0, []), done.out
    else:
        assert done.code == 3, done.out
        assert len(told) == 1
        assert said in told[0]


BRANCHES = """
sockets: [a, b]
steps:
  - together:
      - [{on: a, send: "a ${user} ${iteration}", expect: "${sent}"}]
      - [{on: b, send: "b ${user} ${iteration}", expect: "${sent}"}]
load: {users: 4, iterations: 5}
"""


def test_branches_on_datagrams(tmp_path: Path) -> None:
    scenario = tmp_path / "branches.yaml"
    scenario.write_text("target: {bundled: udp, reply: echo}\n" + BRANCHES)
    done = run(scenario, folder=tmp_path)
    assert done.code == 0, done.out
    assert done.told["iterations"] == 20


def test_a_datagram_that_is_lost_in_a_branch_is_one_fault(tmp_path: Path) -> None:
    scenario = tmp_path / "branches.yaml"
    scenario.write_text("timeout: 300ms\n" + BRANCHES)
    with UdpServer(lambda data, number: [] if data == b"b 1 2" else [data]) as server:
        done = run(scenario, "--target", server.url, folder=tmp_path)
    assert done.code == 1, done.out
    assert [(one["kind"], one["count"]) for one in done.told["faults"]] == [("timeout", 1)]
    assert done.told["iterations"] == 19


def test_what_udp_cannot_do_is_refused_in_branches_too(tmp_path: Path) -> None:
    scenario = tmp_path / "branches.yaml"
    scenario.write_text(
        "target: udp://127.0.0.1:1\nsteps:\n  - together: [[{repeat: 2, do: [{reset: main}]}]]\n"
    )
    done = loadmux("check", scenario)
    assert done.code == 2
    assert done.err.startswith(f"{scenario}:3:34: UDP has no connection")


# --- several scenarios in one run -----------------------------------------------------------------

ROUNDS = """
steps:
  - {send: "NAME ${iteration} ${user}", expect: "${sent}"}
  - barrier: round
load: {users: USERS, iterations: 6}
"""


@pytest.mark.parametrize("workers", ["1", "2", "3"])
def test_each_scenario_has_barriers_of_its_own(workers: str, tmp_path: Path) -> None:
    """Also where a scenario has fewer users than there are workers, and another has none of it."""
    paths = []
    for name, users in (("many", 5), ("two", 2), ("free", 3)):
        text = ROUNDS.replace("NAME", name).replace("USERS", str(users))
        text = text.replace("  - barrier: round\n", "") if name == "free" else text
        paths.append(tmp_path / f"{name}.yaml")
        paths[-1].write_text(text)
    seen: list[tuple[str, int]] = []
    lock = threading.Lock()

    def note(chunk: bytes) -> bytes:
        name, iteration, _ = chunk.decode().split()
        with lock:
            seen.append((name, int(iteration)))
        return chunk

    with Server(answering(note)) as server:
        done = run(*paths, "--target", server.url, "--workers", workers, folder=tmp_path)
    assert done.code == 0, done.out
    assert [one["iterations"] for one in done.told["scenarios"]] == [30, 12, 18]
    for name in ("many", "two"):
        rounds = [iteration for one, iteration in seen if one == name]
        assert rounds == sorted(rounds)


def code(folder: Path, name: str, body: str, words: str = "users=2, iterations=2") -> Path:
    path = folder / name
    target = 'target={"bundled": "epoll", "reply": "echo"}'
    path.write_text(
        f"{HEAD}\n@scenario({target}, {words})\nasync def talk(user: User) -> None:\n    {body}\n"
    )
    return path


def test_code_and_yaml_side_by_side(tmp_path: Path) -> None:
    first = code(tmp_path, "first.py", 'await user["main"].exchange("x", name="ask")', "weight=3")
    broken = code(tmp_path, "broken.py", '{}["gone"]', "weight=1")
    third = tmp_path / "third.yaml"
    third.write_text("target: {bundled: epoll}\nsteps: [{send: x, expect: reply}]\n")
    done = run(first, broken, third, "-u", "10", folder=tmp_path)
    assert done.code == 3, done.out
    assert [one["users"]["started"] for one in done.told["scenarios"]] == [6, 2, 2]
    assert "first: ask" in {row["name"] for row in done.told["steps"]}
    (told,) = done.told["script_errors"]
    assert told == {"message": f"broken: {broken}:5: KeyError: 'gone'", "count": 2}


def test_the_mistakes_of_all_files_are_told(tmp_path: Path) -> None:
    first = code(tmp_path, "first.py", "pass", "userz=1")
    second = tmp_path / "second.yaml"
    second.write_text("target: {bundled: epoll}\nsteps: [{sned: x}]\n")
    third = tmp_path / "third.py"
    third.write_text("def broken(:\n")
    done = loadmux("check", first, second, third)
    assert done.code == 2
    places = [line.split(": ")[0] for line in done.err.splitlines()]
    assert places == [f"{first}:3:57", f"{second}:2:10", f"{third}:1:12"]


def test_modules_of_one_name_in_two_folders_are_refused(tmp_path: Path) -> None:
    paths = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "helping.py").write_text(f"async def go(user):\n    print({name!r})\n")
        paths.append(folder / f"{name}.yaml")
        paths[-1].write_text("target: {bundled: epoll}\nsteps: [{call: 'helping:go'}]\n")
    done = loadmux("run", *paths)
    assert done.code == 2
    assert "two scenarios of this run have a module 'helping' of their own" in done.err
    assert "Traceback" not in done.err
