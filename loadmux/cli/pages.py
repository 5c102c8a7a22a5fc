"""The manual: pages written by hand (`loadmux/manual/*.md`) and the reference of the language.

`loadmux help PAGE` prints a page; a word that is a topic of the reference too is followed by that.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from loadmux.cli.printing import deliver
from loadmux.language.describing import manual

FOLDER = Path(__file__).parents[1] / "manual"
CASES = "probe-cases"
REFERENCE = "language"
"""The page that is made of the declarations of the language (`make manual` writes it anew)."""


def pages() -> dict[str, str]:
    """The title of each page, by name."""
    found = {}
    for path in sorted(FOLDER.glob("*.md")):
        with path.open(encoding="utf-8") as page:
            found[path.stem] = page.readline().removeprefix("# ").strip()
    return found


def names() -> list[str]:
    """All that `loadmux help` can be asked for."""
    return list(dict.fromkeys([*pages(), *manual.topics()]))


def text(topic: str | None) -> str:
    """What the manual says of a topic, without one what there is. Raises UsageError."""
    titles = pages()
    if topic is None:
        listed = "\n".join(f"- `{name}`: {title}" for name, title in titles.items())
        return f"# loadmux\n\nPages of the manual:\n\n{listed}\n\n{manual.about(None)}"
    found = []
    if topic.lower() in titles:
        found.append((FOLDER / f"{topic.lower()}.md").read_text(encoding="utf-8").strip())
    if not found and (section := section_of(topic.lower())):
        return section
    if not found or (topic.lower() in manual.topics() and topic.lower() != REFERENCE):
        found.append(manual.about(topic, titles))
    return "\n\n".join(found)


def section_of(case: str) -> str:
    """What the manual says of a case of `probe`; empty where that is none."""
    page = (FOLDER / f"{CASES}.md").read_text(encoding="utf-8")
    found = [one for one in page.split("\n## ")[1:] if one.partition("\n")[0] == case]
    return f"# {found[0].strip()}" if found else ""


def explain(topic: str | None) -> None:
    """Print what the manual says, rendered on a terminal. Raises UsageError."""
    told = text(topic)
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.markdown import Markdown

        deliver(partial(Console().print, Markdown(told)))
    else:
        deliver(partial(print, told))


if __name__ == "__main__":
    page = FOLDER / f"{REFERENCE}.md"
    page.write_text(manual.about("all") + "\n", encoding="utf-8")
