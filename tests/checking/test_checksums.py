"""Checksums against the published check values, and varints against published examples."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadmux.checking import checksums, varints

PUBLISHED = {
    "crc32": 0xCBF43926,
    "crc32c": 0xE3069283,
    "crc16_modbus": 0x4B37,
    "crc16_ccitt": 0x29B1,
    "sum8": sum(b"123456789") % 256,
    "xor8": 0x31,
}
"""Of `123456789`, as the catalogues of checksums give them."""


@pytest.mark.parametrize("name", checksums.NAMES)
def test_the_published_value(name: str) -> None:
    assert checksums.checksum(name, b"123456789") == PUBLISHED[name]


@pytest.mark.parametrize("name", checksums.NAMES)
@given(data=st.binary(max_size=60), at=st.integers(0, 59), bit=st.integers(0, 7))
def test_one_changed_bit_changes_it(name: str, data: bytes, at: int, bit: int) -> None:
    right = checksums.checksum(name, data)
    assert 0 <= right < 256 ** checksums.width(name)
    if at < len(data):
        other = bytearray(data)
        other[at] ^= 1 << bit
        assert checksums.checksum(name, bytes(other)) != right


def test_no_bytes_have_a_checksum_too() -> None:
    found = {name: checksums.checksum(name, b"") for name in checksums.NAMES}
    assert found == {
        "crc32": zlib.crc32(b""),
        "crc32c": 0,
        "crc16_modbus": 0xFFFF,
        "crc16_ccitt": 0xFFFF,
        "sum8": 0,
        "xor8": 0,
    }


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        (0, "00"),
        (127, "7f"),
        (128, "80 01"),
        (300, "ac 02"),
        (16_383, "ff 7f"),
        (268_435_455, "ff ff ff 7f"),
        (2**64 - 1, "ff ff ff ff ff ff ff ff ff 01"),
    ],
)
def test_a_varint(value: int, wire: str) -> None:
    data = bytes.fromhex(wire)
    assert varints.encode(value) == data
    assert varints.decode(data) == (value, len(data))
    assert varints.decode(b"xy" + data + b"\xff", 2) == (value, len(data))
    assert all(varints.decode(data[:size]) is None for size in range(len(data)))


@given(st.integers(0, varints.LARGEST), st.binary(max_size=3))
def test_a_varint_is_read_as_it_was_written(value: int, behind: bytes) -> None:
    data = varints.encode(value)
    assert varints.decode(data + behind) == (value, len(data))


def test_a_longer_varint_than_need_be_is_read() -> None:
    assert varints.decode(b"\x85\x80\x00") == (5, 3)


@pytest.mark.parametrize("value", [-1, 2**64])
def test_no_varint_for_a_number(value: int) -> None:
    with pytest.raises(ValueError, match="a varint holds 0 to"):
        varints.encode(value)


@pytest.mark.parametrize("wire", [b"\xff" * 10, b"\xff" * 11, b"\xff" * 9 + b"\x02"])
def test_what_is_no_varint(wire: bytes) -> None:
    with pytest.raises(ValueError, match="a varint"):
        varints.decode(wire)
