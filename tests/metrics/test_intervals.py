"""Intervals over images and runs against Student, the bootstrap, and known truths."""

import numpy as np
import pytest
from scipy import stats

from lossprint.metrics import (
    image_groups,
    jackknife_values,
    mean_over_images,
    mean_over_runs_and_images,
    normalized_r_precision,
    normalized_r_precision_maximum,
)


def student(values):
    return stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))


def test_images_of_their_own_are_student():
    values = np.random.default_rng(0).normal(size=9)
    found = mean_over_images(values)
    assert found.mean == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx(student(values))
    with_missing = mean_over_images([*values, np.nan])
    assert with_missing == pytest.approx(found)


def test_equal_clusters_are_student_of_their_means():
    rng = np.random.default_rng(1)
    values, designs = rng.normal(size=(8, 5)), np.repeat(list("abcdefgh"), 5)
    found = mean_over_images(values.ravel(), designs)
    assert (found.low, found.high) == pytest.approx(student(values.mean(1)))
    order = rng.permutation(40)
    assert mean_over_images(values.ravel()[order], designs[order]) == pytest.approx(found)


def test_unequal_clusters_agree_with_the_bootstrap():
    rng = np.random.default_rng(2)
    clusters = np.repeat(np.arange(150), rng.integers(1, 9, 150))
    values = rng.normal(size=150)[clusters] + rng.normal(size=len(clusters))
    found = mean_over_images(values, clusters)
    counts = rng.multinomial(150, np.full(150, 1 / 150), 4000)[:, clusters]
    low, high = np.quantile(counts @ values / counts.sum(1), [0.025, 0.975])
    width = high - low
    assert found.low == pytest.approx(low, abs=0.08 * width)
    assert found.high == pytest.approx(high, abs=0.08 * width)
    alone = mean_over_images(values)
    assert alone.high - alone.low < 0.75 * width  # as if images were independent


def test_groups_keep_clusters_together_and_are_not_many():
    clusters = np.random.default_rng(3).integers(0, 50, 400)
    groups = image_groups(400, clusters, at_most=7)
    assert set(groups) == set(range(7))
    together = {(cluster, group) for cluster, group in zip(clusters, groups, strict=True)}
    assert len(together) == 50
    np.testing.assert_array_equal(groups, image_groups(400, clusters, at_most=7))
    assert set(np.bincount(image_groups(400))) == {20}
    assert image_groups(3, ["a"] * 3).tolist() == [-1] * 3  # without it there is nothing


def test_of_a_mean_the_jackknife_is_student():
    values = np.random.default_rng(6).normal(size=9)
    left_out = [np.delete(values, i).mean() for i in range(9)]
    np.testing.assert_allclose(jackknife_values(values.mean(), left_out), values)


def test_of_a_ratio_the_jackknife_agrees_with_the_delta_method():
    rng = np.random.default_rng(7)
    top, bottom = rng.normal(2, 0.3, 400), rng.normal(5, 0.3, 400)
    ratio = top.mean() / bottom.mean()
    left_out = [np.delete(top, i).mean() / np.delete(bottom, i).mean() for i in range(400)]
    found = mean_over_images(jackknife_values(ratio, left_out))
    assert found.mean == pytest.approx(ratio)
    slope = (top - ratio * bottom) / bottom.mean()
    assert found.high - found.mean == pytest.approx(1.96 * slope.std() / 20, rel=0.01)


@pytest.mark.parametrize("known", [0.0, 1.0], ids=["planted nothing", "planted truth"])
def test_of_nr_precision_the_jackknife_holds_the_truth(known):
    """Queries are neighbours of each other, so their z are no independent sample."""

    def draw(rng):
        labels = rng.integers(0, 3, 45)
        embeddings = known * np.eye(3)[labels] + 0.7 * rng.normal(size=(45, 3))
        return labels, embeddings

    def share(labels, embeddings):
        largest = normalized_r_precision_maximum({"p": labels}, variance="hypergeometric")["p"]
        return normalized_r_precision(embeddings, labels, variance="hypergeometric") / largest

    rng = np.random.default_rng(8)
    truth = np.mean([share(*draw(rng)) for _ in range(80)])
    assert (truth > 0.2) if known else (abs(truth) < 0.02)
    held = 0
    for _ in range(20):
        labels, embeddings = draw(rng)
        groups = image_groups(45, at_most=8)
        kept = [groups != group for group in range(8)]
        left_out = [share(labels[images], embeddings[images]) for images in kept]
        found = mean_over_images(jackknife_values(share(labels, embeddings), left_out))
        held += found.low <= truth <= found.high
    assert held >= 18


