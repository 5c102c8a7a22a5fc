"""What targets say of themselves, and what is said of those that cannot."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest
from broken_targets import BROKEN, FOREVER, HELD, HOLDS, write
from target_process import TARGETS

from loadmux.errors import TargetFailed, UsageError
from loadmux.language.meaning.servers import Target
from loadmux.running.catalog import models
from loadmux.running.servers import bundled, description
from loadmux.running.servers.bundled import TargetProcess
from loadmux.running.servers.description import describe, describe_all


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where targets are looked for."""
    monkeypatch.setattr(bundled, "bundled", lambda kind: tmp_path)
    return tmp_path


def test_every_bundled_target_answers() -> None:
    found = {one.model: one for one in describe_all(models())}
    assert list(found) == models()
    for one in found.values():
        assert one.reason is None or one.model in ("kqueue", "gevent", "io_uring")
        assert all((one.summary, one.waits, one.limit, one.platforms))
    assert found["blocking"].at_once == 1
    assert found["thread_pool"].pool == 2000
    assert (found["epoll"].tls, found["asyncio"].tls) == (True, False)


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_not_here(name: str, folder: Path) -> None:
    text, reason = BROKEN[name]
    write(folder, name, text)
    told = describe(name)
    assert (told.model, told.summary, told.at_once, told.pool) == (name, "", None, None)
    assert told.reason is not None
    assert told.reason.startswith(reason)
    assert told.reason.isprintable()
    assert len(told.reason) < 200


@pytest.mark.parametrize("name", FOREVER)
def test_what_does_not_end_is_ended(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(description, "PATIENCE", 1.0)
    text, reason = FOREVER[name]
    write(folder, name, HOLDS + text)
    assert describe(name).reason == reason
    with (folder / HELD).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # waits until the last process has ended


def test_a_broken_one_does_not_keep_the_others_from_answering(folder: Path) -> None:
    for path in TARGETS.glob("*.py"):
        if path.stem == "epoll_server" or not path.stem.endswith("_server"):
            (folder / path.name).write_text(path.read_text())
    for name, (text, _) in BROKEN.items():
        write(folder, name, text)
    found = describe_all([*BROKEN, "epoll"])
    assert [one.model for one in found] == [*BROKEN, "epoll"]
    assert [one.model for one in found if one.reason is None] == ["epoll"]


def test_an_unknown_model_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no bundled target is called 'epol'"):
        describe("epol")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (BROKEN["illegal"][0], "it was killed by SIGILL (Illegal instruction)"),
        (BROKEN["realtime"][0], "it was killed by signal 37"),
        (BROKEN["unimportable"][0], BROKEN["unimportable"][1]),
        (BROKEN["wordless"][0], "it exited with 3"),
        (BROKEN["rubbish"][0], "its first line was 'good morning'"),
        ("print('x' * 9999999)\n", "its first line was 'xxx"),
        ("print('listening everywhere')\n", "'everywhere' is not a URL; write tcp://HOST:PORT, "),
    ],
)
def test_what_does_not_start_is_told_in_one_line(text: str, told: str, folder: Path) -> None:
    write(folder, "broken", text)
    with (
        pytest.raises(TargetFailed) as raised,
        TargetProcess(Target(bundled="broken", rule="echo")),
    ):
        pass
    assert str(raised.value).startswith(f"target broken did not start: {told}")
    assert str(raised.value).isprintable()


def test_what_says_nothing_at_its_start_is_ended(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundled, "READY_WITHIN", 0.5)
    monkeypatch.setattr(bundled, "ENDED_WITHIN", 0.5)
    write(folder, "sleeping", HOLDS + FOREVER["sleeping"][0])
    with (
        pytest.raises(TargetFailed, match=r"it did not say within 0\.5 s where it listens"),
        TargetProcess(Target(bundled="sleeping", rule="echo")),
    ):
        pass
