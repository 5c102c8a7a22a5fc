"""`loadmux run` as a user types it: verdicts, exit codes, and what is printed."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from commands import LOADMUX, ROOT, begun, loadmux, program, run, started, target
from driving import Server, answering

SCENARIOS = [
    path for path in sorted((ROOT / "scenarios").glob("*.yaml")) if "bundled:" in path.read_text()
]

ECHO = """
steps:
  - {name: talk, send: "hello ${user} ${iteration}", expect: reply}
load: {users: 4, iterations: 25}
timeout: 1s
"""


@pytest.fixture
def echo(tmp_path: Path) -> Path:
    path = tmp_path / "echo.yaml"
    path.write_text(ECHO)
    return path


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda path: path.stem)
def test_every_shipped_scenario_passes(scenario: Path, tmp_path: Path) -> None:
    few = () if "phases:" in scenario.read_text() else ("--iterations", "20")
    done = run(scenario, "-t", "2s", *few, folder=tmp_path)
    late = [one for one in done.told["thresholds"] if not one["met"]]
    assert all(one["metric"] == "p" for one in late), late  # a busy machine is no fault
    assert done.code == (99 if late else 0), done.out
    assert done.told["exchanges"]["count"] > 0
    assert done.told["exchanges"]["errors"] == 0
    assert done.told["faults"] == []


@pytest.mark.parametrize("poller", ["epoll", "poll", "select"])
def test_pollers_by_name(poller: str, echo: Path, tmp_path: Path) -> None:
    done = run(echo, "--target", "epoll", "--poller", poller, folder=tmp_path)
    assert done.code == 0
    assert done.told["generator"]["poller"] == poller
    assert done.told["exchanges"]["count"] == 100


def test_the_count_is_exact_over_workers(echo: Path, tmp_path: Path) -> None:
    done = run(echo, "--target", "epoll", "-u", "7", "--workers", "3", folder=tmp_path)
    assert done.code == 0, done.out
    assert done.told["exchanges"]["count"] == 175
    assert done.told["iterations"] == 175
    assert done.told["users"] == {"started": 7, "served": 7}
    assert [worker["users"] for worker in done.told["generator"]["workers"]] == [3, 2, 2]


def test_user_numbers_are_unique_over_workers(tmp_path: Path) -> None:
    seen: list[bytes] = []
    lock = threading.Lock()

    def note(chunk: bytes) -> bytes:
        with lock:
            seen.append(chunk)
        return chunk

    scenario = tmp_path / "numbers.yaml"
    scenario.write_text(
        'steps: [{send: "${user}", expect: "${sent}"}]\nload: {users: 9, iterations: 1}\n'
    )
    with Server(answering(note)) as server:
        done = run(scenario, "--target", server.url, "--workers", "2", folder=tmp_path)
    assert done.code == 0, done.out
    assert sorted(map(int, seen)) == list(range(9))


@pytest.mark.parametrize("workers", [1, 2])
def test_every_user_has_a_row_of_its_own_in_every_iteration(workers: int, tmp_path: Path) -> None:
    seen: list[bytes] = []
    lock = threading.Lock()

    def note(chunk: bytes) -> bytes:
        with lock:
            seen.append(chunk)
        return chunk

    rows = [f"name{row},secret{row}" for row in range(9)]
    (tmp_path / "accounts.csv").write_text("\n".join(["login,password", *rows]))
    scenario = tmp_path / "feeder.yaml"
    scenario.write_text(
        "variables: {account: {csv: accounts.csv, pick: shuffled}}\n"
        'steps: [{send: "${account.login},${account.password}", expect: "${sent}"}]\n'
        "load: {users: 9, iterations: 2}\n"
    )
    with Server(answering(note)) as server:
        done = run(scenario, "--target", server.url, "--workers", str(workers), folder=tmp_path)
    assert done.code == 0, done.out
    assert sorted(seen) == sorted(row.encode() for row in rows * 2)


def test_a_unix_socket(echo: Path, tmp_path: Path) -> None:
    with target("epoll", "--unix", str(tmp_path / "s")) as (_, url):
        done = run(echo, "--target", url, "--reply", "echo", folder=tmp_path)
    assert done.code == 0, done.out
    assert done.told["target"]["url"] == f"unix://{tmp_path}/s"


def test_three_mistakes_are_three_lines_and_nothing_is_sent(tmp_path: Path) -> None:
    scenario = tmp_path / "wrong.yaml"
    scenario.write_text(
        "target: {bundled: epol}\n"
        "steps:\n"
        '  - {send: "x", expct: reply}\n'
        "load: {users: 5, run_time: 10}\n"
    )
    done = loadmux("run", scenario)
    assert done.code == 2
    lines = done.err.strip().splitlines()
    assert len(lines) == 3, done.err
    assert all(re.match(rf"{re.escape(str(scenario))}:\d+:\d+: ", line) for line in lines)
    assert "did you mean 'epoll'?" in lines[0]
    assert "did you mean 'expect'?" in lines[1]
    assert done.out == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--users", "0"], "users"),
        (["--poller", "devpoll"], "'devpoll' is no poller"),
        (["--poller", "select", "-u", "2000"], "FD_SETSIZE"),
        (["--target", "tcp://127.0.0.1:99999"], "99999"),
        (["--target", "epol"], "epol"),
        (["--threshold", "p(99) <"], "p(99) <"),
        (["--run-time", "soon"], "soon"),
        (["--rate", "100/s"], "--run-time"),
        (["--rate", "100", "-t", "1s", "--iterations", "5"], "--iterations"),
        (["--json-file", "no/such/folder/x.json"], "no/such/folder"),
    ],
)
def test_wrong_options_end_with_2(words: list[str], said: str, echo: Path) -> None:
    done = loadmux("run", echo, "--reply", "echo", "--target", "epoll", *words)
    assert done.code == 2, done.out + done.err
    assert said in done.err
    assert "Traceback" not in done.err


def test_more_descriptors_than_the_limit_is_refused_before_anything_is_sent(echo: Path) -> None:
    words = [*LOADMUX, "run", str(echo), "--target", "epoll", "-u", "500"]
    limited = ["sh", "-c", 'ulimit -n 256; exec "$@"', "sh", *words]
    done = subprocess.run(limited, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2
    assert "the hard limit is 256" in done.stderr


def test_a_missing_scenario(tmp_path: Path) -> None:
    done = loadmux("run", tmp_path / "none.yaml")
    assert done.code == 2
    assert done.err.startswith(f"{tmp_path}/none.yaml:1:1: ")
    done = loadmux("run", "partz")
    assert done.code == 2
    assert "parts" in done.err


def test_nobody_listens_ends_with_4(echo: Path, tmp_path: Path) -> None:
    url = f"tcp://127.0.0.1:{free_port()}"
    words = ["--target", url, "--reply", "echo", "-t", "30s", "-u", "5000"]
    done = run(echo, *words, folder=tmp_path)
    assert done.code == 4, done.out
    assert done.told["verdict"] == "unreachable"
    assert "refused" in done.out
    assert done.told["notes"] == []  # of limits nothing is said where nothing ran
    assert not done.told["generator"]["limited"]
    assert "--workers" not in done.out


def test_an_option_that_the_target_does_not_have_ends_with_2(tmp_path: Path) -> None:
    scenario = tmp_path / "s.yaml"
    scenario.write_text(
        "target: {bundled: epoll, nonsense: 1}\nsteps: [{send: x, expect: reply}]\n"
    )
    done = loadmux("run", scenario)
    assert done.code == 2
    assert "nonsense" in done.err
    assert "Traceback" not in done.err


def test_a_target_that_cannot_listen_ends_with_4(tmp_path: Path) -> None:
    scenario = tmp_path / "s.yaml"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        scenario.write_text(
            f"target: {{bundled: epoll, port: {port}}}\nsteps: [{{send: x, expect: reply}}]\n"
        )
        done = loadmux("run", scenario)
    assert done.code == 4
    assert str(port) in done.err
    assert "Traceback" not in done.err


def test_one_wrong_byte_in_100_000_exchanges(tmp_path: Path) -> None:
    replies = 0

    def flip_one(chunk: bytes) -> bytes:
        nonlocal replies
        replies += 1
        return chunk if replies != 60_000 else chunk[:5] + bytes([chunk[5] ^ 0x20]) + chunk[6:]

    scenario = tmp_path / "s.yaml"
    scenario.write_text(
        "steps: [{name: talk, send: 'hello world', expect: reply}]\n"
        "load: {users: 1, iterations: 100000}\n"
    )
    with Server(answering(flip_one)) as server:
        done = run(scenario, "--target", server.url, "--reply", "echo", folder=tmp_path)
    assert done.code == 1
    assert done.told["exchanges"]["count"] == 100_000
    (fault,) = done.told["faults"]
    assert (fault["kind"], fault["count"]) == ("corrupt", 1)
    example = fault["examples"][0]
    assert (example["offset"], example["iteration"]) == (5, 59_999)
    assert "byte 5" in done.out


def test_a_server_killed_in_mid_run(tmp_path: Path) -> None:
    scenario = tmp_path / "s.yaml"
    scenario.write_text(ECHO.replace("iterations: 25", "run_time: 3s"))
    with target("epoll") as (process, url):
        words = ["run", str(scenario), "--target", url, "--reply", "echo"]
        told = tmp_path / "told.json"
        with begun(*words, "--json-file", told) as running:
            running.stderr.readline()
            first = running.stderr.readline()  # the first line of progress: it is at work
            assert "exchanges" in first or "/s" in first
            os.killpg(process.pid, signal.SIGKILL)
            out, err = running.communicate(timeout=30)
    assert running.returncode == 1, out
    assert "Traceback" not in err
    kinds = {fault["kind"] for fault in json.loads(told.read_text())["faults"]}
    assert "refused" in kinds
    assert kinds <= {"refused", "reset", "closed"}


def test_a_bundled_target_that_dies_ends_the_run(tmp_path: Path) -> None:
    scenario = tmp_path / "s.yaml"
    scenario.write_text(
        "target: {bundled: epoll}\n" + ECHO.replace("iterations: 25", "run_time: 60s")
    )
    with begun("run", scenario) as running:
        running.stderr.readline()
        running.stderr.readline()
        (server,) = [pid for pid in running.children if "epoll_server" in command_line(pid)]
        os.kill(server, signal.SIGKILL)
        out, err = running.communicate(timeout=30)
    assert running.returncode == 1, out
    assert "was killed by SIGKILL" in out
    assert "Traceback" not in err


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


def test_a_worker_that_dies_makes_the_run_inconclusive(tmp_path: Path) -> None:
    scenario = tmp_path / "s.yaml"
    scenario.write_text(
        "target: {bundled: epoll}\n" + ECHO.replace("iterations: 25", "run_time: 60s")
    )
    with begun("run", scenario, "--workers", "2") as running:
        running.stderr.readline()
        running.stderr.readline()
        workers = [pid for pid in running.children if "epoll_server" not in command_line(pid)]
        assert len(workers) == 2
        os.kill(workers[1], signal.SIGKILL)
        out, err = running.communicate(timeout=30)
    assert running.returncode == 3, out
    assert "was killed by SIGKILL" in out
    assert "Traceback" not in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_reports_what_was_measured(number: int, tmp_path: Path) -> None:
    scenario = tmp_path / "s.yaml"
    scenario.write_text(
        "target: {bundled: epoll}\n" + ECHO.replace("iterations: 25", "run_time: 60s")
    )
    told = tmp_path / "told.json"
    with begun("run", scenario, "--json-file", told) as running:
        running.stderr.readline()
        running.stderr.readline()
        os.killpg(running.pid, number)
        out, err = running.communicate(timeout=30)
    assert running.returncode == 130, out + err
    found = json.loads(told.read_text())
    assert found["verdict"] == "interrupted"
    assert found["exchanges"]["count"] > 0
    assert "Traceback" not in err


def test_a_crossed_threshold_ends_with_99(echo: Path, tmp_path: Path) -> None:
    done = run(echo, "--target", "epoll", "--threshold", "p(99) < 1us", folder=tmp_path)
    assert done.code == 99
    assert done.told["verdict"] == "threshold"
    assert "✗ p(99) < 1us" in done.out


def test_allowed_errors_pass(tmp_path: Path, echo: Path) -> None:
    replies = 0
    lock = threading.Lock()

    def every_tenth(chunk: bytes) -> bytes:
        nonlocal replies
        with lock:
            replies += 1
            return b"?" * len(chunk) if replies % 10 == 0 else chunk

    with Server(answering(every_tenth)) as server:
        words = ["--target", server.url, "--reply", "echo", "--threshold", "error_rate < 50%"]
        done = run(echo, *words, folder=tmp_path)
    assert done.told["exchanges"]["errors"] > 0
    assert done.code == 0, done.out


def test_no_sample_is_inconclusive(tmp_path: Path) -> None:
    scenario = tmp_path / "s.yaml"
    scenario.write_text(
        "target: {bundled: epoll}\nsteps: [{wait: 10ms}]\nload: {users: 1, iterations: 3}\n"
    )
    done = run(scenario, folder=tmp_path)
    assert done.code == 3, done.out
    assert done.told["thresholds"][0]["met"] is False


def test_a_run_repeats_itself_from_its_seed(tmp_path: Path) -> None:
    seen: list[bytes] = []

    def note(chunk: bytes) -> bytes:
        seen.append(chunk)
        return chunk

    scenario = tmp_path / "s.yaml"
    scenario.write_text(
        "steps: [{send: {random: 32}, expect: '${sent}'}, {send: '${uuid}', expect: '${sent}'}]\n"
        "load: {users: 1, iterations: 3}\n"
    )
    with Server(answering(note)) as server:
        first = run(scenario, "--target", server.url, folder=tmp_path)
        before, seen[:] = list(seen), []
        again = run(
            scenario, "--target", server.url, "--seed", str(first.told["seed"]), folder=tmp_path
        )
        assert seen == before
        seen.clear()
        run(
            scenario, "--target", server.url, "--seed", str(first.told["seed"] + 1), folder=tmp_path
        )
        assert seen != before
    assert again.told["seed"] == first.told["seed"]
    assert f"--seed {first.told['seed']}" in first.out


def test_what_is_still_running_at_the_end_is_interrupted(tmp_path: Path) -> None:
    scenario = tmp_path / "s.yaml"
    scenario.write_text(
        "target: {bundled: epoll}\n"
        "steps: [{send: x, expect: reply}, {wait: 30s}]\n"
        "load: {users: 3, run_time: 300ms, graceful_stop: 200ms}\n"
    )
    done = run(scenario, folder=tmp_path)
    assert done.code == 0, done.out
    assert done.told["interrupted"] == 3
    assert done.told["iterations"] == 0
    assert done.told["exchanges"]["count"] == 3


def test_redis_answers_a_scenario_of_ones_own(tmp_path: Path) -> None:
    port = free_port()
    words = [program("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    scenario = tmp_path / "redis.yaml"
    scenario.write_text(
        f"target: tcp://127.0.0.1:{port}\n"
        "variables: {key: counter}\n"
        "steps:\n"
        '  - {send: "PING\\r\\n", expect: "+PONG\\r\\n"}\n'
        '  - {send: "SET ${key}-${user} ${iteration}\\r\\n", expect: "+OK\\r\\n"}\n'
        '  - {send: "GET ${key}-${user}\\r\\n", expect: {until: "\\r\\n"}, save: size}\n'
        '  - {expect: "${iteration}\\r\\n"}\n'
        "load: {users: 10, iterations: 20}\n"
    )
    with started(words, cwd=tmp_path) as server:
        assert server.stdout is not None
        for line in server.stdout:
            if "Ready to accept connections" in line:
                break
        done = run(scenario, folder=tmp_path)
    assert done.code == 0, done.out
    # The second half of a reply that is read in two steps is a receive, no exchange.
    assert done.told["exchanges"]["count"] == 600
    assert [row["count"] for row in done.told["steps"]] == [200, 200, 200, 200]


def test_quiet_prints_one_line(echo: Path) -> None:
    done = loadmux("run", echo, "--target", "epoll", "--quiet")
    assert done.code == 0
    assert len(done.out.strip().splitlines()) == 1
    assert done.err == ""


@pytest.mark.parametrize("name", ["select.py", "random.py", "loadmux.py"])
def test_files_of_the_folder_that_one_stands_in_are_not_imported(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("raise SystemExit('imported by accident')\n")
    script = Path(sys.executable).with_name("loadmux")
    words = [str(script), "run", "parts", "-t", "300ms", "-u", "2"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_reader_that_leaves_early_does_not_change_the_verdict(echo: Path) -> None:
    words = (
        f"{sys.executable} -m loadmux run {echo} --target epoll | head -1; echo ${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(
        ["bash", "-c", words], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.stdout.splitlines()[-1] == "0", done
    assert "Traceback" not in done.stderr


def test_a_full_disk_is_told_and_is_no_pass(echo: Path) -> None:
    words = [*LOADMUX, "run", str(echo), "--target", "epoll"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            words, stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False
        )
    assert done.returncode == 3
    assert "the report could not be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_host_that_cannot_be_resolved_ends_with_4(echo: Path) -> None:
    done = loadmux("run", echo, "--target", "tcp://no-such-host.invalid:80", "--reply", "echo")
    assert done.code == 4
    assert "no-such-host.invalid" in done.err


def test_a_source_address_of_another_machine_ends_with_2(tmp_path: Path) -> None:
    scenario = tmp_path / "s.yaml"
    scenario.write_text(
        "target: tcp://127.0.0.1:9\n"
        "sockets: {main: {source: 192.0.2.1}}\n"
        "steps: [{send: x, expect: x}]\n"
    )
    done = loadmux("run", scenario)
    assert done.code == 2
    assert "192.0.2.1" in done.err


def test_a_send_after_a_half_close_is_the_scenarios_mistake(tmp_path: Path) -> None:
    scenario = tmp_path / "s.yaml"
    scenario.write_text(
        "target: {bundled: epoll}\n"
        "steps:\n"
        "  - {send: a, expect: a}\n"
        "  - {half_close: main}\n"
        "  - {send: b}\n"
    )
    done = loadmux("run", scenario)
    assert done.code == 2
    assert done.err.startswith(f"{scenario}:5:5: this sends on a socket that was half-closed")


def test_check_sends_nothing_and_tells_every_mistake(echo: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("target: {bundled: epoll}\nsteps: [{sned: x}]\n")
    assert loadmux("check", "parts", "stagger").code == 0
    assert loadmux("check", echo, "--target", "tcp://127.0.0.1:1", "--reply", "echo").code == 0
    done = loadmux("check", "parts", wrong)
    assert done.code == 2
    assert done.err.startswith(f"{wrong}:2:10: unknown key 'sned'")


def test_a_slow_spawn_rate_does_not_hold_the_end_up(tmp_path: Path) -> None:
    scenario = tmp_path / "s.yaml"
    scenario.write_text(
        "target: {bundled: epoll}\n"
        "steps: [{send: x, expect: reply}, {wait: 10ms}]\n"
        "load: {users: 3, spawn_rate: 1/m, run_time: 300ms}\n"
    )
    done = run(scenario, folder=tmp_path)  # the second user's time would come after a minute
    assert done.code == 0, done.out
    assert done.told["users"]["started"] == 1


def test_users_that_were_never_started_are_told(tmp_path: Path) -> None:
    scenario = tmp_path / "s.yaml"
    scenario.write_text(
        "target: {bundled: epoll}\n"
        "steps: [{send: x, expect: reply}, {wait: 10ms}]\n"
        "load: {users: 10, spawn_rate: 5/s, run_time: 500ms}\n"
    )
    done = run(scenario, folder=tmp_path)
    assert done.code == 0, done.out
    assert f"{done.told['users']['started']} of 10 users" in done.out
    assert "were never started" in done.out
