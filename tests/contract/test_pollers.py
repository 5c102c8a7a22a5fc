"""One suite for every poller; kqueue runs on Linux through the emulation of tests/support."""

from __future__ import annotations

import resource
import select
import socket
from collections.abc import Iterator

import kqueue_emulation
import needs
import pytest

from loadmux.driver.poller import GONE, POLLERS, READABLE, Poller, available, make_poller
from loadmux.errors import DriverFault, UsageError
from loadmux.testing.pollers import POLLER_CHECKS, Check, check_poller, connected


@pytest.fixture(params=list(POLLERS))
def poller(request: pytest.FixtureRequest) -> Iterator[Poller]:
    native = hasattr(select, "kqueue")
    if request.param == "kqueue" and not native:
        kqueue_emulation.install()
    made = POLLERS[request.param]()
    yield made
    made.close()
    if request.param == "kqueue" and not native:
        kqueue_emulation.uninstall()


@pytest.mark.parametrize("check", POLLER_CHECKS, ids=lambda check: check.__name__)
def test_contract(check: Check, poller: Poller) -> None:
    with connected() as pair:
        check(poller, pair)


def test_the_contract_is_checked_at_once(poller: Poller) -> None:
    check_poller(type(poller))


def test_a_poller_that_forgets_to_report_is_found_out() -> None:
    class Deaf(type(make_poller("select"))):  # type: ignore[misc]
        def wait(self, timeout: float) -> list[tuple[int, int]]:
            return []

    with pytest.raises(AssertionError):
        check_poller(Deaf)


def test_select_refuses_descriptors_past_its_limit() -> None:
    needs.descriptors(1100)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1100), hard))
    poller = make_poller("select")
    socks: list[socket.socket] = []
    try:
        while not socks or socks[-1].fileno() < 1024:
            socks.append(socket.socket())
        with pytest.raises(DriverFault, match=r"FD_SETSIZE \(1024\).*--poller epoll"):
            poller.add(socks[-1].fileno())
        assert poller.wait(0) == []
    finally:
        for sock in socks:
            sock.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_best_poller_is_the_default() -> None:
    poller = make_poller()
    assert poller.name == available()[0] == ("epoll" if hasattr(select, "epoll") else "kqueue")
    poller.close()


def test_an_unknown_poller_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="'devpoll' is no poller; here: "):
        make_poller("devpoll")


def test_a_poller_of_another_platform_is_a_usage_error() -> None:
    missing = sorted(set(POLLERS) - set(available()))
    if not missing:
        pytest.skip("this platform has them all")
    with pytest.raises(UsageError, match="not available on this platform"):
        make_poller(missing[0])


def test_gone_is_always_worth_a_try() -> None:
    assert READABLE & GONE == GONE
