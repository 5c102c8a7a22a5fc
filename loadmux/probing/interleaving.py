"""What clients do at random, drawn from a seed: cuts, pauses, pipelining, half-closes, aborts."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from loadmux.language.meaning.expected import ByRule, Closed
from loadmux.language.meaning.stepvalues import Step
from loadmux.plugins.payloads import Data
from loadmux.probing.known import Known

DEEDS = 6
LONGEST = 0.05
MOST_PIECES = 3


def drawn(known: Known, random: Random, clients: int) -> list[Step]:
    """So many clients at once, each on a socket of its own."""
    if clients == 1:
        return client(known, random, 0)
    return [known.at_once(*(client(known, random, place) for place in range(clients)))]


def client(known: Known, random: Random, place: int) -> list[Step]:
    """What one client does until it leaves."""
    steps: list[Step] = []
    for _ in range(1 if not known.lasts else random.randint(1, DEEDS)):
        steps += deed(known, random, place)
    return [*steps, *(end(known, random, place) if known.lasts else [])]


def deed(known: Known, random: Random, place: int) -> Sequence[Step]:
    """A request, whole or in pieces, or two of them; perhaps a pause before."""
    pause: list[Step] = []
    if random.random() < 0.3:
        pause = [known.wait(round(random.uniform(0.001, LONGEST), 3))]
    if known.pipelining and known.lasts and random.random() < 0.3:
        cut = pieces(known, random, 2) if stands(known, "split") else ()
        sent = known.send(place, known.several(2), pieces=cut, gap=gap(random) if cut else 0.0)
        count = 1 if isinstance(known.reply, ByRule) else 2
        return [*pause, sent, *(known.expect(place) for _ in range(count))]
    cut = pieces(known, random, 1) if random.random() < 0.7 and stands(known, "split") else ()
    return [*pause, known.exchange(place, pieces=cut, gap=gap(random) if cut else 0.0)]


def stands(known: Known, case: str) -> bool:
    """Whether the server has not failed in such a case: what is known already is not drawn."""
    return not any(one.startswith(case) for one in known.failing)


def pieces(known: Known, random: Random, requests: int) -> tuple[int, ...]:
    """Where so many requests in one are cut."""
    size = requests * len(known.sent)
    cuts = sorted(random.sample(range(1, size), min(size - 1, random.randint(1, MOST_PIECES))))
    return tuple(b - a for a, b in zip([0, *cuts], [*cuts, size], strict=True))


def gap(random: Random) -> float:
    """Seconds between two pieces."""
    return round(random.uniform(0.001, LONGEST), 3)


def end(known: Known, random: Random, place: int) -> Sequence[Step]:
    """How a client leaves: in order, half-way through a request, or by its half-close."""
    ways = ["close"]
    if stands(known, "abort"):
        ways += ["reset", "abort"]
    if stands(known, "half-close") and not known.tls:
        ways.append("half_close")
    way = random.choice(ways)
    if way == "half_close":
        return [known.act("half_close", place), known.expect(place, Closed(), "the end")]
    if way == "abort" and len(known.sent) > 1:
        size = random.randint(1, len(known.sent) - 1)
        first = known.send(place, Data(known.sent[:size]), name=f"first {size} bytes")
        return [first, known.act("reset", place)]
    return [known.act("reset" if way == "reset" else "close", place)]