@pytest.mark.parametrize(
    ("run_noise", "image_noise"), [(0.0, 1.0), (1.0, 0.0), (0.5, 0.5), (0.0, 0.0)]
)
def test_holds_the_truth_whichever_sample_varies(run_noise, image_noise):
    rng = np.random.default_rng(4)
    held, narrow = 0, 0
    for _ in range(200):
        designs = np.repeat(np.arange(12), 3)
        values = (
            run_noise * rng.normal(size=(4, 1))
            + image_noise * rng.normal(size=12)[designs]
            + 0.3 * rng.normal(size=(4, 36))
        )
        found = mean_over_runs_and_images(values, designs)
        held += found.low <= 0 <= found.high
        images_alone = mean_over_images(values.mean(0), designs)
        narrow += images_alone.low <= 0 <= images_alone.high
    assert held >= 0.93 * 200
    if run_noise:
        assert narrow < held


def test_the_variances_add():
    """By hand: run means 1, 2, 6 and image means 2, 4 (two images, each its own)."""
    values = np.array([[0.0, 2.0], [1.0, 3.0], [5.0, 7.0]])
    found = mean_over_runs_and_images(values)
    of_runs, of_images = 7 / 3, 1.0
    variance = of_runs + of_images
    degrees = variance**2 / (of_runs**2 / 2 + of_images**2 / 1)
    reach = stats.t.ppf(0.975, degrees) * np.sqrt(variance)
    assert found == pytest.approx((3, 3 - reach, 3 + reach))


@pytest.mark.parametrize("mean", [0.02, 0.5, 0.97])
def test_shares_stay_shares(mean):
    rng = np.random.default_rng(5)
    values = rng.beta(0.5 * mean, 0.5 * (1 - mean), (3, 6))
    for found in (
        mean_over_images(values[0], kind="share"),
        mean_over_runs_and_images(values, kind="share"),
    ):
        assert 0 < found.low < found.mean < found.high < 1
    plain = mean_over_images(values[0])
    bounded = mean_over_images(values[0], kind="share")
    # The widths agree to first order: the logit's slope is that at the mean.
    close = mean_over_images(0.5 + 1e-4 * (values[0] - 0.5), kind="share")
    assert close.high - close.low == pytest.approx(1e-4 * (plain.high - plain.low), rel=1e-4)
    assert bounded.mean == plain.mean


def test_positive_values_stay_positive():
    values = np.random.default_rng(6).lognormal(0, 2, (3, 6))
    for found in (
        mean_over_images(values[0], kind="positive"),
        mean_over_runs_and_images(values, kind="positive"),
    ):
        assert 0 < found.low < found.mean < found.high
        assert found.mean / found.low == pytest.approx(found.high / found.mean)
    plain, close = (
        mean_over_images(1 + 1e-4 * values[0], kind=kind) for kind in ("any", "positive")
    )
    assert close.high - close.low == pytest.approx(plain.high - plain.low, rel=1e-4)


@pytest.mark.parametrize("value", [0.0, 0.25, 1.0])
def test_what_does_not_vary_has_no_width(value):
    for kind in ("any", "positive", "share"):
        assert mean_over_images([value] * 4, kind=kind) == (value,) * 3
        assert mean_over_runs_and_images([[value] * 4] * 3, kind=kind) == (value,) * 3


def test_too_little_is_a_point():
    two = mean_over_runs_and_images([[1.0, 2.0], [3.0, 4.0]])
    assert two.mean == 2.5
    assert np.isnan(two[1:]).all()
    missing = mean_over_runs_and_images([[1.0, 2.0], [3.0, 4.0], [np.nan] * 2])
    assert np.isnan(missing[1:]).all()
    one = mean_over_images([1.0, 3.0], ["a", "a"])
    assert one.mean == 2
    assert np.isnan(one[1:]).all()
    assert np.isnan(mean_over_images([np.nan, np.nan])).all()
    assert np.isnan(mean_over_images([])).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mean_over_images([1.0, np.inf]), "infinite"),
        (lambda: mean_over_images([0.5, 1.5], kind="share"), r"share is 1\.5.*\[0, 1\]"),
        (lambda: mean_over_images([0.5, 1.5], ["a"]), r"clusters have shape \[1\].* 2 images"),
        (lambda: mean_over_runs_and_images([1.0, 2.0]), r"shape \[2\]: they must be \[M, N\]"),
        (lambda: mean_over_images([[1.0, 2.0]]), r"shape \[1, 2\]: they must be \[N\]"),
        (lambda: image_groups(2, ["a"]), r"clusters have shape \[1\].* 2 images"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
