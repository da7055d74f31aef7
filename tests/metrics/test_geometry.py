"""The geometry of embeddings against stored numbers, brute force and shapes known by hand."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from lossprint.metrics import embedding_geometry
from lossprint.metrics.geometry import BLOCK

GOLDEN = np.load(Path(__file__).parent / "golden" / "comparison.npz", allow_pickle=False)
NAMES = ("effective_rank", "mean_length", "uniformity", "alignment", "class_separation")


@pytest.mark.parametrize("network", range(4))
@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_agrees_with_stored_numbers(network, kind):
    found = embedding_geometry(kind(GOLDEN[f"embeddings.{network}"]), kind(GOLDEN["labels"]))
    for name in NAMES:
        assert getattr(found, name) == pytest.approx(float(GOLDEN[f"{name}.{network}"]), abs=1e-9)
    assert not found.collapsed


@pytest.mark.parametrize(("count", "width"), [(BLOCK + 5, 7), (2 * BLOCK, 3), (12, 40)])
def test_agrees_with_brute_force(count, width):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, count)
    points = rng.normal(size=(count, width)) + rng.normal(size=(5, width))[labels]
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    squared = ((unit[:, None] - unit[None]) ** 2).sum(2)
    cosine = 1 - unit @ unit.T
    two = ~np.eye(count, dtype=bool)
    same = labels[:, None] == labels[None]
    share = np.linalg.svd(unit - unit.mean(0), compute_uv=False) ** 2
    share = share[share > 1e-20] / share.sum()
    within = np.mean([cosine[np.ix_(labels == c, labels == c)].mean() for c in range(5)])

    found = embedding_geometry(points, labels)
    assert found.effective_rank == pytest.approx(np.exp(-(share * np.log(share)).sum()))
    assert found.mean_length == pytest.approx(np.linalg.norm(unit.mean(0)))
    assert found.uniformity == pytest.approx(np.log(np.exp(-2 * squared[two]).mean()))
    assert found.alignment == pytest.approx(squared[same & two].mean())
    assert found.class_separation == pytest.approx(1 - within / cosine.mean())


def test_lengths_do_not_count():
    points = np.random.default_rng(1).normal(size=(20, 6))
    lengths = np.geomspace(1e-200, 1e200, 20)[:, None]
    plain, stretched = embedding_geometry(points), embedding_geometry(points * lengths)
    for name in NAMES[:3]:
        assert getattr(stretched, name) == pytest.approx(getattr(plain, name))


def test_directions_are_counted():
    """Axes in both directions: every one is used alike, the mean is nought, distances are known."""
    axes = np.concatenate([np.eye(8), -np.eye(8)])
    found = embedding_geometry(axes, np.arange(16) % 8)
    assert found.effective_rank == pytest.approx(8)
    assert found.mean_length == pytest.approx(0)
    assert found.alignment == pytest.approx(4)  # the two ends of an axis
    assert found.uniformity == pytest.approx(np.log((14 * np.exp(-4) + np.exp(-8)) / 15))
    assert found.class_separation == pytest.approx(0)


def test_points_of_two_classes_apart():
    found = embedding_geometry([[1, 0], [2, 0], [0, 3], [0, 4]], ["a", "a", "b", "b"])
    assert found.alignment == pytest.approx(0, abs=1e-12)
    assert found.class_separation == pytest.approx(1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_embeddings_use_no_direction(dtype):
    points = np.tile(np.random.default_rng(2).normal(size=9).astype(dtype), (50, 1))
    for found in (
        embedding_geometry(points, np.arange(50) % 2),
        embedding_geometry(points * np.linspace(0.5, 2, 50, dtype=dtype)[:, None], [0] * 50),
    ):
        assert found.effective_rank == 0
        assert found.mean_length == pytest.approx(1)
        assert found.uniformity == pytest.approx(0, abs=1e-6)
        assert found.alignment == pytest.approx(0, abs=1e-6)
        assert np.isnan(found.class_separation)
        assert found.collapsed


def test_a_narrow_cone_is_called_collapsed():
    rng = np.random.default_rng(3)
    cone = np.eye(64)[0] + 0.04 * rng.normal(size=(200, 64))
    found = embedding_geometry(cone)
    assert found.mean_length > 0.9
    assert found.effective_rank > 30
    assert found.collapsed
    line = np.outer(rng.normal(size=200), np.eye(64)[0]) + 0.01 * rng.normal(size=(200, 64))
    found = embedding_geometry(line)
    assert found.mean_length < 0.3
    assert found.effective_rank < 2
    assert found.collapsed


def test_zero_rows_are_at_distance_one():
    found = embedding_geometry([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [0.0, 5.0]], [0, 1, 0, 1])
    squared = np.array([0, 1, 1, 1, 1, 2])
    assert found.uniformity == pytest.approx(np.log(np.exp(-2 * squared).mean()))
    assert found.alignment == pytest.approx(1)
    nothing = embedding_geometry(np.zeros((4, 3)))
    assert (nothing.effective_rank, nothing.mean_length, nothing.uniformity) == (0, 0, 0)
    assert nothing.collapsed


def test_classes_that_do_not_pair():
    points = np.random.default_rng(4).normal(size=(6, 4))
    alone = embedding_geometry(points, list("abcdef"))
    assert np.isnan([alone.alignment, alone.class_separation]).all()
    one = embedding_geometry(points, ["a"] * 6)
    assert one.class_separation == pytest.approx(0)
    assert one.alignment > 0
    without = embedding_geometry(points)
    assert np.isnan([without.alignment, without.class_separation]).all()


def test_a_missing_label_is_left_out():
    points = np.random.default_rng(5).normal(size=(7, 4))
    some = embedding_geometry(points, ["a", "a", "a", "b", "b", "b", None])
    fewer = embedding_geometry(points[:6], list("aaabbb"))
    assert some.alignment == pytest.approx(fewer.alignment)
    assert some.class_separation == pytest.approx(fewer.class_separation)
    assert some.uniformity != pytest.approx(fewer.uniformity)


@pytest.mark.parametrize(
    ("embeddings", "labels", "message"),
    [
        ([[1.0, np.nan], [0, 1], [1, 1]], None, "NaN or infinite values in 1 of 3 rows.* row 0"),
        ([[1.0, 0], [np.inf, 1], [1, 1]], None, "NaN or infinite values in 1 of 3 rows.* row 1"),
        ([[1.0, 0], [0, 1]], None, "2 embeddings: at least 3"),
        ([1.0, 2.0, 3.0], None, r"shape \[3\]"),
        (np.eye(3), [0, 1], r"'labels' has shape \[2\].*3 embeddings"),
        (np.eye(3), [None] * 3, "'labels' is empty"),
    ],
)
def test_bad_input_is_named(embeddings, labels, message):
    with pytest.raises(ValueError, match=message):
        embedding_geometry(embeddings, labels)


@pytest.mark.parametrize("count", [600, 1200])
def test_nothing_as_large_as_the_embeddings_is_made(count, monkeypatch):
    monkeypatch.setattr("lossprint.metrics.geometry.BLOCK", 32)
    points = np.random.default_rng(0).normal(size=(count, 64)).astype(np.float32)
    embedding_geometry(points)  # what libraries keep from the first time is not counted
    tracemalloc.start()
    embedding_geometry(points)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 120_000 + points.size  # blocks, and a byte each where NaN is looked for
    assert peak < points.nbytes
