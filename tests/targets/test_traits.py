"""What belongs to one model alone."""

from __future__ import annotations

import os
import resource
import select
import signal
from pathlib import Path

import needs
import pytest
from target_process import Case, TargetProcess, closing_all, eventually, receive, served

POOL = Case("process_pool", ("--workers", "2"))


def state(pid: int) -> str:
    """The letter of the process's state, proc(5)."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0]


def gone(pid: int) -> bool:
    """Whether there is no such process any more, or only its exit status."""
    try:
        return state(pid) == "Z"
    except FileNotFoundError:
        return True


def test_signal_looks_at_everything_when_the_queue_overflows() -> None:
    with TargetProcess(Case("signal")) as target, closing_all() as socks:
        socks += [target.connect() for _ in range(100)]
        assert all(served(sock) for sock in socks)
        pid = target.process.pid
        _, hard = resource.prlimit(pid, resource.RLIMIT_SIGPENDING)
        resource.prlimit(pid, resource.RLIMIT_SIGPENDING, (3, hard))
        for number in range(10):
            os.kill(pid, signal.SIGSTOP)
            for sock in socks:
                sock.sendall(b"%08d" % number)
            os.kill(pid, signal.SIGCONT)
            assert all(receive(sock, 8) == b"%08d" % number for sock in socks)
        with target.connect() as fresh:
            assert served(fresh)


def epoll_events(target: TargetProcess) -> list[int]:
    """The event masks of the server's epoll set, proc(5) on fdinfo."""
    folder = Path(f"/proc/{target.process.pid}/fdinfo")
    lines = [line.split() for file in folder.iterdir() for line in file.read_text().splitlines()]
    return [int(words[3], 16) for words in lines if words and words[0] == "tfd:"]


def test_epoll_oneshot_arms_again_for_one_event_and_for_what_is_wanted() -> None:
    oneshot = select.EPOLLIN | select.EPOLLONESHOT | select.EPOLLERR | select.EPOLLHUP
    with TargetProcess(Case("epoll_oneshot")) as target, closing_all() as socks:
        socks += [target.connect() for _ in range(5)]
        assert all(served(sock) for sock in socks)
        eventually(lambda: epoll_events(target) == [oneshot] * 6, "not armed as it should be")


def test_epoll_et_never_changes_what_it_registered() -> None:
    edges = select.EPOLLIN | select.EPOLLOUT | select.EPOLLET | select.EPOLLERR | select.EPOLLHUP
    with TargetProcess(Case("epoll_et")) as target, target.connect() as sock:
        assert served(sock)
        assert epoll_events(target).count(edges & 0xFFFFFFFF) == 1


def test_fork_reaps_every_child() -> None:
    with TargetProcess(Case("fork")) as target:
        for _ in range(20):
            with target.connect() as sock:
                assert served(sock)
        eventually(lambda: target.pids == [target.process.pid], "zombies stay")


def test_process_pool_replaces_a_worker_that_dies() -> None:
    with TargetProcess(POOL) as target:
        eventually(lambda: len(target.pids) == 3, "the workers do not start")
        for number in signal.SIGKILL, signal.SIGTERM:
            victim = target.pids[1]
            os.kill(victim, number)
            eventually(
                lambda victim=victim: victim not in target.pids and len(target.pids) == 3,  # type: ignore[misc]
                "the worker is not replaced",
            )
        with target.connect() as one, target.connect() as other:
            assert served(one)
            assert served(other)


@pytest.mark.parametrize("case", [POOL, Case("fork")], ids=str)
def test_children_end_with_their_parent_however_it_ends(case: Case) -> None:
    with TargetProcess(case) as target, target.connect() as sock:
        assert served(sock)
        children = target.pids[1:]
        assert children
        target.process.kill()
        target.process.wait()
        sock.close()
        eventually(lambda: all(map(gone, children)), "children outlive their parent")


def test_selectors_over_select_refuse_what_select_cannot_watch() -> None:
    hard = needs.descriptors(1200)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with TargetProcess(Case("selectors", ("--selector", "select"))) as target:
        before = target.settle()
        with closing_all() as socks:
            socks += [target.connect() for _ in range(1024 - before.descriptors)]
            assert served(socks[-1])
            with pytest.raises(ConnectionResetError), target.connect() as refused:
                refused.recv(1)
            assert served(socks[0])
            told = "selectors: refused a client: select() cannot watch descriptor 1024\n"
            assert target.stderr == told
        target.assert_holds(before)
        with target.connect() as fresh:
            assert served(fresh)
