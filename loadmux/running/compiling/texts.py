"""Texts that vary from one message to the next: what is constant in them is joined once.

Numbers of the user go into one format, as rendering is a good part of what a short exchange costs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter

from loadmux.driver.user import VirtualUser

Render = Callable[[VirtualUser, str, bytes], bytes]
NUMBERS = {"user": "number", "iteration": "iteration"}
"""Built-in names that are numbers of a user, and what holds them."""
VERSION, VARIANT = 0xF000 << 64, 0xC000 << 48


class Named:
    """A built-in name of which a text is made."""

    __slots__ = ("name", "render")

    def __init__(self, name: str, render: Render) -> None:
        self.name = name
        self.render = render


def text(parts: Sequence[bytes | Named]) -> Render:
    """What makes a text of its parts."""
    names = [part.name for part in parts if isinstance(part, Named)]
    if all(name in NUMBERS or name == "socket" for name in names):
        numbers = [NUMBERS[name] for name in names if name in NUMBERS]
        if numbers:
            return _formatted(parts, numbers)
    return joined([part.render if isinstance(part, Named) else part for part in parts])


def _formatted(parts: Sequence[bytes | Named], numbers: Sequence[str]) -> Render:
    values = attrgetter(*numbers)
    if not any(isinstance(part, Named) and part.name == "socket" for part in parts):
        form = _form(parts, b"")
        return lambda user, name, sent: form % values(user)
    forms: dict[str, bytes] = {}

    def render(user: VirtualUser, name: str, sent: bytes) -> bytes:
        form = forms.get(name)
        if form is None:
            form = forms[name] = _form(parts, name.encode())
        return form % values(user)

    return render


def _form(parts: Sequence[bytes | Named], socket: bytes) -> bytes:
    found = []
    for part in parts:
        if isinstance(part, Named) and part.name in NUMBERS:
            found.append(b"%d")
        else:
            constant = socket if isinstance(part, Named) else part
            found.append(constant.replace(b"%", b"%%"))
    return b"".join(found)


def joined(parts: Sequence[bytes | Render]) -> Render:
    """What joins the parts."""
    if len(parts) == 1 and not isinstance(only := parts[0], bytes):
        return only
    if len(parts) == 2:
        first, second = parts
        if isinstance(first, bytes) and not isinstance(second, bytes):
            return lambda user, name, sent: first + second(user, name, sent)
        if isinstance(second, bytes) and not isinstance(first, bytes):
            return lambda user, name, sent: first(user, name, sent) + second
    renders = [_constant(part) if isinstance(part, bytes) else part for part in parts]
    return lambda user, name, sent: b"".join([one(user, name, sent) for one in renders])


def _constant(data: bytes) -> Render:
    return lambda user, name, sent: data


def uuid(user: VirtualUser, name: str, sent: bytes) -> bytes:
    """A UUID of version 4 (RFC 9562), as `uuid.UUID` writes it, without making one."""
    bits = user.random.getrandbits(128) & ~(VERSION | VARIANT) | 0x4000 << 64 | 0x8000 << 48
    digits = b"%032x" % bits
    return b"-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
