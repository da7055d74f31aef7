from itertools import combinations, permutations
from math import factorial

import numpy as np
import pandas as pd
import pytest

from lossprint.studies.contrasts import adjusted
from lossprint.studies.pairs import matched, replicates
from lossprint.studies.within_between import family_contrast, loss_contrast

FAMILY = {"a": "ranking", "b": "ranking", "c": "classification", "d": "classification"}


def runs(losses="abcd", folds=(0,), seeds=(0, 1)):
    return [(loss, fold, seed) for loss in losses for fold in folds for seed in seeds]


def pairs(trained, value):
    """`value(x, y)` for each pair of runs (loss, fold, seed)."""
    rows = []
    for x, y in combinations(trained, 2):
        row = {"value": value(x, y)}
        for side, (loss, fold, seed) in (("a", x), ("b", y)):
            row |= {
                f"run_{side}": f"{loss}-{fold}-{seed}",
                f"loss_{side}": loss,
                f"family_{side}": FAMILY.get(loss, "control"),
                f"fold_{side}": fold,
                f"seed_{side}": seed,
            }
        rows.append(row)
    return pd.DataFrame(rows)


def test_losses_that_differ_reach_the_least_p_that_four_losses_and_two_seeds_allow():
    table = pairs(runs(), lambda x, y: 0.9 if x[0] == y[0] else 0.5)
    row = loss_contrast(table, "value")
    assert (row["within"], row["between"]) == pytest.approx((0.9, 0.5))
    assert row["difference"] == pytest.approx(0.4)
    assert row["p"] == pytest.approx(1 / factorial(4)) == row["smallest_p"]
    # within: one pair of seeds a loss; between: seed 0 of one loss with seed 1 of another.
    assert (row["within_pairs"], row["between_pairs"]) == (4, 12)
    assert (row["low"], row["high"]) == pytest.approx((0.4, 0.4))


def test_p_is_the_share_of_all_relabelings_written_out():
    rng = np.random.default_rng(3)
    value = {frozenset(pair): rng.random() for pair in combinations(runs(), 2)}
    row = loss_contrast(pairs(runs(), lambda x, y: value[frozenset((x, y))]), "value")

    def difference(partner):
        across = {(x, y): value[frozenset(((x, 0, 0), (y, 0, 1)))] for x in "abcd" for y in "abcd"}
        within = [across[loss, partner[loss]] for loss in "abcd"]
        between = [v for (x, y), v in across.items() if y != partner[x]]
        return np.mean(within) - np.mean(between)

    every = [difference(dict(zip("abcd", order, strict=True))) for order in permutations("abcd")]
    observed = difference(dict(zip("abcd", "abcd", strict=True)))
    assert row["difference"] == pytest.approx(observed)
    assert row["p"] == pytest.approx(np.mean(np.array(every) >= observed - 1e-12))


def test_a_distance_counts_the_other_way():
    table = pairs(runs(), lambda x, y: 0.1 if x[0] == y[0] else 0.3)
    row = loss_contrast(table, "value", alike=-1)
    assert row["difference"] == pytest.approx(0.2)
    assert row["p"] == row["smallest_p"]


def test_initial_weights_that_seeds_share_are_no_likeness_of_losses():
    # Everything of one seed is alike, whatever the loss: unmatched pairs would call this
    # likeness of different losses.
    table = pairs(runs(), lambda x, y: 0.9 if x[2] == y[2] else 0.5)
    row = loss_contrast(table, "value")
    assert row["difference"] == pytest.approx(0.0)
    assert row["p"] == 1.0


def test_noise_alone_is_found_as_often_as_alpha_says():
    rng = np.random.default_rng(0)
    p = []
    for _ in range(200):
        position = {run: rng.normal(size=3) for run in runs()}
        table = pairs(runs(), lambda x, y, p=position: -np.linalg.norm(p[x] - p[y]))
        p.append(loss_contrast(table, "value", draws=99)["p"])
    # Without ties p is uniform on 1/24, 2/24, … 1: it neither accuses too often nor never.
    steps = np.round(np.array(p) * 24)
    np.testing.assert_allclose(steps / 24, p)
    for level in (1, 6, 12, 18):
        expected, deviation = 200 * level / 24, np.sqrt(200 * level / 24 * (1 - level / 24))
        assert abs((steps <= level).sum() - expected) <= 3 * deviation, level


