"""The head of a request that is formatted is, byte for byte, the one that h11 writes."""

from __future__ import annotations

import importlib
from random import Random
from types import ModuleType
from typing import Any

import needs
import pytest

from loadmux.plugins.payloads import Data, Surroundings, Text

AROUND = Surroundings("host%:8080", Random(0))
PATHS = (b"/", b"/a%20b?c=~0~", b"*", b"/%b%d")
VALUES = (b"v", b"a b", b"", b" padded ", b"\xc3\xa9", b"%d ~1~")
NAMES = (
    (),
    ("X-A",),
    ("Host", "X-A"),
    ("X-A", "Host"),
    ("Content-Length",),
    ("Transfer-Encoding",),
)


@pytest.fixture
def http() -> ModuleType:
    """Imported when a test wants it: it needs a package that loadmux does not."""
    needs.package("h11")
    return importlib.import_module("loadmux.protocols.http")


def encoded(request: Any, parts: list[bytes], way: str) -> bytes | str:
    try:
        return bytes(getattr(request, way)(parts, AROUND))
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("body", [None, b"", b"body\r\nContent-Length: 1\r\n"])
def test_both_ways_are_the_same(
    http: ModuleType, method: str, names: tuple[str, ...], body: bytes | None
) -> None:
    payload = None if body is None else Data(body)
    request = http.Request(method, Text(()), names, (Text(()),) * len(names), payload)
    for path in (*PATHS, b"", b"/a b", b"/\x80"):
        for value in (*VALUES, b"chunked", b"24", b"new\nline"):
            parts = [path, *[value] * len(names), *([] if body is None else [body])]
            assert encoded(request, parts, "encode") == encoded(request, parts, "_written")


def test_most_heads_are_formatted(http: ModuleType) -> None:
    assert http.shape("GET", ("X-A", "X-B"), False, "h") is not None
    assert http.shape("POST", ("X-A",), True, "h") is not None
    assert http.shape("POST", ("Transfer-Encoding",), True, "h") is None
    assert http.shape("GET", ("X-A", "Host"), False, "h") is None
