"""The faults in the start form of Locust's page are those that bundled targets have."""

from __future__ import annotations

import ast
from pathlib import Path

from commands import ROOT

FORM = ROOT / "loadmux" / "locust" / "form.py"  # importing it would patch the standard library
TARGETS = ROOT / "targets" / "lies.py"


def constant(path: Path, name: str) -> set[str]:
    """The texts in an assignment at a module's top level."""
    (found,) = (
        one.value
        for one in ast.parse(path.read_text()).body
        if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == name
    )
    keys = found.keys if isinstance(found, ast.Dict) else [found]
    texts = (one for key in keys if key is not None for one in ast.walk(key))
    return {str(one.value) for one in texts if isinstance(one, ast.Constant)}


def test_the_form_offers_every_fault() -> None:
    offered = {text.partition(":")[0] for text in constant(FORM, "LIES")}
    assert offered - {""} == constant(TARGETS, "FAULTS")
