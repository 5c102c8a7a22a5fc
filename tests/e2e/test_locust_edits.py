"""Locust's page while a test runs: what an edit changes, what RESET forgets, how to repeat it."""

from __future__ import annotations

import shlex
import socket
from pathlib import Path

from driving import Server, answering
from locusting import (
    LOCUST,
    alone,
    eventually,
    evidence,
    failures,
    headless,
    locustfile,
    on,
    paced,
    process,
    rows,
)

FED = """
variables: {people: {csv: people.csv}}
steps:
  - {name: ask, send: "${people.name}\\n", expect: "${sent}"}
  - {wait: 20ms}
timeout: 2s
"""
REFUSED: dict[str, tuple[dict[str, object], str]] = {
    "another scenario": ({"scenario": "echo"}, "a test is running, with scenario 'talk.yaml'"),
    "another target": ({"target": "epoll", "host": ""}, "a test is running, with target"),
    "a fault": ({"fault": "flip:3"}, "a test is running, with fault"),
    "lacking rows": ({"user_count": 9}, "has 8 rows for 9 users"),
}


def test_an_edit_changes_users_and_nothing_else(tmp_path: Path) -> None:
    lies = {"left": 0}

    def answer(chunk: bytes) -> bytes:
        lies["left"] -= 1
        return chunk if lies["left"] < 0 else b"!" + chunk[1:]

    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "talk.yaml").write_text(FED)
    names = [f"name{number}" for number in range(8)]
    (folder / "people.csv").write_text("\n".join(["name", *names]) + "\n")
    with Server(answering(answer)) as server, alone(folder) as swarm:
        page, chosen = swarm.page, {"scenario": "talk.yaml", "host": server.url}
        assert page.swarm(4, **chosen)["success"]
        page.until(lambda now: now["user_count"] == 4 and rows(now).get("ask"), "four users")
        for name, (form, reason) in REFUSED.items():
            told = page.swarm(6, **form)
            assert not told["success"], name
            assert reason in told["message"], name
        assert page.swarm(8, **chosen, reply="as the scenario says")["success"]
        page.until(lambda now: now["user_count"] == 8, "eight users")

        lies["left"] = 20
        page.until(lambda now: failures(now) and evidence(now), "a fault")
        eventually(lambda: lies["left"] < -20, "the lies have an end")
        page.until(lambda now: sum(failures(now).values()) >= 20, "all the faults")
        page.post("/stats/reset", {})
        page.until(lambda now: not failures(now) and not evidence(now), "nothing")
        page.until(lambda now: rows(now).get("ask"), "figures again")
        page.stop()
        swarm.main.popen.terminate()
        assert swarm.main.wait() == 0, swarm.main.text
        said = " ".join(swarm.main.out.split())
    assert "20 faults are in no figure" in said
    again = f"--scenario talk.yaml --host {server.url} --users 4 --spawn-rate 1000.0 --seed"
    assert set(shlex.split(again)) <= set(said.split())
    assert "Traceback" not in swarm.main.text, swarm.main.text


def test_a_taken_port_of_the_page_is_told_in_one_line(tmp_path: Path) -> None:
    words = [*LOCUST, "-f", str(locustfile(tmp_path))]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with process([*words, *on(port)], tmp_path) as locust:
            assert locust.wait() == 2
            last = locust.err.splitlines()[-1]
    assert last.startswith(f"the page cannot have 127.0.0.1:{port}: Address already in use")
    assert "Traceback" not in locust.err


def test_the_exit_code_for_errors_is_locusts_option(tmp_path: Path) -> None:
    locustfile(tmp_path, paced(tmp_path))
    words = ("-u", "2", "-r", "2", "-t", "2s", "--fault", "flip:5")
    done = headless(tmp_path, *words, "--exit-code-on-error", "7")
    assert done.code == 7, done.text
    assert "FAIL" in done.out
