"""What a test needs and a machine may lack, asked when the test runs: without it, it is skipped.

The reason of the skip names what is missing, the same for all tests that miss it, so that they can
be counted. In CI, where .ci/run installs all that can be installed, a missing package is a failure.
For programs see `commands.program`.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import os
import resource
import select
import socket
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from loadmux.running.servers.description import Description, describe

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

LINUX_ONLY = ("epoll", "epoll_et", "epoll_oneshot", "signal")
ABSENT = ("gevent", "io_uring", "kqueue", *(() if sys.platform == "linux" else LINUX_ONLY))
"""Models that may be unable to run: they need a package, or another kernel, or its permission."""


def package(name: str, distribution: str = "") -> Any:
    """An importable module; its name is that of the package, too, unless that is given."""
    with contextlib.suppress(ImportError):
        return importlib.import_module(name)
    return missing(f"{name} is not installed (pip install {distribution or name})")


def validator(schema: Mapping[str, Any]) -> Draft202012Validator:
    """A validator of JSON; it has looked whether the schema is one, once for each."""
    return _validator(json.dumps(schema))


@functools.cache
def _validator(text: str) -> Draft202012Validator:
    found: type[Draft202012Validator] = package("jsonschema").Draft202012Validator
    schema = json.loads(text)
    found.check_schema(schema)
    return found(schema)


def kernel_with(name: str) -> None:
    """A kernel for which Python's `select` has this."""
    if not hasattr(select, name):
        pytest.skip(f"this kernel has no {name}")


def proc() -> None:
    """Linux's /proc, which tells of other processes."""
    if not os.path.exists("/proc/self/schedstat"):
        pytest.skip("this system has no /proc/PID/schedstat")


def ipv6() -> None:
    """The loopback address of IPv6."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as sock:
        sock.bind(("::1", 0))
        return
    pytest.skip("this machine has no IPv6 loopback address (::1)")


def descriptors(count: int) -> int:
    """Permission to have so many; the limit, to which the soft one may be raised."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < count:
        pytest.skip(f"the hard limit of descriptors is too low: {hard} (ulimit -Hn)")
    return hard


def missing(reason: str) -> NoReturn:
    """Skip the test; in CI fail it."""
    assert "CI" not in os.environ, reason
    pytest.skip(reason)


def model(name: str) -> Description:
    """A bundled target that can run here; one that every machine can run fails if it does not."""
    told = _described(name)
    if told.reason is not None:
        assert name in ABSENT, told
        pytest.skip(f"target {name} cannot run here: {told.reason}")
    return told


def absent_models() -> list[Description]:
    """The bundled targets that cannot run here."""
    return [told for told in map(_described, ABSENT) if told.reason is not None]


_described = functools.cache(describe)
