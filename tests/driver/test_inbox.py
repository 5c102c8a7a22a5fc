"""What a stream has brought: nothing is lost, whatever is taken and given back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from loadmux.driver.inbox import PORTION, Inbox

CHUNKS = st.lists(st.binary(max_size=50) | st.integers(1, 3 * PORTION).map(bytes), max_size=20)


@given(CHUNKS, st.lists(st.integers(0, PORTION), max_size=100))
def test_bytes_come_out_in_the_order_in_which_they_came(
    chunks: list[bytes], kept: list[int]
) -> None:
    inbox, sizes, got = Inbox(), iter(kept), b""
    for chunk in chunks:
        inbox.add(chunk)
    whole = b"".join(chunks)
    assert inbox.size == len(whole)
    assert inbox.peek(100) == whole[:100]
    while inbox:
        data = inbox.take()
        assert 0 < len(data) <= PORTION
        size = min(len(data), next(sizes, PORTION))
        inbox.put_back(data[size:])
        got += data[:size]
        assert len(got) + inbox.size == len(whole)
    assert got == whole


@given(CHUNKS, st.binary(max_size=50))
def test_more_may_be_given_back_than_was_taken(chunks: list[bytes], extra: bytes) -> None:
    inbox = Inbox()
    for chunk in chunks:
        inbox.add(chunk)
    taken = inbox.take() if inbox else b""
    inbox.put_back(taken)
    inbox.put_back(extra)
    assert inbox.take_all() == extra + b"".join(chunks)
    assert not inbox
    inbox.add(b"later")
    assert inbox.take() == b"later"
