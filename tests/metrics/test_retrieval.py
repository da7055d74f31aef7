"""Retrieval metrics against a plain loop and against pytorch-metric-learning."""

from itertools import permutations

import numpy as np
import pytest
import torch
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN

from lossprint.metrics.retrieval import _ranking, retrieval_metrics


def by_hand(embeddings, labels, ks):
    points = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    rows = {"precision_at_1": [], "r_precision": [], "map_at_r": []}
    rows |= {f"recall_at_{k}": [] for k in ks}
    for query in range(len(points)):
        r = int((labels == labels[query]).sum()) - 1
        if r == 0:
            continue
        others = [i for i in range(len(points)) if i != query]
        others.sort(key=lambda i: np.linalg.norm(points[i] - points[query]))
        match = [labels[i] == labels[query] for i in others]
        rows["precision_at_1"].append(match[0])
        rows["r_precision"].append(sum(match[:r]) / r)
        hits = [sum(match[: i + 1]) / (i + 1) for i in range(r) if match[i]]
        rows["map_at_r"].append(sum(hits) / r)
        for k in ks:
            rows[f"recall_at_{k}"].append(any(match[:k]))
    return {name: float(np.mean(values)) for name, values in rows.items()}


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_a_plain_loop(seed):
    generator = np.random.default_rng(seed)
    embeddings = generator.standard_normal((60, 5)) + generator.integers(0, 2, (60, 1))
    labels = generator.integers(0, 8, 60)
    labels[0] = 99  # a class of one member is left out
    expected = by_hand(embeddings, labels, (2, 4, 8))
    actual = retrieval_metrics(torch.tensor(embeddings), torch.tensor(labels))
    assert actual == pytest.approx(expected, abs=1e-9)


def test_agrees_with_pytorch_metric_learning():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(12).repeat_interleave(10)
    embeddings = torch.randn(120, 16, generator=generator) + labels[:, None] % 4
    calculator = AccuracyCalculator(
        include=("precision_at_1", "r_precision", "mean_average_precision_at_r"),
        k="max_bin_count",
        knn_func=CustomKNN(LpDistance(normalize_embeddings=True)),
    )
    theirs = calculator.get_accuracy(embeddings, labels)
    ours = retrieval_metrics(embeddings, labels)
    assert ours["precision_at_1"] == pytest.approx(theirs["precision_at_1"])
    assert ours["r_precision"] == pytest.approx(theirs["r_precision"])
    assert ours["map_at_r"] == pytest.approx(theirs["mean_average_precision_at_r"])


def test_perfect_clusters_score_one_and_blocks_do_not_matter(monkeypatch):
    labels = torch.arange(5).repeat(4)
    embeddings = torch.eye(5)[labels]
    monkeypatch.setattr("lossprint.metrics.retrieval.BLOCK", 3)
    monkeypatch.setattr("lossprint.metrics.retrieval.ITEMS", 7)
    assert set(retrieval_metrics(embeddings, labels).values()) == {1.0}


def test_equally_near_neighbours_count_as_in_the_mean_over_all_their_orders():
    # Four places on a circle hold nine images: of every place some are of the query's class.
    places = np.array([0, 0, 0, 0, 1, 1, 2, 3, 3])
    labels = np.array([0, 1, 0, 1, 0, 2, 1, 2, 0])
    angles = np.array([0.0, 1.0, 2.5, 3.2])[places]  # all pairs of places at other distances
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    expected = []
    for order in permutations(range(4)):
        for pair in permutations((4, 5)):
            for other in permutations((7, 8)):
                rows = [*order, *pair, 6, *other]
                expected.append(by_hand(embeddings[rows], labels[rows], (2, 4, 8)))
    # `sorted` keeps rows at equal distances in their order, so the loop saw every order once.
    mean = {name: np.mean([values[name] for values in expected]) for name in expected[0]}
    found = retrieval_metrics(torch.tensor(embeddings), torch.tensor(labels))
    assert found == pytest.approx(mean, abs=1e-9)


@pytest.mark.parametrize("ordered", [True, False])
def test_a_collapsed_embedding_scores_chance_in_any_order_of_rows(ordered):
    labels = torch.arange(6).repeat_interleave(5)
    if not ordered:
        labels = labels[torch.randperm(30, generator=torch.Generator().manual_seed(0))]
    found = retrieval_metrics(torch.randn(1, 16).expand(30, 16), labels)
    r, others = 4, 29
    # Drawn at random: r_i = 1 in 4 of 29, and before it each of the other three in 28.
    map_at_r = sum(r / others * (1 + (i - 1) * (r - 1) / (others - 1)) / i for i in range(1, r + 1))
    assert found["precision_at_1"] == pytest.approx(r / others)
    assert found["r_precision"] == pytest.approx(r / others)
    assert found["map_at_r"] == pytest.approx(map_at_r / r)
    assert found["recall_at_2"] == pytest.approx(1 - 25 / 29 * 24 / 28)


@pytest.mark.parametrize(
    ("embeddings", "labels", "message"),
    [
        (torch.zeros(4, 2, 2), torch.zeros(4), r"\[N, D\]"),
        (torch.zeros(4, 2), torch.zeros(3), r"\[4, 2\] and \[3\]"),
        (torch.full((4, 2), torch.nan), torch.zeros(4), "not finite"),
        (torch.zeros(4, 2), torch.arange(4), "no class has two members"),
    ],
)
def test_bad_input_is_named(embeddings, labels, message):
    with pytest.raises(ValueError, match=message):
        retrieval_metrics(embeddings, labels)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_many_items_take_no_more_memory_at_once_and_the_embeddings_stay_as_they_are(
    dtype, monkeypatch
):
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(90, 6, generator=generator, dtype=dtype)
    before, labels = embeddings.clone(), torch.arange(90) % 7
    expected = retrieval_metrics(embeddings, labels)
    monkeypatch.setattr("lossprint.metrics.retrieval.SIMILARITIES", 4 * 90)
    monkeypatch.setattr("lossprint.metrics.retrieval.ITEMS", 7)
    ranked, doubled, double = [], [], torch.Tensor.double

    def watched(similarity, *rest):
        ranked.append(similarity.numel())
        return _ranking(similarity, *rest)

    def watched_double(items):
        doubled.append(items.shape)
        return double(items)

    monkeypatch.setattr("lossprint.metrics.retrieval._ranking", watched)
    monkeypatch.setattr(torch.Tensor, "double", watched_double)
    assert retrieval_metrics(embeddings, labels) == pytest.approx(expected, abs=1e-12)
    assert max(ranked) == 4 * 90
    assert max(count for count, *width in doubled if width == [6]) == 7
    assert torch.equal(embeddings, before)
