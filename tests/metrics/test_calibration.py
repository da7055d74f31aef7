"""The tests of comparisons, asked of tables of which the truth is known; the long form is
`benchmarks/calibration.py`."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from lossprint.metrics import loss_contrast

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
TABLES, DRAWS = 100, 199


@pytest.fixture
def calibration(monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import calibration

    return calibration


QUICK = {
    "losses differ": (
        "alike, 4 × 3, losses noisy to different degrees",
        "alike, 4 × 3, one run all zero, left out",
        "ρ 0.96, 4 × 3",
    ),
    "families differ": (
        "the same, one noisier (0.79, 0.83)",
        "the same, lineages differ by 10 %",
        "by 4 %",
    ),
}


@pytest.mark.parametrize(
    ("question", "truth"), [(question, truth) for question in QUICK for truth in QUICK[question]]
)
def test_claims_come_as_often_as_they_may(calibration, question, truth):
    case = next(c for c in calibration.cases() if (c.question, c.truth) == (question, truth))
    assert case.at_most == 0.08 or case.at_least == 0.8
    assert case.holds(calibration.rate(case, tables=TABLES, draws=DRAWS))


def test_tables_are_of_the_likeness_that_is_asked_for(calibration):
    """√(aᵢ aⱼ) ρ on average, so that what the bounds are asked of is what it says."""
    rng = np.random.default_rng(0)
    reliability = np.array([0.5, 0.7, 0.9])
    world = calibration.World(calibration.odd_one(3, 0.6), seeds=2, reliability=reliability)
    drawn = np.mean([calibration.draw(world, rng).likeness for _ in range(300)], axis=0)
    share = np.sqrt(reliability)[np.repeat(np.arange(3), 2)]
    expected = np.outer(share, share) * np.kron(world.rho, np.ones((2, 2)))
    off = ~np.eye(6, dtype=bool)
    np.testing.assert_allclose(drawn[off], expected[off], atol=0.01)


def test_a_run_without_likeness_is_no_claim(calibration):
    """Not left out, it leaves the question open: the old test said p = 0 here."""
    runs = calibration.draw(
        calibration.World(calibration.alike(4, 0.5), 3), np.random.default_rng(0)
    )
    likeness = runs.likeness.copy()
    likeness[5] = likeness[:, 5] = np.nan
    assert np.isnan(loss_contrast(likeness, runs.loss, runs.seed).p)


def test_a_bound_that_is_not_held_is_seen(calibration):
    alike = calibration.World(calibration.alike(4), 3)
    claims_always = calibration.Case("", "", alike, lambda runs, draws: True, at_most=0.08)
    assert not claims_always.holds(calibration.rate(claims_always, tables=3, draws=9))
    claims_never = calibration.Case("", "", alike, lambda runs, draws: False, at_least=0.8)
    assert not claims_never.holds(calibration.rate(claims_never, tables=3, draws=9))
