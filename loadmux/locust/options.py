"""What loadmux adds to Locust's command line; what a start can change is in its form as well.

Options that Locust's parser gets appear in the start form by themselves.
"""

from __future__ import annotations

from locust.argument_parser import LocustArgumentParser

from loadmux.checking.rules import RULES
from loadmux.driver.poller import available
from loadmux.locust.described import Described, concrete
from loadmux.locust.form import LIES
from loadmux.locust.preparation import BEST, NONE, OWN
from loadmux.running.catalog import models


class Offered(list[str]):
    """Choices for a form that, on the command line, are not the only ones: URLs, other files."""

    def __contains__(self, value: object) -> bool:
        return isinstance(value, str)


def add_options(parser: LocustArgumentParser) -> None:
    """Our options: of a start, most of them in the form, and of the whole program."""
    _of_the_scenario(parser)
    _of_a_start(parser)
    _of_the_program(parser)


def _of_the_scenario(parser: LocustArgumentParser) -> None:
    """Which scenario, where there is but one class for it."""
    classes = list(concrete(Described))
    if len(classes) == 1:
        own = classes[0].scenario
        offered = Offered(dict.fromkeys([*([own] if own else []), *classes[0].offered()]))
        parser.add_argument(
            "--scenario",
            env_var="LOCUST_SCENARIO",
            choices=offered,
            default=own or offered[0],
            metavar="FILE",
            help="The scenario file, or a bundled one's name",
        )


def _of_a_start(parser: LocustArgumentParser) -> None:
    parser.add_argument(
        "--target",
        env_var="LOCUST_TARGET",
        choices=Offered([OWN, *models()]),
        default=OWN,
        metavar="MODEL|URL",
        help="A bundled target server, in place of the scenario's; a URL goes into Host",
    )
    parser.add_argument(
        "--command",
        env_var="LOCUST_COMMAND",
        default="",
        metavar="WORDS",
        include_in_web_ui=False,
        help="Starts a server of your own, with {port} where its port stands",
    )
    parser.add_argument(
        "--reply",
        env_var="LOCUST_REPLY",
        choices=[OWN, *RULES],
        default=OWN,
        help="The rule by which the target replies",
    )
    parser.add_argument(
        "--fault",
        env_var="LOCUST_FAULT",
        choices=Offered([NONE, *LIES]),
        default=NONE,
        metavar="NAME",
        help="Have the bundled target lie, e.g. flip:20 (loadmux targets)",
    )
    parser.add_argument(
        "--poller",
        env_var="LOCUST_POLLER",
        choices=[BEST, *available()],
        default=BEST,
        help="How the driver waits",
    )
    parser.add_argument(
        "--seed",
        env_var="LOCUST_SEED",
        default="",
        include_in_web_ui=False,
        help="All chance comes from it",
    )
    parser.add_argument(
        "--var",
        action="append",
        metavar="NAME=VALUE",
        include_in_web_ui=False,
        help="Sets one of the scenario's variables; repeatable",
    )


def _of_the_program(parser: LocustArgumentParser) -> None:
    parser.add_argument(
        "--report",
        action="append",
        metavar="NAME[=FILE]",
        include_in_web_ui=False,
        help="Also as junit, html, markdown, ...: print or write; repeatable",
    )
    parser.add_argument(
        "--web-name",
        action="append",
        metavar="NAME",
        include_in_web_ui=False,
        help="Another name by which the page is reached, that of a proxy say; repeatable",
    )
    parser.add_argument(
        "--take-code",
        env_var="LOCUST_TAKE_CODE",
        action="store_true",
        include_in_web_ui=False,
        help="A worker runs the Python that its master's scenarios call (so does -f -)",
    )
    parser.add_argument(
        "--worker-key",
        env_var="LOCUST_WORKER_KEY",
        metavar="WORD",
        include_in_web_ui=False,
        help="A word that master and workers have in common: others take no part",
    )
