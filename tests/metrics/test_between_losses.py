"""Losses against training noise: stored numbers, a brute force, planted truths and nothings."""

from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest

from lossprint.metrics import loss_contrast, training_corrected, unusable_runs
from tests.metrics.drawn_runs import alike, drawn_likeness, odd_one

GOLDEN = np.load(Path(__file__).parent / "golden" / "comparison.npz", allow_pickle=False)


def brute_rho(likeness, loss, replicate, stratum=None):
    """ρ by loops over pairs of runs."""
    stratum = np.zeros(len(loss)) if stratum is None else np.asarray(stratum)
    names = sorted(set(np.asarray(loss).tolist()))
    mean = {}
    for a, b in product(names, names):
        found = [
            np.log(max(likeness[i, j], 0.01))
            for i, j in product(range(len(loss)), range(len(loss)))
            if (loss[i], loss[j]) == (a, b)
            and replicate[i] != replicate[j]
            and stratum[i] == stratum[j]
        ]
        mean[a, b] = np.mean(found) if found else np.nan
    return np.array(
        [[np.exp(mean[a, b] - (mean[a, a] + mean[b, b]) / 2) for b in names] for a in names]
    )


def statistic_of(rho):
    return -np.nanmean(np.log(rho)[~np.eye(len(rho), dtype=bool)])


def relabelings(loss, blocks):
    """Every way to permute losses within all blocks, whatever renaming would undo."""
    for orders in product(*(permutations(block) for block in blocks)):
        new = np.array(loss)
        for block, order in zip(blocks, orders, strict=True):
            new[block] = np.asarray(loss)[list(order)]
        yield new


def noisy(rng, count):
    matrix = rng.uniform(0.3, 0.9, (count, count))
    return (matrix + matrix.T) / 2


def test_agrees_with_stored_numbers():
    found = loss_contrast(GOLDEN["likeness"], GOLDEN["loss"], GOLDEN["seed"])
    assert found.statistic == pytest.approx(float(GOLDEN["loss_statistic"]), abs=1e-9)
    assert found.p == pytest.approx(float(GOLDEN["loss_p"]), abs=1e-9)
    np.testing.assert_allclose((found.low, found.high), GOLDEN["loss_interval"], atol=1e-9)
    np.testing.assert_allclose(found.rho, GOLDEN["training_corrected"], atol=1e-9)
    corrected = training_corrected(GOLDEN["likeness"], GOLDEN["loss"], GOLDEN["seed"])
    np.testing.assert_array_equal(corrected, found.rho)
    assert found.smallest_p == pytest.approx(1 / 24**2)  # 1 / (L!)^(S − 1)
    low, middle, high = np.exp([-found.high, -found.statistic, -found.low])
    assert (found.mean_rho_low, found.mean_rho, found.mean_rho_high) == (low, middle, high)


@pytest.mark.parametrize(
    ("loss", "replicate", "stratum"),
    [
        ("aabbcc", [0, 1] * 3, None),  # complete
        ("aaabbc", [0, 1, 2, 0, 1, 2], None),  # b and c fall short; c has no replicate
        ("aabbbccb", [0, 1, 0, 1, 2, 1, 2, 0], None),  # b twice under one seed
        ("aabbaabb", [0, 1, 0, 1, 0, 1, 0, 1], [0] * 4 + [1] * 4),  # two folds
    ],
)
def test_agrees_with_brute_force(loss, replicate, stratum):
    likeness = noisy(np.random.default_rng(0), len(loss))
    likeness[0, 1] = likeness[1, 0] = -0.2  # below the floor
    loss, replicate = np.array(list(loss)), np.array(replicate)
    found = loss_contrast(likeness, loss, replicate, stratum=stratum)
    rho = brute_rho(likeness, loss, replicate, stratum)
    np.testing.assert_allclose(found.rho, rho)
    assert found.losses == tuple(sorted(set(loss.tolist())))
    assert found.statistic == pytest.approx(statistic_of(rho))

    folds = np.zeros(len(loss)) if stratum is None else np.asarray(stratum)
    told = np.isin(loss, np.array(found.losses)[~np.isnan(np.diag(rho))])
    where = {*zip(folds[told].tolist(), replicate[told].tolist(), strict=True)}
    blocks = [
        np.flatnonzero(told[told] & (folds[told] == f) & (replicate[told] == r))
        for f, r in sorted(where)
    ]
    inside = np.ix_(told, told)
    every = [
        brute_rho(likeness[inside], labels, replicate[told], folds[told])
        for labels in relabelings(loss[told], blocks)
    ]
    values = np.array([statistic_of(one) for one in every])
    assert found.p == pytest.approx(np.mean(values >= found.statistic - 1e-9))
    assert found.smallest_p == pytest.approx(np.mean(values >= values.max() - 1e-9))

    def medians(one):
        off = np.where(np.eye(len(one), dtype=bool), np.nan, -np.log(one))
        return np.nanmedian(off, axis=1)

    largest = np.array([medians(one).max() for one in every])
    kept = ~np.isnan(np.diag(rho))
    expected = [np.mean(largest >= own - 1e-9) for own in medians(rho[np.ix_(kept, kept)])]
    expected = np.maximum(expected, found.p)
    np.testing.assert_allclose(found.p_of[kept], expected)
    assert np.isnan(found.p_of[~kept]).all()


