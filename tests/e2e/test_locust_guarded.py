"""Locust's page among strangers: who may change anything, and what may be chosen at all."""

from __future__ import annotations

import contextlib
import json
import pickle
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import msgpack  # type: ignore[import-untyped]
import pytest
import zmq
from locusting import (
    LOCUST,
    OFFERS,
    WEB,
    Page,
    Swarm,
    alone,
    bound,
    eventually,
    free_port,
    joining,
    locustfile,
    on,
    process,
    rows,
)

SPY = "open({trace!r}, 'w').close()\n"
START = {"user_count": 1, "spawn_rate": 1}
CHANGES = {"/swarm": START, "/stop": {}, "/stats/reset": {}}


@pytest.fixture(scope="module")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swarm]:
    folder = tmp_path_factory.mktemp("guarded") / "here"
    folder.mkdir()
    with alone(folder) as made:
        yield made


def strangers(port: str) -> dict[str, dict[str, str]]:
    return {
        "a page": {"Origin": "http://evil.example"},
        "a page on another port": {"Origin": "http://127.0.0.1:1"},
        "a page without a name": {"Origin": "null"},
        "a name of theirs": {"Host": "evil.example"},
        "a name of theirs, and its page": {
            "Host": f"evil.example:{port}",
            "Origin": f"http://evil.example:{port}",
        },
        "a browser that names no origin": {"Sec-Fetch-Site": "cross-site"},
        "no host": {"Host": ""},
    }


@pytest.mark.parametrize("path", CHANGES)
@pytest.mark.parametrize("who", strangers(""))
def test_a_stranger_changes_nothing(who: str, path: str, swarm: Swarm) -> None:
    headers = strangers(swarm.page.url.rpartition(":")[2])[who]
    answer = swarm.page.post(path, CHANGES[path], **headers)
    assert answer["success"] is False, answer
    assert swarm.page.stats()["state"] == "ready"
    assert swarm.main.targets == []


FRIENDS = {
    "its address": {"Origin": "http://127.0.0.1:PORT"},
    "its name": {"Host": "localhost:PORT", "Origin": "http://localhost:PORT"},
    "a forwarded port": {"Host": "localhost:1", "Origin": "http://localhost:1"},
    "a container": {"Host": "master:8089", "Origin": "http://master:8089"},
    "a name that was given": {"Host": "load.example.com", "Origin": "https://load.example.com"},
    "a proxy": {"Origin": "https://load.example.com"},
    "no browser": {},
}


def test_the_page_itself_may(tmp_path: Path) -> None:
    port = free_port()
    words = [*LOCUST, "-f", str(locustfile(tmp_path)), *on(port), "--web-name", "load.example.com"]
    with process(words, tmp_path) as main:
        page = Page(port).up()
        for who, headers in FRIENDS.items():
            given = {name: value.replace("PORT", str(port)) for name, value in headers.items()}
            assert page.post("/swarm", START, **given)["success"], who
        page.stop()
        assert "Traceback" not in main.text, main.text


def test_only_what_was_named_at_the_start_is_opened(tmp_path: Path) -> None:
    """Neither imported nor quoted nor started, also while a test runs, and not by the next one."""
    trace = tmp_path / "trace"
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "spy.py").write_text(SPY.format(trace=str(trace)))
    secret = folder / "secret.txt"
    secret.write_text("password: hunter2\n")
    hostile = [
        {"scenario": str(folder / "spy.py")},
        {"scenario": "spy.py"},
        {"scenario": "./spy.py"},
        {"scenario": f"file://{folder}/spy.py"},
        {"scenario": str(secret)},
        {"scenario": "/etc/passwd"},
        {"scenario": "/no/such/file"},
        {"command": f"touch {trace}"},
        {"var": "a=b"},
        {"loadmux_job": "x"},
        {"html_file": str(trace)},
    ]
    with alone(folder) as swarm:
        for running in (False, True):
            for form in hostile:
                answer = swarm.page.swarm(2, **form)
                assert answer["success"] is False, form
                assert "hunter2" not in str(answer)
                assert "root:" not in str(answer)
                assert "no such file" not in str(answer)
            if not running:
                assert swarm.page.stats()["state"] == "ready"
                assert swarm.page.swarm(2)["success"]
                swarm.page.until(lambda now: now["user_count"] == 2 and rows(now), "two users")
        swarm.page.stop()
        setting = {"user_class_name": "Parts", "scenario": str(folder / "spy.py")}
        told = swarm.page.send("/user", json.dumps(setting).encode(), {})
        assert told["success"] is False
        assert swarm.page.swarm(2)["success"]
        swarm.page.until(lambda now: now["user_count"] == 2 and rows(now), "two users")
        swarm.page.stop()
        assert not trace.exists()
        assert "Traceback" not in swarm.main.text, swarm.main.text


def test_what_the_locustfile_names_may_be_chosen(tmp_path: Path) -> None:
    """From another folder, too, and a bundled one always."""
    beside = tmp_path / "beside"
    beside.mkdir()
    (beside / "talk.yaml").write_text(
        "target: {bundled: epoll}\nsteps: [{name: talked, send: x, expect: reply}]\n"
    )
    port = free_port()
    words = [*LOCUST, "-f", str(locustfile(beside, more=OFFERS)), *on(port)]
    with process(words, tmp_path) as main:
        page = Page(port).up()
        for scenario, row in (("talk.yaml", "talked"), ("echo", "64 bytes")):
            assert page.swarm(2, scenario=scenario)["success"]
            page.until(lambda now, row=row: row in rows(now), row)  # type: ignore[misc]
            page.stop()
        assert "Traceback" not in main.text, main.text


