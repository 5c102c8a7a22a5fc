"""Which command is asked for, and what is made of the others."""

from __future__ import annotations

import pytest

from loadmux.cli.app import asked, commands


def test_only_the_command_that_is_asked_for_has_options() -> None:
    made = {name: one.params for name, one in commands("check").commands.items() if one.params}
    assert list(made) == ["check"]


def test_lists_say_of_each_command_what_its_own_help_says() -> None:
    shown = commands("").commands
    assert len(shown) > 10
    for name, sketch in shown.items():
        assert sketch.get_short_help_str() == commands(name).commands[name].get_short_help_str()


@pytest.mark.parametrize(
    ("words", "env", "name"),
    [
        (["check", "parts"], {}, "check"),
        (["--version"], {}, ""),
        (["-h", "run"], {}, "run"),
        (
            [],
            {"_LOADMUX_COMPLETE": "x", "COMP_WORDS": "loadmux help ha", "COMP_CWORD": "2"},
            "help",
        ),
        ([], {"_LOADMUX_COMPLETE": "x", "_TYPER_COMPLETE_ARGS": "loadmux run --r"}, "run"),
        ([], {"_LOADMUX_COMPLETE": "x"}, ""),
    ],
)
def test_the_command_is_the_first_word(words: list[str], env: dict[str, str], name: str) -> None:
    assert asked(words, env) == name
