from itertools import combinations
from math import factorial

import numpy as np
import pandas as pd
import pytest

from lossprint.metrics import loss_contrast
from lossprint.studies.contrasts import adjusted, contrasts
from lossprint.studies.pairs import matched, replicates
from lossprint.studies.settings import StudySettings

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


def contrasted(table, **lineages):
    """The tables, of one measure: by both names, so that pairs count as maps and embeddings."""
    both = table.rename(columns={"value": "correlation"}).assign(divergence=0.1)
    similar = table.rename(columns={"value": "cka"}).assign(neighbor_overlap=0.5)
    return contrasts(both, similar, lineages, set(), StudySettings(draws=999))


def loss_row(tables, measure="correlation"):
    table = tables["contrasts"]
    return table[(table["measure"] == measure) & (table["contrast"] == "loss")].iloc[0]


def test_the_rows_are_those_of_the_statistics():
    rng = np.random.default_rng(3)
    value = {frozenset(pair): rng.uniform(0.4, 0.9) for pair in combinations(runs(), 2)}
    table = pairs(runs(), lambda x, y: value[frozenset((x, y))])
    likeness = [[value.get(frozenset((x, y)), 1.0) for y in runs()] for x in runs()]
    losses, _, seeds = zip(*runs(), strict=True)
    expected = loss_contrast(likeness, losses, seeds)
    row = loss_row(contrasted(table))
    assert row["statistic"] == pytest.approx(expected.statistic)
    assert row["p"] == pytest.approx(expected.p)
    assert row["rho"] == pytest.approx(np.exp(-expected.statistic))
    assert (row["losses"], row["seeds"], row["tests"]) == (4, 2, 2)
    assert np.isnan(row["rho_untrained"])
    rho = contrasted(table)["corrected_by_loss"].set_index(["loss_a", "loss_b"])
    assert rho.loc[("c", "b"), "correlation"] == pytest.approx(expected.rho[2, 1])


def test_trained_and_untrained_networks_are_a_yardstick_of_rho():
    """Planted: a loss shares 0.9 of a signal with others, and 0.5 with untrained networks."""
    share = dict(zip("abcdu", (0.8, 0.7, 0.9, 0.6, 0.95), strict=True))

    def likeness(x, y):
        (one, _, s), (other, _, t) = x, y
        if s == t:
            return 0.99  # one seed's initial weights and batches: does not count
        signal = 1.0 if one == other else 0.5 if "u" in (one, other) else 0.9
        return signal * (share[one] * share[other]) ** 0.5

    trained = runs("abcd", seeds=(0, 1, 2))
    row = loss_row(contrasted(pairs(trained + runs("u", seeds=(0, 1)), likeness)))
    assert (row["rho"], row["rho_untrained"]) == pytest.approx((0.9, 0.5))
    once = loss_row(contrasted(pairs(trained + runs("u", seeds=(0,)), likeness)))
    assert once["rho"] == pytest.approx(0.9)
    assert np.isnan(once["rho_untrained"])  # its noise is not known


def test_initial_weights_that_seeds_share_are_no_likeness_of_losses():
    # Everything of one seed is alike, whatever the loss: unmatched pairs would call this
    # likeness of different losses.
    row = loss_row(contrasted(pairs(runs(), lambda x, y: 0.9 if x[2] == y[2] else 0.5)))
    assert row["rho"] == pytest.approx(1.0)
    assert row["p"] == 1.0


def test_one_training_of_each_loss_leaves_no_floor():
    row = loss_row(contrasted(pairs(runs(seeds=(0,)), lambda x, y: 0.5)))
    assert np.isnan(row["p"])
    assert np.isnan(row["within"])
    assert row["between"] == 0.5


def test_folds_stand_in_where_there_is_one_seed():
    table = pairs(runs(folds=(0, 1, 2), seeds=(0,)), lambda x, y: 0.9 if x[0] == y[0] else 0.3)
    row = loss_row(contrasted(table))
    assert row["replicates"] == "fold"
    assert row["smallest_p"] == pytest.approx(1 / factorial(4) ** 2)
    assert row["p"] == row["smallest_p"]