def test_means_as_they_are_and_of_each_loss():
    found = loss_contrast(GOLDEN["likeness"], GOLDEN["loss"], GOLDEN["seed"])
    i, j = np.triu_indices(12, 1)
    apart = GOLDEN["seed"][i] != GOLDEN["seed"][j]
    same = GOLDEN["loss"][i] == GOLDEN["loss"][j]
    values = GOLDEN["likeness"][i, j]
    assert found.within == pytest.approx(values[apart & same].mean())
    assert found.between == pytest.approx(values[apart & ~same].mean())
    assert found.share == pytest.approx(
        (found.within - found.between) / (1 - found.between), abs=1e-12
    )
    for loss in range(4):
        others = np.delete(GOLDEN["training_corrected"][loss], loss)
        assert found.rho_of[loss] == pytest.approx(np.exp(np.log(others).mean()))


def test_drawn_relabelings_come_near_all_of_them():
    rng = np.random.default_rng(1)
    likeness, loss, seed = drawn_likeness(rng, alike(4, 0.99), 3)
    exact = loss_contrast(likeness, loss, seed)
    drawn = loss_contrast(likeness, loss, seed, draws=500)
    assert drawn.smallest_p == 1 / 501
    assert 0.02 < exact.p < 0.98
    assert drawn.p == pytest.approx(exact.p, abs=5 * np.sqrt(0.25 / 500))
    assert loss_contrast(likeness, loss, seed, draws=500, seed=0).p == drawn.p
    assert drawn.statistic == exact.statistic


@pytest.mark.parametrize(
    ("losses", "seeds", "smallest"), [(2, 6, 1 / 32), (3, 3, 1 / 36), (4, 2, 1 / 24)]
)
def test_the_fewest_seeds_that_can_show_something(losses, seeds, smallest):
    rng = np.random.default_rng(2)
    found = loss_contrast(*drawn_likeness(rng, alike(losses, 0.1), seeds))
    assert found.smallest_p == pytest.approx(smallest)
    assert found.p == pytest.approx(smallest)
    fewer = loss_contrast(*drawn_likeness(rng, alike(losses, 0.1), seeds - 1))
    assert not fewer.smallest_p <= 0.05  # NaN of one seed
    assert np.isnan(fewer.detectable_rho)


def test_noise_of_a_loss_and_of_a_run_cancel():
    rng = np.random.default_rng(3)
    likeness, loss, seed = drawn_likeness(rng, alike(5, 0.9), 3)
    plain = loss_contrast(likeness, loss, seed)
    for effect in (np.array([0.9, 0.5, 0.7, 0.8, 0.6])[loss], rng.uniform(0.5, 1, 15)):
        noisier = loss_contrast(likeness * np.outer(effect, effect), loss, seed)
        assert noisier.statistic == pytest.approx(plain.statistic)
        np.testing.assert_allclose(noisier.rho, plain.rho)


def test_a_shared_seed_does_not_count():
    rng = np.random.default_rng(4)
    likeness, loss, seed = drawn_likeness(rng, alike(4, 0.95), 3)
    shared = np.where(seed[:, None] == seed, 0.99, likeness)
    for found in (loss_contrast(shared, loss, seed), training_corrected(shared, loss, seed)):
        expected = loss_contrast(likeness, loss, seed)
        if isinstance(found, np.ndarray):
            np.testing.assert_array_equal(found, expected.rho)
        else:
            assert (found.statistic, found.p) == (expected.statistic, expected.p)


@pytest.mark.parametrize(("losses", "seeds"), [(15, 3), (6, 3), (5, 4)])
@pytest.mark.parametrize("rho", [0.9, 0.5])
def test_one_odd_loss_is_named_and_the_rest_is_not(losses, seeds, rho):
    rng = np.random.default_rng(5)
    runs = drawn_likeness(rng, odd_one(losses, rho), seeds, width=4000)
    found = loss_contrast(*runs, draws=1999)
    assert found.p <= 0.05
    assert found.p_of[0] <= 0.05
    assert found.p_of[1:].min() > 0.05
    assert found.rho_of.argmin() == 0
    assert found.rho_of[0] == pytest.approx(rho, abs=0.04)


