"""The corrected losses against the library's where those are right, and against the papers."""

import numpy as np
import pytest
import torch
from pytorch_metric_learning import losses
from sklearn.metrics import average_precision_score
from torch import Tensor

from lossprint.training import criteria


def random_batch(classes: int, samples: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(classes * samples, 16, generator=generator)
    return embeddings, torch.arange(classes).repeat_interleave(samples)


@pytest.mark.parametrize(
    ("ours", "parent", "classes", "samples"),
    [
        (criteria.DynamicSoftMarginLoss, losses.DynamicSoftMarginLoss, 8, 4),
        (criteria.HistogramLoss, losses.HistogramLoss, 8, 4),
        (criteria.SmoothAPLoss, losses.SmoothAPLoss, 4, 4),
        (criteria.SmoothAPLoss, losses.SmoothAPLoss, 6, 6),
        (criteria.TupletMarginLoss, losses.TupletMarginLoss, 8, 4),
    ],
)
def test_same_value_and_gradient_where_the_library_is_right(
    ours: type, parent: type, classes: int, samples: int
) -> None:
    embeddings, labels = random_batch(classes, samples)
    results = []
    for loss_class in (ours, parent):
        leaf = embeddings.clone().requires_grad_()
        value = loss_class()(leaf, labels)
        value.backward()
        results.append((value.detach(), leaf.grad))
    torch.testing.assert_close(results[0][0], results[1][0], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(results[0][1], results[1][1], rtol=1e-3, atol=1e-6)


def test_angular_is_the_papers_whatever_the_lengths() -> None:
    embeddings, labels = random_batch(3, 2)
    unit = torch.nn.functional.normalize(embeddings.double()).numpy()
    slope = np.tan(np.radians(40.0)) ** 2
    expected = [
        np.log1p(
            sum(
                np.exp(4 * slope * (a + p) @ n - 2 * (1 + slope) * a @ p)
                for n in unit[labels != label]
            )
        )
        for label in labels.unique()
        for a, p in (unit[labels == label], unit[labels == label][::-1])
    ]
    lengths = torch.linspace(0.1, 10, len(embeddings))[:, None]
    value = criteria.AngularLoss(alpha=40)(lengths * embeddings, labels)
    assert float(value) == pytest.approx(np.mean(expected), rel=1e-6)


@pytest.mark.parametrize("name", ["LargeMarginSoftmaxLoss", "SphereFaceLoss"])
@pytest.mark.parametrize("annealing", [0.0, 5.0])
def test_margins_of_angles_are_mixed_as_their_papers_do(name: str, annealing: float) -> None:
    embeddings, labels = random_batch(5, 3)
    ours = getattr(criteria, name)(5, 16, margin=4, annealing=annealing, annealing_speed=0)
    weights = ours.W.detach().double()
    angles = torch.acos(
        torch.nn.functional.normalize(embeddings.double())
        @ torch.nn.functional.normalize(weights, dim=0)
    )
    k = (angles / (np.pi / 4)).floor()
    margin = (-1) ** k * torch.cos(4 * angles) - 2 * k
    mixed = (annealing * angles.cos() + margin) / (1 + annealing)
    cosines = torch.where(labels[:, None] == torch.arange(5), mixed, angles.cos())
    lengths = embeddings.double().norm(dim=1, keepdim=True)
    if name == "LargeMarginSoftmaxLoss":  # the other one normalizes its class vectors
        lengths = lengths * weights.norm(dim=0)
    expected = torch.nn.functional.cross_entropy(lengths * cosines, labels)
    assert float(ours(embeddings, labels)) == pytest.approx(float(expected), rel=1e-4)


def test_the_margin_grows_in_training_alone_until_it_stays() -> None:
    embeddings, labels = random_batch(5, 3)
    loss = criteria.SphereFaceLoss(5, 16, annealing=20, annealing_speed=0.5, annealing_end=5)
    fixed = [
        criteria.SphereFaceLoss(5, 16, annealing=value, annealing_speed=0)
        for value in (20, 20 / 1.5, 10, 8, 20 / 3, 20 / 3.5, 5, 5)
    ]
    for step, other in enumerate(fixed):
        other.W.data = loss.W.data
        loss.eval()
        assert float(loss(embeddings, labels)) == pytest.approx(float(other(embeddings, labels)))
        loss.train()
        loss(embeddings, labels)
        assert loss.state_dict()["steps"] == step + 1


def test_smooth_ap_is_average_precision_when_sharp() -> None:
    embeddings, labels = random_batch(5, 3)
    embeddings = embeddings.double()
    order = torch.randperm(15, generator=torch.Generator().manual_seed(3))
    embeddings, labels = embeddings[order], labels[order]
    similarity = (
        torch.nn.functional.normalize(embeddings) @ torch.nn.functional.normalize(embeddings).mT
    )
    expected = np.mean(
        [
            average_precision_score((labels == label).numpy(), row.numpy())
            for label, row in zip(labels, similarity, strict=True)
        ]
    )
    value = criteria.SmoothAPLoss(temperature=1e-6)(embeddings, labels)
    assert float(value) == pytest.approx(1 - expected, abs=1e-9)


@pytest.mark.parametrize(("classes", "samples"), [(8, 4), (3, 7)])
def test_smooth_ap_of_perfect_clusters(classes: int, samples: int) -> None:
    labels = torch.arange(classes).repeat(samples)  # not contiguous
    generator = torch.Generator().manual_seed(0)
    corners = torch.eye(classes)[labels]
    embeddings = corners + 0.01 * torch.randn(corners.shape, generator=generator)
    assert float(criteria.SmoothAPLoss()(embeddings, labels)) < 0.01


def test_smooth_ap_refuses_a_miner() -> None:
    embeddings, labels = random_batch(4, 4)
    index = torch.tensor([0])
    with pytest.raises(ValueError, match="takes no miner"):
        criteria.SmoothAPLoss()(embeddings, labels, (index, index, index))


def test_histogram_of_identical_embeddings() -> None:
    # All positive and negative similarities are 1, so both densities lie on the last node and
    # P(negative <= positive) = 1.
    labels = torch.arange(4).repeat_interleave(2)
    value = criteria.HistogramLoss()(torch.ones(8, 5), labels)
    assert float(value) == pytest.approx(1.0)


def test_dynamic_soft_margin_state_travels_and_steps_repeat() -> None:
    loss = criteria.DynamicSoftMarginLoss()
    for seed in range(3):
        embeddings, labels = random_batch(8, 4, seed)
        loss(embeddings.requires_grad_(), labels).backward()
    assert loss.state_dict()["hist_"].sum() == pytest.approx(1.0)
    assert not loss.hist_.requires_grad


def test_dynamic_soft_margin_at_the_ends_of_its_range() -> None:
    # Each class is a pair of opposite points shared by both classes: d_pos - d_neg is 2 or 0.
    embeddings = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    value = criteria.DynamicSoftMarginLoss()(embeddings, torch.tensor([0, 0, 1, 1]))
    # half of the differences are 2 with CDF 1, half are 0
    assert float(value) == pytest.approx(1.0)


def test_tuplet_margin_of_identical_embeddings() -> None:
    embeddings = torch.ones(8, 3).requires_grad_()
    value = criteria.TupletMarginLoss()(embeddings, torch.arange(4).repeat_interleave(2))
    value.backward()
    assert torch.isfinite(value)
    assert embeddings.grad is not None
    assert torch.isfinite(embeddings.grad).all()
