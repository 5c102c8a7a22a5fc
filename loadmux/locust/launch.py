"""What `loadmux web` adds to an ordinary start of Locust: scenario files as words, and defaults.

The page and the driver are different processes: without a word on the command line there is one
worker (`--processes 1`), on a free port of this machine, so that two runs never meet.
"""

from __future__ import annotations

import argparse
import socket
import sys
from functools import cache

from locust.argument_parser import LocustArgumentParser

from loadmux.errors import LoadmuxError
from loadmux.language.loading import load
from loadmux.language.meaning.scenario import Load, Overrides
from loadmux.locust.admitting import family
from loadmux.locust.described import Described
from loadmux.locust.options import Offered
from loadmux.measuring.exitcodes import ExitCode
from loadmux.running.catalog import find, models
from loadmux.running.servers import ports

LOCAL = "127.0.0.1"


def begin_with(parser: LocustArgumentParser, of: type[Described]) -> None:
    """Make the parser take scenario files, and begin with what the first one says of its load."""
    words = action(parser, "user_classes")
    words.dest, words.metavar, words.help = "scenarios", "SCENARIO", "Scenario files to offer"
    parser.set_defaults(user_classes=[])
    options, _ = parser.parse_known_args()
    if options.worker:
        return
    if options.scenarios:
        chosen = action(parser, "scenario")
        chosen.choices = Offered(options.scenarios)
        chosen.default = options.scenarios[0]
        chosen.env_var = None  # type: ignore[attr-defined]  # words say more than the environment
    if not (options.master or options.processes):
        parser.set_defaults(processes=1)
        keep_apart(parser)
    parser.set_defaults(web_host=LOCAL)
    load = load_of(options.scenarios[0] if options.scenarios else options.scenario)
    if load is not None:
        parser.set_defaults(spawn_rate=load.spawn_rate or float(load.users))
    if load is not None and not load.phases:  # else they say how many users there are, and when
        parser.set_defaults(num_users=load.users)
        if load.run_time is not None:
            parser.set_defaults(run_time=int(load.run_time) or 1)


def keep_apart(parser: LocustArgumentParser) -> None:
    """Where workers are ours, let them and their master meet on a free port of this machine.

    Locust's own is the same for every run: the second's workers would join the first's test.
    """
    words = [word for word in sys.argv[1:] if word not in ("-h", "--help")]
    options, _ = parser.parse_known_args(words)
    names = ("master_bind_host", "master_bind_port", "master_host", "master_port")
    chosen = any(getattr(options, name) != parser.get_default(name) for name in names)
    if options.processes and not (options.worker or options.master or chosen):
        port = free_port()
        parser.set_defaults(master_bind_host=LOCAL, master_bind_port=port)
        parser.set_defaults(master_host=LOCAL, master_port=port, worker_key=family())


def refuse_taken(host: str, port: int) -> None:
    """End the program, with one line, where somebody else has the page's port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
        except OSError as error:
            where = f"{host or '*'}:{port}"
            text = f"the page cannot have {where}: {error.strerror}; choose another --web-port"
            print(text, file=sys.stderr)
            raise SystemExit(ExitCode.INVALID) from None


def action(parser: LocustArgumentParser, name: str) -> argparse.Action:
    found: argparse.Action = next(one for one in parser._actions if one.dest == name)
    return found


def load_of(scenario: str) -> Load | None:
    """What a scenario says of its load; None where it cannot be read, which is told later."""
    try:
        return load(find(scenario), Overrides(), models=models()).load
    except LoadmuxError:
        return None


@cache
def free_port() -> int:
    """A port that nobody has; the same one for all parsers of this process."""
    return ports.free_port()
