"""What is claimed of IO models, judged by figures whose truth is known."""

from __future__ import annotations

import random
from collections.abc import Mapping

import needs
import pytest
from contests import figures

from loadmux.comparing import claims, results
from loadmux.comparing.claims import CLAIMS, Claim, Figure, judged
from loadmux.comparing.contest import Contest, Out
from loadmux.comparing.contest_text import lines
from loadmux.comparing.entrants import entrants

MODELS = sorted({one.model for claim in CLAIMS for one in (claim.ours, claim.other)})


@pytest.fixture(autouse=True)
def statistics() -> None:
    needs.package("scipy")


def measured(truth: Mapping[Figure, float], rounds: int = 10, noise: float = 0.02) -> Contest:
    """A contest in which these figures are so; all others are alike."""
    rng, points = random.Random(5), claims.points()
    skipped = claims.skipped(MODELS)
    found = Contest(entrants(MODELS, MODELS), points, "users", "echo", 1.0, skipped=skipped)
    for entrant, model in enumerate(MODELS):
        for place, point in enumerate(points):
            if (entrant, place) in skipped:
                continue
            rate = truth.get(Figure(model, point, "rate"), 10_000.0)
            cpu = truth.get(Figure(model, point, "cpu"), 50e-6)
            found.taken[entrant, place] = {
                number: figures(rate * rng.gauss(1, noise), cpu * rng.gauss(1, noise))
                for number in range(rounds)
            }
    found.rounds = rounds
    return found


def so(claim: Claim, factor: float) -> Mapping[Figure, float]:
    """A truth in which one figure of a claim is so many times the other."""
    usual = 50e-6 if claim.ours.metric == "cpu" else 10_000.0
    return {claim.ours: usual * factor, claim.other: usual}


def verdict(claim: Claim, contest: Contest) -> str:
    (found,) = (one.verdict for one in judged(contest) if one.claim is claim)
    return found


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.text)
def test_each_claim_is_shown_refuted_or_undecided(
    claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each alone: all of them are judged for what is told of a contest, below."""
    monkeypatch.setattr(claims, "CLAIMS", (claim,))
    more, less = so(claim, claim.bound * 1.2), so(claim, claim.bound / 1.2)
    good, bad = (more, less) if claim.more else (less, more)
    assert verdict(claim, measured(good)) == "shown"
    assert verdict(claim, measured(bad)) == "refuted"
    assert verdict(claim, measured(so(claim, claim.bound), noise=0.2)) == "undecided"
    assert verdict(claim, measured(good, rounds=4)) == "undecided"


def test_a_model_that_cannot_run_here() -> None:
    found = measured({})
    cell = MODELS.index("io_uring"), claims.points().index(claims.BUSY)
    del found.taken[cell]
    found.out[cell] = Out("target io_uring cannot run here: forbidden")
    (told,) = (one for one in judged(found) if one.claim.ours.model == "io_uring")
    assert (told.verdict, told.told) == ("not here", "target io_uring cannot run here: forbidden")


def test_only_what_is_undecided_goes_on_and_its_two_figures_stand_beside_each_other() -> None:
    claim = CLAIMS[0]
    found = measured(so(claim, claim.bound), noise=0.2)
    assert not claims.decided(found)
    cells = {
        (MODELS.index(one.model), claims.points().index(one.point))
        for one in (claim.ours, claim.other)
    }
    assert claim.text not in found.resting
    blocks = [set(block) for block in claims.plan(found)]
    assert cells in blocks
    assert len(blocks) == len(CLAIMS) - len(found.resting)
    assert all(len(block) == 2 for block in blocks)
    found.rounds = 0
    assert len(claims.plan(found)[0]) == len(MODELS)


def test_what_needs_more_cores_than_there_are_is_not_here() -> None:
    (claim,) = (one for one in CLAIMS if one.cores > 1)
    found = measured(so(claim, 2.0))
    assert verdict(claim, found) == "shown"
    found.machine = {"cores": "2"}
    assert verdict(claim, found) == "not here"


def test_what_is_as_good_as_equal_is_not_faster() -> None:
    (claim,) = (one for one in CLAIMS if one.text.startswith("io_uring"))
    assert verdict(claim, measured(so(claim, 1.0), rounds=20, noise=0.01)) == "refuted"


def test_the_limit_of_select_is_counted() -> None:
    found = measured({})
    assert claims.limit(found) is None
    for kept, verdict_of_limit in (
        ({"select": 1013, "poll": 1100}, "shown"),
        ({"select": 1100, "poll": 1100}, "refuted"),
        ({"select": 1013, "poll": 1050}, "undecided"),
    ):
        found.kept = kept
        told = claims.limit(found)
        assert told is not None
        assert told[0] == verdict_of_limit


def test_claims_are_told_and_written() -> None:
    found = measured(so(CLAIMS[0], 3.0))
    text = "\n".join(lines(found))
    assert f"SHOWN       {CLAIMS[0].text}" in text
    assert "claimed: more than 1.5 times" in text
    written = results.of_contest(found)["claims"]
    assert written[0]["verdict"] == "shown"
    assert len(written) == len(CLAIMS)
