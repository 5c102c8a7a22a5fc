"""Who may see and change what runs here: every request of the page is looked at.

A form posts from any web page to 127.0.0.1 without asking, and a name that its owner points there
makes a page of his one of ours. So a request has to name this page as its host, and one that
changes something as its origin. Locust lets every page read its answers (CORS); here none may.
And it chooses among what was given at the start: no file that it names is opened, for a scenario
may be Python, and the message about one that cannot be read quotes it.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection, Iterable, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from loadmux.errors import UsageError
from loadmux.running.catalog import scenarios

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
OF_LOCUST = frozenset(
    {
        *("user_count", "spawn_rate", "host", "run_time", "user_classes", "shape_class"),
        *("profile", "tags", "exclude_tags"),
    }
)
"""What Locust's own form sends."""


SETTINGS = frozenset({"user_class_name", "weight", "fixed_count", "host", "tasks"})
"""What may be set of a class."""


class Refused(Exception):
    """A request that is none of ours; the text says why, and what to do about it."""


def check_sender(
    method: str, host: str, origin: str | None, site: str | None, names: Iterable[str], bound: str
) -> None:
    """Raises Refused for a request to a host that is not this page, or that would change something
    and has another origin.

    `host`, `origin` and `site` are the headers Host, Origin and Sec-Fetch-Site. `names` are those
    by which the page may be reached beside what it is `bound` to, addresses, names without a dot (a
    machine of the same network, a container) and this machine's own; a proxy has one of them, too.
    """
    if not _ours(host, [*names, bound]):
        raise Refused(
            f"this page is not called {host!r}: reach it by its address, or name it at the start"
            " (--web-name)"
        )
    if method in SAFE:
        return
    if origin is not None:
        there = origin.rpartition("//")[2]
        if there.lower() != host.lower() and not _named(there, names):
            raise Refused(f"a page of {origin!r} may not change anything here")
    elif site not in (None, "none", "same-origin"):
        raise Refused("a page of another site may not change anything here")


def keep_to_ourselves(app: Any) -> None:
    """Take out of all answers the word that pages of others may read them."""
    answer = app.wsgi_app

    def guarded(environ: Any, start: Callable[..., Any]) -> Any:
        def begin(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            kept = [one for one in headers if not one[0].lower().startswith("access-control-")]
            return start(status, kept, *rest)

        return answer(environ, begin)

    app.wsgi_app = guarded


def _named(host: str, names: Iterable[str]) -> bool:
    return _bare(host) in {name.lower() for name in names if name}


def _bare(host: str) -> str:
    """The name or address in HOST:PORT."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _ours(host: str, names: Iterable[str]) -> bool:
    name = _bare(host)
    try:
        ip_address(name)
    except ValueError:
        own = {socket.gethostname().lower(), socket.getfqdn().lower()}
        local = name != "" and ("." not in name or name.endswith(".localhost"))
        return local or name in own or _named(host, names)
    return True


def check_fields(form: Collection[str], known: Collection[str]) -> None:
    """Raises UsageError for a field that the start form does not have.

    Locust would set whatever option is called like it, a command to start among them.
    """
    for name in form:
        if name not in known and name not in OF_LOCUST:
            raise UsageError(f"{name!r} is no field of the start form: give it at the start")


def check_settings(settings: object, ours: Collection[str]) -> None:
    """Raises UsageError for what would be set on one of our classes beside `SETTINGS`."""
    if not isinstance(settings, Mapping) or settings.get("user_class_name") not in ours:
        return
    for name in settings:
        if name not in SETTINGS:
            raise UsageError(f"{name!r} cannot be set on the page: write it into the locustfile")


class Choices:
    """The scenarios that may be chosen on the page: those named at the start, and bundled ones."""

    def __init__(self, named: Iterable[str]) -> None:
        self._names = list(dict.fromkeys(named))
        self._paths = {Path(name).resolve() for name in self._names}

    def check(self, name: str) -> None:
        """Raises UsageError for any other; what a file is or holds is not looked at."""
        known = name in self._names or name in scenarios() or Path(name).resolve() in self._paths
        if not known:
            raise UsageError(
                f"scenario {name!r} was not given at the start: name it on the command line"
                " (loadmux web FILE ..., --scenario FILE), or choose one of"
                f" {', '.join(dict.fromkeys([*self._names, *scenarios()]))}"
            )
