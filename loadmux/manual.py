"""The reference of the scenario language (`language.md`) by topic: what `loadmux help` prints.

A topic is a heading, or one of the words in it (`receive_buffer` of `receive_buffer, send_buffer`);
a topic of the second level comes with all that is below it.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path

from loadmux.errors import UsageError

PATH = Path(__file__).with_name("language.md")
_HEADING = re.compile(r"^(##+) (.+)$", re.MULTILINE)


def topics(text: str) -> dict[str, list[str]]:
    """The sections of each topic, in the order of the text; topics in lower case."""
    found: dict[str, list[str]] = {}
    headings = list(_HEADING.finditer(text))
    for index, heading in enumerate(headings):
        later = (other for other in headings[index + 1 :] if len(other[1]) <= len(heading[1]))
        following = next(later, None)
        section = text[heading.start() : following.start() if following else None].strip()
        for topic in heading[2].removesuffix(", as a reply").split(", "):
            found.setdefault(topic.lower(), []).append(section)
    return found


def about(topic: str | None) -> str:
    """What the reference says of a topic, without one which topics there are. Raises UsageError."""
    text = PATH.read_text(encoding="utf-8")
    found = topics(text)
    if topic is None:
        introduction = text[: text.index("\n## ")].strip()
        listed = "".join(
            f"\n  {line}" if heading == "##" else f"\n      {line}"
            for heading, line in _HEADING.findall(text)
        )
        return f"{introduction}\n\nTopics:\n{listed}"
    if topic.lower() not in found:
        near = difflib.get_close_matches(topic.lower()[:100], found, 1)
        hint = f"did you mean {near[0]!r}?" if near else "`loadmux help` lists them"
        raise UsageError(f"help: no such topic {topic[:60]!r}; {hint}")
    return "\n\n".join(found[topic.lower()])