def test_nothing_is_made_of_what_is_not_finite():
    rng = np.random.default_rng(6)
    likeness, loss, seed = drawn_likeness(rng, alike(4, 0.5), 3)
    for bad in (np.nan, np.inf, -np.inf):
        broken = likeness.copy()
        broken[3, :] = broken[:, 3] = bad
        found = loss_contrast(broken, loss, seed)
        assert np.isnan([found.p, found.statistic, found.low, found.share]).all()
        assert np.isnan(found.p_of).all()
        assert np.isnan(found.rho[1]).all()  # run 3 is of loss 1
        assert np.isfinite(np.delete(np.delete(found.rho, 1, 0), 1, 1)).all()
        assert unusable_runs(broken) == [3]
        kept = np.arange(12) != 3
        rest = loss_contrast(likeness[np.ix_(kept, kept)], loss[kept], seed[kept])
        assert rest.p <= 0.05


def test_the_run_that_spoils_most_is_left_out_first():
    likeness = np.ones((5, 5))
    likeness[1, [2, 3, 4]] = np.nan
    likeness[0, 4] = np.nan
    likeness[2, 2] = np.nan  # of a run with itself: not looked at
    assert unusable_runs(likeness) in ([0, 1], [1, 4])
    assert unusable_runs(np.ones((3, 3))) == []


@pytest.mark.parametrize("losses", [1, 3])
def test_one_training_of_each_or_one_loss_cannot_be_told(losses):
    found = loss_contrast(alike(losses, 0.7), range(losses), [0] * losses)
    assert np.isnan([found.p, found.statistic, found.detectable_rho, found.smallest_p]).all()
    assert np.isnan(found.rho).all()
    assert found.losses == tuple(range(losses))
    trained_thrice = loss_contrast(alike(3, 0.7), ["a"] * 3, [0, 1, 2])
    assert np.isnan(trained_thrice.p)
    assert trained_thrice.rho.tolist() == [[1.0]]


def test_an_interval_needs_three_replicates():
    rng = np.random.default_rng(7)
    likeness, loss, seed = drawn_likeness(rng, alike(4, 0.9), 3)
    found = loss_contrast(likeness, loss, seed)
    assert found.low < found.statistic < found.high
    assert found.share_low < found.share < found.share_high
    kept = np.arange(12) != 5
    fewer = loss_contrast(likeness[np.ix_(kept, kept)], loss[kept], seed[kept])
    assert np.isnan([fewer.low, fewer.high, fewer.share_low, fewer.share_high]).all()
    assert np.isfinite(fewer.p)


def test_the_share_has_a_jackknife_interval():
    """Leaving out each run, by hand, on likeness as it is."""
    found = loss_contrast(GOLDEN["likeness"], GOLDEN["loss"], GOLDEN["seed"])
    variance = 0.0
    for loss in range(4):
        left = []
        for run in np.flatnonzero(GOLDEN["loss"] == loss):
            kept = np.arange(12) != run
            inside = GOLDEN["likeness"][np.ix_(kept, kept)]
            one = loss_contrast(inside, GOLDEN["loss"][kept], GOLDEN["seed"][kept])
            left.append(np.log(1 - one.share))
        variance += 2 / 3 * ((np.array(left) - np.mean(left)) ** 2).sum()
    reach = 2.306004135204166 * np.sqrt(variance)  # Student's t, 8 degrees of freedom
    rest = 1 - found.share  # of the disagreement: what is there between seeds too, never below 0
    assert (found.share_low, found.share_high) == pytest.approx(
        (1 - rest * np.exp(reach), 1 - rest * np.exp(-reach))
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.ones((3, 2)), [0, 1, 2], [0, 1, 2]), r"likeness has shape \[3, 2\]"),
        ((np.ones((3, 3)), [0, 1], [0, 1, 2]), r"losses of shape \[2\]"),
        ((np.ones((2, 2)), [0, 1], [0, 1, 2]), r"replicate has shape \[3\].* 2 runs"),
        ((np.array([[1, 0.5], [0.6, 1]]), [0, 1], [0, 1]), "not symmetric"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        loss_contrast(*arguments)
    with pytest.raises(ValueError, match=r"stratum has shape"):
        loss_contrast(np.ones((2, 2)), [0, 1], [0, 1], stratum=[0])
