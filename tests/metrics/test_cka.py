"""Debiased CKA against stored numbers, its definition with whole Gram matrices, and its floor."""

from pathlib import Path

import numpy as np
import pytest
import torch

from lossprint.metrics import cka, debiased_cka, debiased_cka_matrix

GOLDEN = np.load(Path(__file__).parent / "golden" / "comparison.npz", allow_pickle=False)
EMBEDDINGS = [GOLDEN[f"embeddings.{network}"] for network in range(4)]


def by_definition(a, b):
    def hsic(k, m):
        n = len(k)
        k, m, ones = k - np.diag(np.diag(k)), m - np.diag(np.diag(m)), np.ones(n)
        inner = (ones @ k @ ones) * (ones @ m @ ones) / ((n - 1) * (n - 2))
        rest = 2 / (n - 2) * ones @ k @ m @ ones
        return (np.trace(k @ m) + inner - rest) / (n * (n - 3))

    k, m = a @ a.T, b @ b.T
    return hsic(k, m) / np.sqrt(hsic(k, k) * hsic(m, m))


def plug_in(a, b):
    a, b = a - a.mean(0), b - b.mean(0)
    k, m = a @ a.T, b @ b.T
    return (k * m).sum() / np.sqrt((k * k).sum() * (m * m).sum())


def unit(points):
    points = points.astype(np.float64)
    return points / np.linalg.norm(points, axis=1, keepdims=True)


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
@pytest.mark.parametrize("memory", [1, 1 << 26])
@pytest.mark.parametrize("fewer_features", [False, True])
def test_agrees_with_stored_numbers(kind, memory, fewer_features, monkeypatch):
    monkeypatch.setattr(cka, "MEMORY", memory)
    monkeypatch.setattr(cka, "_fewer_features", lambda points: fewer_features)
    networks = [kind(values) for values in EMBEDDINGS]
    found = debiased_cka_matrix(networks)
    np.testing.assert_allclose(found, GOLDEN["cka_debiased"], rtol=0, atol=1e-9)
    assert debiased_cka(networks[0], networks[2]) == pytest.approx(found[0, 2], abs=1e-12)


def test_the_plug_in_estimator_is_what_it_is_freed_from():
    """The stored plug-in numbers are of the same embeddings, and higher where these differ."""
    biased = [[plug_in(unit(a), unit(b)) for a in EMBEDDINGS] for b in EMBEDDINGS]
    np.testing.assert_allclose(biased, GOLDEN["cka_plug_in"], rtol=0, atol=1e-9)
    off = ~np.eye(4, dtype=bool)
    assert (np.array(biased) - debiased_cka_matrix(EMBEDDINGS))[off].min() > 0


@pytest.mark.parametrize(("count", "widths"), [(300, (5, 40)), (20, (70, 33)), (4, (2, 3))])
def test_agrees_with_its_definition(count, widths):
    rng = np.random.default_rng(0)
    a, b = (rng.normal(3, 1, (count, width)) for width in widths)
    b[:, :2] += 2 * a[:, :2]
    assert debiased_cka(a, b, normalize=False) == pytest.approx(by_definition(a, b), abs=1e-9)
    assert debiased_cka(a, b) == pytest.approx(by_definition(unit(a), unit(b)), abs=1e-9)


def test_independent_embeddings_give_nothing_on_average():
    rng = np.random.default_rng(0)
    found = debiased_cka_matrix(rng.normal(size=(30, 240, 128)))
    pairs = found[np.triu_indices(30, 1)]
    assert abs(pairs.mean()) < 4 * pairs.std() / np.sqrt(len(pairs))
    assert pairs.min() < 0 < pairs.max()
    a, b = rng.normal(size=(2, 240, 128))
    assert plug_in(a, b) == pytest.approx(0.35, abs=0.02)  # as the docstring says


def test_rotation_shift_and_scale_change_nothing():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 60, 10))
    b += a
    rotation = np.linalg.qr(rng.normal(size=(10, 10)))[0]
    moved = 1e-160 * (a @ rotation) + 3e-160
    assert debiased_cka(a, moved, normalize=False) == pytest.approx(1)
    value = debiased_cka(a, b, normalize=False)
    assert debiased_cka(moved, 1e200 * b, normalize=False) == pytest.approx(value)
    assert debiased_cka(a, b) != pytest.approx(value, abs=1e-4)
    assert debiased_cka(a, 7 * b) == pytest.approx(debiased_cka(a, b))


@pytest.mark.parametrize("count", [20, 500])
def test_nothing_is_made_of_a_network_without_an_arrangement(count):
    rng = np.random.default_rng(2)
    good, other = rng.normal(size=(2, count, 6)).astype(np.float32)
    constant = np.tile(rng.normal(size=6).astype(np.float32), (count, 1))
    zero = np.zeros((count, 3))
    equidistant = np.eye(count)
    networks = [good, constant, other, zero, equidistant]
    found = debiased_cka_matrix(networks)
    known = np.isin(range(5), [0, 2])
    assert np.isfinite(found[np.ix_(known, known)]).all()
    assert np.isnan(found[~known]).all()
    assert np.isnan(found[:, ~known]).all()
    np.testing.assert_array_equal(np.diag(found)[known], 1)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.eye(5), np.eye(6), r"\[5, 6\] rows"),
        (np.eye(3), np.eye(3), "at least 4"),
        (np.eye(5), np.full((5, 2), np.nan), "embeddings 1: .*NaN or infinite values in 5 of 5"),
        (np.arange(5.0), np.eye(5), r"embeddings 0: .*shape \[5\]"),
    ],
)
def test_bad_input_is_named(a, b, message):
    with pytest.raises(ValueError, match=message):
        debiased_cka(a, b)


def test_no_embeddings_are_no_comparison():
    with pytest.raises(ValueError, match="at least one"):
        debiased_cka_matrix([])
