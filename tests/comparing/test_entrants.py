"""Who is compared, from the words of a command line."""

from __future__ import annotations

import pytest

from loadmux.comparing.entrants import Entrant, entrant, entrants
from loadmux.errors import UsageError
from loadmux.language.meaning.scenario import Overrides

MODELS = ("epoll", "poll")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("epoll", Entrant("epoll", "epoll", "epoll")),
        (
            "epoll,fault=slow:3us,workers=4",
            Entrant(
                "epoll,fault=slow:3us,workers=4",
                "epoll,fault=slow:3us,workers=4",
                "epoll",
                (("fault", "slow:3us"), ("workers", "4")),
            ),
        ),
        ("mine=epoll,tls", Entrant("mine", "epoll,tls", "epoll", (("tls", ""),))),
        ("tcp://127.0.0.1:7000", Entrant("tcp://127.0.0.1:7000", "tcp://127.0.0.1:7000")),
        ("new=./server --port {port}", Entrant("new", "./server --port {port}")),
    ],
)
def test_words(text: str, found: Entrant) -> None:
    assert entrant(text, MODELS) == found


def test_twins_are_numbered() -> None:
    assert [one.name for one in entrants(["epoll", "epoll", "poll"], MODELS)] == [
        "epoll",
        "epoll #2",
        "poll",
    ]


def test_each_replaces_the_target_of_the_scenario() -> None:
    assert entrant("epoll,tls", MODELS).overrides == Overrides(target="epoll")
    assert entrant("tcp://[::1]:7", MODELS).overrides == Overrides(target="tcp://[::1]:7")
    assert entrant("run {port}", MODELS).overrides == Overrides(command="run {port}")


@pytest.mark.parametrize(
    ("text", "told"), [("epol", "did you mean 'epoll'?"), ("epoll,=3", "'=3' in 'epoll,=3'")]
)
def test_mistakes(text: str, told: str) -> None:
    with pytest.raises(UsageError, match="compare: ") as caught:
        entrant(text, MODELS)
    assert told in str(caught.value)