BUILDS = b"\x80\x04cloadmux.measuring.stats\nStats\n(N}\x8c\x05merge\x8c\x03pwns\x86tb."
"""Pickle's BUILD on a class: it sets `Stats.merge`."""


class Calls:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.path,)


def hostile(trace: Path) -> list[object]:
    """What takes the place of a worker's statistics."""
    return [
        BUILDS,
        pickle.dumps(Calls(trace)),
        msgpack.packb([["os:system"], [], [6, 0, "true"]]),
        msgpack.packb([["loadmux.measuring.stats:Stats"], [], [6, 0, *["merge"] * 30]]),
        b"\x92\x00" * 5000,
        b"",
        "no bytes",
        {"a": 1},
    ]


def test_a_stranger_sees_nothing(swarm: Swarm) -> None:
    """Neither a page of others, by what the answer allows, nor under a name of theirs."""
    page = {"Origin": "http://evil.example"}
    with urllib.request.urlopen(urllib.request.Request(swarm.page.url, headers=page)) as answer:
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]
    name = urllib.request.Request(
        f"{swarm.page.url}/stats/requests", headers={"Host": "evil.example"}
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(name)
    assert refused.value.code == 403


def test_only_a_worker_with_the_key_takes_part(tmp_path: Path) -> None:
    """And none speaks for another; what belongs to another test is not counted."""
    folder, rpc, port = tmp_path / "here", str(free_port()), free_port()
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        key = ["--worker-key", "secret"]
        words = [*WEB, "echo", "--master", *on(port), *bound(rpc), *key]
        main = stack.enter_context(process(words, folder))
        words = [*WEB, "--worker", *joining(rpc)]
        stack.enter_context(process([*words, *key], folder, "own"))
        other = stack.enter_context(process(words, folder, "other"))
        assert other.wait() == 0
        main.says("it lacks the key of this one")
        page = Page(port).up(workers=1)
        assert page.swarm(2)["success"]
        now = page.until(lambda now: now["user_count"] == 2 and rows(now), "two users")
        (own,) = [one["id"] for one in now["workers"]]
        context = stack.enter_context(zmq.Context())
        sock = stack.enter_context(context.socket(zmq.DEALER))
        sock.setsockopt(zmq.IDENTITY, b"stranger")
        sock.setsockopt(zmq.LINGER, 0)
        sock.connect(f"tcp://127.0.0.1:{rpc}")
        sock.send(msgpack.dumps(("loadmux_failed", {"reason": "a lie"}, own)))
        sock.send(msgpack.dumps(("client_ready", -1, "stranger")))
        main.says(f"it speaks for '{own}'")
        before = rows(page.stats())["64 bytes"]
        now = page.until(lambda now: rows(now)["64 bytes"] > before, "it does not go on")
        assert [one["id"] for one in now["workers"]] == [own]
        assert "a lie" not in main.text


def test_hostile_messages_over_the_socket(tmp_path: Path) -> None:
    """The master tells of each, and goes on with what its own worker measures."""
    folder, trace, rpc, port = tmp_path / "here", tmp_path / "trace", str(free_port()), free_port()
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        words = [*WEB, "echo", "--master", *on(port), *bound(rpc)]
        main = stack.enter_context(process(words, folder))
        stack.enter_context(process([*WEB, "--worker", *joining(rpc)], folder, "worker"))
        page = Page(port).up(workers=1)
        assert page.swarm(4)["success"]
        page.until(lambda now: now["user_count"] == 4 and rows(now), "four users")
        context = stack.enter_context(zmq.Context())
        sock = stack.enter_context(context.socket(zmq.DEALER))
        sock.setsockopt(zmq.IDENTITY, b"stranger")
        sock.setsockopt(zmq.LINGER, 0)
        sock.connect(f"tcp://127.0.0.1:{rpc}")

        def say(kind: str, data: object) -> None:
            sock.send(msgpack.dumps((kind, data, "stranger")))

        own = {"user_classes_count": {}, "user_count": 0, "stats": [], "errors": {}}
        empty = {"stats": [["Scenario", 0, b""]]}
        say("stats", {**own, "loadmux": empty})  # not let in yet: not heard
        say("loadmux_failed", {"reason": "a lie"})
        say("client_ready", -1)
        main.says("stranger (index 1) reported as ready")
        for evil in hostile(trace):
            say("stats", {**own, "loadmux": {"stats": [["Scenario", 0, evil]]}})
        for wrong in ({"stats": 1}, {"health": ["x"], "stats": {}}, "text", [1]):
            say("stats", {**own, "loadmux": wrong})
        count = len(hostile(trace)) + 4
        eventually(
            lambda: main.text.count("cannot be read, and is left out") == count,
            "not told",
        )
        before = rows(page.stats())["64 bytes"]
        page.until(lambda now: rows(now)["64 bytes"] > before, "it does not go on")
        assert not trace.exists()
        assert "a lie" not in main.text
        assert page.stats()["errors"] == []
