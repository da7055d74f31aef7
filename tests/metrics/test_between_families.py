"""Families of losses: stored numbers, a brute force, and what additive effects must not do."""

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from lossprint.metrics import family_contrast
from tests.metrics.drawn_runs import alike, drawn_likeness

GOLDEN = np.load(Path(__file__).parent / "golden" / "comparison.npz", allow_pickle=False)


def golden(**changed):
    arguments = {
        "family": dict(enumerate(GOLDEN["family.family"].tolist())),
        "lineage": dict(enumerate(GOLDEN["family.lineage"].tolist())),
    }
    runs = (GOLDEN["family.likeness"], GOLDEN["family.loss"], GOLDEN["family.seed"])
    return family_contrast(*runs, **(arguments | changed))


def two_families(rng, share, seeds=2, reliability=0.69):
    """Four ranking and four classification losses, each of its own lineage."""
    family = np.array([0] * 4 + [1] * 4)
    rho = alike(8, 0.96) - share * (family[:, None] != family)
    return drawn_likeness(rng, rho, seeds, reliability=reliability), dict(enumerate(family))


def test_agrees_with_stored_numbers():
    found = golden()
    assert found.statistic == pytest.approx(float(GOLDEN["family_statistic"]), abs=1e-9)
    assert found.p == pytest.approx(float(GOLDEN["family_p"]), abs=1e-9)
    assert found.lineages == 8
    assert found.smallest_p == pytest.approx(1 / 56)  # 3 of 8 lineages


def brute_force(likeness, loss, seed, family, lineage):
    """Effects by solving their normal equations, all orders of families among lineages."""
    count = len(family)
    mean = np.full((count, count), np.nan)
    for a in range(count):
        for b in range(count):
            chosen = (loss[:, None] == a) & (loss == b) & (seed[:, None] != seed)
            mean[a, b] = np.log(np.clip(likeness[chosen], 0.01, None)).mean()
    off = ~np.eye(count, dtype=bool)
    # Least squares off the diagonal: (L − 2) e_a + Σ e = Σ_b mean[a, b]
    rows = np.where(off, mean, 0).sum(1)
    effects = np.linalg.solve((count - 2) * np.eye(count) + np.ones((count, count)), rows)
    residual = mean - effects[:, None] - effects

    def statistic(labels):
        labels = np.asarray(labels)
        same = labels[:, None] == labels
        within = [
            residual[off & same & (labels[:, None] == f)].mean()
            for f in set(labels.tolist())
            if (labels == f).sum() > 1
        ]
        return np.mean(within) - residual[off & ~same].mean()

    units = sorted(set(lineage))
    of_unit = [family[lineage.index(unit)] for unit in units]
    observed = statistic(family)
    every = [
        statistic([order[units.index(unit)] for unit in lineage]) for order in permutations(of_unit)
    ]
    return observed, np.mean(np.array(every) >= observed - 1e-9)


@pytest.mark.parametrize(
    ("family", "lineage"),
    [("rrrccc", "abcdef"), ("rrrccc", "aabccd"), ("rrccpp", "abcdef"), ("rrrrrc", "aabcde")],
)
def test_agrees_with_brute_force(family, lineage):
    rng = np.random.default_rng(0)
    likeness, loss, seed = drawn_likeness(rng, alike(6, 0.8), 2)
    statistic, p = brute_force(likeness, loss, seed, list(family), list(lineage))
    of_family, of_lineage = dict(enumerate(family)), dict(enumerate(lineage))
    found = family_contrast(likeness, loss, seed, family=of_family, lineage=of_lineage)
    assert found.statistic == pytest.approx(statistic)
    assert found.p == pytest.approx(p)
    assert found.smallest_p <= found.p


def test_a_loss_without_a_lineage_is_its_own():
    named = golden(lineage=dict(enumerate("abcdefghij")))
    assert golden(lineage={}) == named
    assert named.lineages == 10
    partly = dict(list(enumerate(GOLDEN["family.lineage"].tolist()))[:2])
    assert golden(lineage=partly).lineages == 9


def test_names_and_order_do_not_matter():
    names = {n: f"loss {9 - n}" for n in range(10)}
    renamed = family_contrast(
        GOLDEN["family.likeness"],
        [names[n] for n in GOLDEN["family.loss"].tolist()],
        GOLDEN["family.seed"],
        family={names[n]: "rc"[f] for n, f in enumerate(GOLDEN["family.family"])},
        lineage={names[n]: int(u) for n, u in enumerate(GOLDEN["family.lineage"])},
    )
    assert renamed.statistic == pytest.approx(golden().statistic)
    assert renamed.p == golden().p


def test_drawn_relabelings_come_near_all_of_them():
    exact = golden(lineage={})
    drawn = golden(lineage={}, draws=150)
    assert exact.smallest_p == pytest.approx(1 / 210)
    assert drawn.smallest_p == 1 / 151
    assert drawn.p == pytest.approx(exact.p, abs=0.08)


def test_a_noisier_family_is_no_family_apart():
    rng = np.random.default_rng(1)
    (likeness, loss, seed), family = two_families(rng, 0.0)
    plain = family_contrast(likeness, loss, seed, family=family, lineage={})
    effect = np.array([0.95] * 4 + [0.6] * 4)[loss]
    noisier = likeness * np.outer(effect, effect)
    found = family_contrast(noisier, loss, seed, family=family, lineage={})
    assert found.statistic == pytest.approx(plain.statistic)
    assert found.p == plain.p


def test_families_that_differ_are_found():
    rng = np.random.default_rng(2)
    runs, family = two_families(rng, 0.08)
    found = family_contrast(*runs, family=family, lineage={})
    assert found.p == pytest.approx(2 / 70)  # families of one size may change names
    assert found.smallest_p == pytest.approx(2 / 70)
    variants = family_contrast(*runs, family=family, lineage=dict.fromkeys(range(4), "same"))
    assert variants.p > 0.05  # four variants of one loss are no evidence on a family


def test_what_cannot_be_told():
    rng = np.random.default_rng(3)
    (likeness, loss, seed), family = two_families(rng, 0.08)
    one = family_contrast(likeness, loss, seed, family=dict.fromkeys(range(8), "r"), lineage={})
    apart = {n: f"family {n}" for n in range(8)}
    alone = family_contrast(likeness, loss, seed, family=apart, lineage={})
    three = loss < 3
    few = family_contrast(
        likeness[np.ix_(three, three)],
        loss[three],
        seed[three],
        family=dict(enumerate("rrc")),
        lineage={},
    )
    single = family_contrast(likeness, loss, np.zeros(16), family=family, lineage={})
    broken = likeness.copy()
    broken[0, 5] = broken[5, 0] = np.nan
    spoilt = family_contrast(broken, loss, seed, family=family, lineage={})
    for found in (one, alone, few, single, spoilt):
        assert np.isnan([found.p, found.statistic]).all()


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"no family is named for \[1, 2\]"):
        family_contrast(alike(3), [0, 1, 2], [0, 1, 2], family={0: "r"}, lineage={})
    with pytest.raises(ValueError, match=r"lineage 'x' is in two families: .*0: 'r', 1: 'c'"):
        family_contrast(
            alike(2), [0, 1], [0, 1], family={0: "r", 1: "c"}, lineage=dict.fromkeys((0, 1), "x")
        )
