"""Source addresses: which ones a block has, and that they are dealt out alike."""

from __future__ import annotations

import ipaddress
from collections import Counter

import pytest

from loadmux.driver.sources import sources


@pytest.mark.parametrize(
    ("text", "first", "last", "count"),
    [
        ("127.0.0.2", "127.0.0.2", "127.0.0.2", 1),
        ("::1", "::1", "::1", 1),
        ("fe80::1%lo", "fe80::1%lo", "fe80::1%lo", 1),
        ("127.0.1.0/24", "127.0.1.0", "127.0.1.255", 256),
        ("127.0.0.0/8", "127.0.0.1", "127.255.255.254", 2**24 - 2),
        ("127.0.0.0/32", "127.0.0.0", "127.0.0.0", 1),
        ("10.1.2.0/24", "10.1.2.1", "10.1.2.254", 254),
        ("10.1.2.0/30", "10.1.2.1", "10.1.2.2", 2),
        ("10.1.2.0/31", "10.1.2.0", "10.1.2.1", 2),
        ("10.1.2.7/32", "10.1.2.7", "10.1.2.7", 1),
        ("2001:db8::/64", "2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", 2**64 - 1),
        ("2001:db8::2/127", "2001:db8::2", "2001:db8::3", 2),
        ("2001:db8::7/128", "2001:db8::7", "2001:db8::7", 1),
    ],
)
def test_the_usable_addresses_of_a_block(text: str, first: str, last: str, count: int) -> None:
    found = sources(text)
    assert (found[0], found[-1], found.count) == (first, last, count)
    assert found.tries <= min(count, 1024)


@pytest.mark.parametrize("users", [64, 256])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_all_addresses_are_used_alike(users: int, stride: int) -> None:
    """So many users with `stride` sockets each, which share the block."""
    used = Counter(
        sources("127.0.1.0/26", offset, stride).address(user, 0)
        for user in range(users)
        for offset in range(stride)
    )
    assert len(used) == 64
    assert set(used.values()) == {users * stride // 64}


def test_a_socket_that_connects_anew_goes_through_the_whole_block() -> None:
    block = sources("127.0.1.0/28")
    turns = [block.address(5, turn) for turn in range(16)]
    assert sorted(turns, key=ipaddress.ip_address) == [f"127.0.1.{i}" for i in range(16)]
    assert block.address(5, 16) == turns[0]
