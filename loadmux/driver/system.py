"""The operating system's own sockets and pollers, also where gevent has put its own in their place.

`gevent.monkey.patch_all()`, which importing Locust does, deletes `select.epoll` and
`select.kqueue`, and makes `socket.socket` a class that switches greenlets. gevent keeps what it
replaced, and hands it out. Ask when a loop is made, not when a module is imported: the patching
may come in between.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any


def original(module: ModuleType, name: str) -> Any:
    """What the standard library calls `name` in `module`. Raises AttributeError where it is not."""
    monkey: Any = sys.modules.get("gevent.monkey")
    if monkey is None:
        return getattr(module, name)
    return monkey.get_original(module.__name__, name)


def has(module: ModuleType, name: str) -> bool:
    """Whether the standard library has `name` in `module` on this platform."""
    try:
        original(module, name)
    except AttributeError:
        return False
    return True


def sharpen() -> bool:
    """Have the kernel end waits of this process on time, not 50 us later; whether it does.

    It does so for the main thread alone: proc(5), /proc/pid/timerslack_ns.
    """
    if threading.current_thread() is not threading.main_thread():
        return False
    try:
        Path("/proc/self/timerslack_ns").write_text("1")
    except OSError:
        return False
    return True