def test_one_training_of_each_loss_leaves_no_floor():
    table = pairs(runs(seeds=(0,)), lambda x, y: 0.5)
    row = loss_contrast(table, "value")
    assert row["within_pairs"] == 0
    assert np.isnan(row["p"])
    assert np.isnan(row["smallest_p"])
    assert row["between"] == 0.5


def test_folds_stand_in_where_there_is_one_seed():
    table = pairs(runs(folds=(0, 1, 2), seeds=(0,)), lambda x, y: float(x[0] == y[0]))
    row = loss_contrast(table, "value")
    assert row["replicates"] == "fold"
    assert row["smallest_p"] == pytest.approx(1 / factorial(4) ** 2)
    assert row["p"] == row["smallest_p"]


def test_families_of_two_and_two_cannot_reach_a_small_p():
    table = pairs(runs(), lambda x, y: 0.9 if FAMILY[x[0]] == FAMILY[y[0]] else 0.2)
    row = family_contrast(table, "value")
    assert (row["within"], row["between"]) == pytest.approx((0.9, 0.2))
    assert (row["within_pairs"], row["between_pairs"]) == (2, 4)
    # {ab|cd}, {ac|bd}, {ad|bc}
    assert row["p"] == row["smallest_p"] == pytest.approx(1 / 3)


def test_families_are_contrasted_over_matched_pairs_too():
    # Within families, runs of one seed are alike; across seeds nothing is.
    table = pairs(
        runs(), lambda x, y: 0.9 if x[2] == y[2] and FAMILY[x[0]] == FAMILY[y[0]] else 0.4
    )
    row = family_contrast(table, "value")
    assert (row["within"], row["between"]) == pytest.approx((0.4, 0.4))


def test_families_of_unequal_size(monkeypatch):
    families = dict(zip("abcdefgh", ["ranking"] * 5 + ["classification"] * 3, strict=True))
    monkeypatch.setattr(f"{__name__}.FAMILY", families)
    table = pairs(runs("abcdefgh"), lambda x, y: 0.9 if families[x[0]] == families[y[0]] else 0.2)
    row = family_contrast(table, "value")
    assert row["p"] == row["smallest_p"] == pytest.approx(1 / 56)  # 8 choose 3
    assert row["low"] == pytest.approx(0.7)


def test_one_family_has_no_contrast():
    row = family_contrast(pairs(runs("ab"), lambda x, y: 0.5), "value")
    assert row["between_pairs"] == 0
    assert np.isnan(row["p"])


def test_controls_take_no_part():
    table = pairs([*runs(), ("untrained", -1, 0)], lambda x, y: 0.9 if x[0] == y[0] else 0.5)
    assert loss_contrast(table, "value")["losses"] == 4
    control = table[(table["family_a"] == "control") | (table["family_b"] == "control")]
    assert matched(table)[control.index].all()


def test_replicates_are_seeds_before_folds():
    both = pairs(runs(folds=(0, 1)), lambda x, y: 0.0)
    assert replicates(both) == "seed"
    counted = both[matched(both)]
    assert (counted["fold_a"] == counted["fold_b"]).all()
    assert (counted["seed_a"] != counted["seed_b"]).all()


def test_secondary_measures_are_corrected_and_leading_questions_are_not():
    table = pd.DataFrame(
        {
            "measure": ["correlation", "divergence", "neighbor_overlap", "retrieval", "cka"],
            "p": [0.04, 0.01, 0.03, np.nan, 0.05],
        }
    )
    found = adjusted(table)
    # Two secondary measures have a p: 0.01 · 2, then max(0.02, 0.03 · 1).
    np.testing.assert_allclose(found["p_adjusted"], [0.04, 0.02, 0.03, np.nan, 0.05])
    assert found["tests"].tolist() == [1, 2, 2, 1, 1]
