"""The command line of a target server: `parse` makes `Settings` of it, checked.

What is wrong with it is one line on standard error, and exit code 2. Options of a single model are
declared by that model; their values are checked by the functions here. A server starts in a third
of the time where what only TLS needs is imported with `--tls`.
"""

from __future__ import annotations

import argparse
import re
import selectors
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from lies import FAULTS, UNNUMBERED_FAULTS, Fault
from model import Model
from rules import RULES

if TYPE_CHECKING:
    import ssl

SLOW = "100us"
NUMBERS = {**dict.fromkeys(UNNUMBERED_FAULTS, ""), "slow": "[:TIME]"}
LARGEST_READ = 16 * 1024 * 1024
"""Bytes that a single read may ask for."""


class Settings(NamedTuple):
    """The command line, checked."""

    host: str
    port: int
    unix: str | None
    reply: str
    backlog: int
    read_size: int
    fault: Fault | None
    describe: bool
    tls: bool = False
    tls_cert: str | None = None
    tls_key: str | None = None
    context: ssl.SSLContext | None = None
    workers: int = 1
    selector: type[selectors.BaseSelector] = selectors.DefaultSelector
    pause: float = 0.0


def parse_fault(text: str) -> Fault:
    """`NAME`, `NAME:N` or `slow:TIME` as a Fault."""
    name, colon, number = text.partition(":")
    if name not in FAULTS:
        raise argparse.ArgumentTypeError(f"no fault {name!r}; there are {', '.join(FAULTS)}")
    if colon and name in UNNUMBERED_FAULTS:
        raise argparse.ArgumentTypeError(f"{name} takes no number")
    if name == "slow":
        return Fault(name, seconds=duration(number or SLOW))
    return Fault(name, positive(number) if colon else 1)


def duration(text: str) -> float:
    """A time of at most a second with its unit, in seconds."""
    number, unit = re.fullmatch(r"([0-9.]*)(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
    try:
        value = float(number) * {"us": 1e-6, "ms": 1e-3, "s": 1.0}[unit]
    except (ValueError, KeyError):
        value = -1.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"not a time up to 1s: {text!r}; write 100us or 5ms")
    return value


def positive(text: str) -> int:
    """A whole number from 1, small enough for the C library."""
    if not text.isdecimal() or not 1 <= int(text) < 1 << 31:
        raise argparse.ArgumentTypeError(f"not a whole number from 1: {text!r}")
    return int(text)


def read_size(text: str) -> int:
    """A size of a buffer that every connection can have."""
    if positive(text) > LARGEST_READ:
        raise argparse.ArgumentTypeError(f"more than {LARGEST_READ} bytes: {text}")
    return int(text)


def path(text: str) -> str:
    """A path; an empty one is most likely a variable that was not set."""
    if not text:
        raise argparse.ArgumentTypeError("an empty path")
    return text


def port(text: str) -> int:
    """A TCP port; 0 lets the kernel choose."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"not a port: {text!r}")
    return int(text)


def seconds(text: str) -> float:
    """A duration in seconds, not negative."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 60:
        raise argparse.ArgumentTypeError(f"not a number of seconds from 0 to 60: {text!r}")
    return value


class Parser(argparse.ArgumentParser):
    """Argument errors in one line, exit code 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def parse(model: Model, documentation: str | None) -> Settings:
    """The command line of a model's server. Exits on errors and for --help."""
    faults = "".join(
        f"  {name + NUMBERS.get(name, '[:N]'):<16}{meaning}\n"
        for name, meaning in FAULTS.items()
        if name in model.faults
    )
    parser = Parser(
        description=documentation,
        epilog=f"faults (N counts the replies of each connection, default 1):\n{faults}",
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, width=80),
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--port", type=port, default=0, help="default: one that is free")
    where.add_argument("--unix", type=path, metavar="PATH", help="listen on a Unix socket instead")
    add("--reply", choices=RULES, default="echo", metavar="RULE", help=", ".join(RULES))
    add("--backlog", type=positive, default=65535, help="the kernel lowers it to its own maximum")
    add("--read-size", type=read_size, default=65536, help="most bytes to read at once")
    add("--fault", type=parse_fault, metavar="NAME[:N]", help="answer wrongly, see below")
    add("--describe", action="store_true", help="print a line of JSON about the model and exit")
    if model.tls:
        add("--tls", action="store_true", help="speak TLS, with a certificate for testing")
        add("--tls-cert", type=path, metavar="FILE", help="with this certificate instead (PEM)")
        add("--tls-key", type=path, metavar="FILE", help="its key; default: in the same file")
    for name, how in model.options.items():
        add(f"--{name}", **how)
    given, unknown = parser.parse_known_args()
    if not model.tls and any(word.startswith("--tls") for word in unknown):
        parser.error(f"argument --tls: the model {model.name} does not speak TLS")
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    settings = Settings(**vars(given))
    if settings.fault is not None and settings.fault.name not in model.faults:
        parser.error(f"argument --fault: there is no {settings.fault.name} in {model.name}")
    if model.datagrams and settings.unix:
        parser.error("argument --unix: datagrams are served by UDP only")
    return with_tls(settings, parser)


def with_tls(settings: Settings, parser: Parser) -> Settings:
    """The settings with what all TLS connections share, where TLS was asked for."""
    if not settings.tls:
        if settings.tls_cert or settings.tls_key:
            parser.error("argument --tls-cert: needs --tls")
        return settings
    if settings.unix:
        parser.error("argument --tls: not over a Unix socket")
    if settings.fault is not None and settings.fault.name == "swap":
        parser.error("argument --fault: swap crosses bytes below TLS, where nobody could read them")
    from secured import server_context

    try:
        context = server_context(settings.tls_cert, settings.tls_key)
    except OSError as error:
        parser.error(f"argument --tls: no use of certificate and key: {error.strerror or error}")
    return settings._replace(context=context)