def test_one_odd_loss_among_fourteen_alike_is_named_and_the_rest_is_not(monkeypatch):
    losses = "abcdefghijklmno"
    monkeypatch.setattr(f"{__name__}.FAMILY", dict.fromkeys(losses, "ranking"))
    table = pairs(
        runs(losses, seeds=(0, 1, 2)),
        lambda x, y: 0.7 * (0.8 if (x[0] == "f") != (y[0] == "f") else 1.0),
    )
    noise = np.random.default_rng(0).normal(0, 0.01, len(table))
    tables = contrasted(table.assign(value=table["value"] + noise))
    odd = tables["odd_losses"].query("measure == 'correlation'").set_index("loss")
    assert odd.index[odd["p"] <= 0.05].tolist() == ["f"]
    assert odd.loc["f", "rho"] == pytest.approx(0.8, abs=0.02)
    assert loss_row(tables)["p_adjusted"] <= 0.05


def test_close_variants_are_one_unit_where_families_are_contrasted(monkeypatch):
    families = dict(zip("abcdefgh", ["ranking"] * 4 + ["classification"] * 4, strict=True))
    monkeypatch.setattr(f"{__name__}.FAMILY", families)
    noise = iter(np.random.default_rng(1).normal(0, 0.01, 999))
    table = pairs(
        runs("abcdefgh"),
        lambda x, y: (0.8 if FAMILY[x[0]] == FAMILY[y[0]] else 0.6) + next(noise),
    )

    def least(**lineages):
        found = contrasted(table, **lineages)["contrasts"].query("contrast == 'family'").iloc[0]
        assert found["p"] == found["smallest_p"]
        return found["smallest_p"]

    assert least() == pytest.approx(2 / 70)  # 8 choose 4, and families may change names
    assert least(a="one", b="one") == pytest.approx(1 / 35)  # 7 choose 3


def test_constant_and_collapsed_networks_are_named_and_left_out():
    rows = runs(seeds=(0, 1, 2))

    def value(x, y):
        return np.nan if ("b", 0, 1) in (x, y) else 0.9 if x[0] == y[0] else 0.5

    table = pairs(rows, value)
    both = table.rename(columns={"value": "correlation"}).assign(divergence=0.1)
    tables = contrasts(
        both,
        both.iloc[:0].assign(cka=[], neighbor_overlap=[]),
        {},
        {"c-0-2"},
        StudySettings(draws=999),
    )
    gaps = tables["skipped"].set_index("run")["reason"]
    assert gaps["b-0-1"] == "its maps are constant or zero: like no other"
    assert "collapsed" in gaps["c-0-2"]
    row = loss_row(tables)
    assert row["rho"] == pytest.approx(0.5 / 0.9)
    assert row["p"] <= 0.05
    assert row["seeds"] == 2


def test_controls_take_no_part():
    table = pairs([*runs(), ("untrained", -1, 0)], lambda x, y: 0.9 if x[0] == y[0] else 0.5)
    assert loss_row(contrasted(table))["losses"] == 4
    control = table[(table["family_a"] == "control") | (table["family_b"] == "control")]
    assert matched(table)[control.index].all()


def test_replicates_are_seeds_before_folds():
    both = pairs(runs(folds=(0, 1)), lambda x, y: 0.0)
    assert replicates(both) == "seed"
    counted = both[matched(both)]
    assert (counted["fold_a"] == counted["fold_b"]).all()
    assert (counted["seed_a"] != counted["seed_b"]).all()


def test_leading_questions_are_corrected_for_each_other_and_the_rest_among_itself():
    table = pd.DataFrame(
        {
            "measure": ["correlation", "cka", "correlation", "divergence", "neighbor_overlap"],
            "contrast": ["loss", "loss", "family", "loss", "loss"],
            "p": [0.04, 0.01, 0.03, 0.01, np.nan],
        }
    )
    found = adjusted(table)
    np.testing.assert_allclose(found["p_adjusted"], [0.04, 0.02, 0.03, 0.02, np.nan])
    assert found["tests"].tolist() == [2, 2, 2, 2, 2]
