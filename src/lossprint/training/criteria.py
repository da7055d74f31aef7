"""Losses of pytorch-metric-learning 2.9 with what stops them from training here put right.

Each class keeps its parent's definition and constructor. Where the parent gives a number, the class
gives the same one (the tests compare them); it differs only where the parent crashes, forgets its
state or computes something else than its paper.
"""

from typing import Any

import torch
from pytorch_metric_learning import losses
from pytorch_metric_learning.utils import loss_and_miner_utils
from torch import Tensor
from torch.nn.functional import normalize


class AngularLoss(losses.AngularLoss):
    """Angular loss of L2-normalized embeddings.

    Wang et al., "Deep Metric Learning with Angular Loss", ICCV 2017, equation 8. The parent
    normalizes anchors and positives, but not negatives: shrinking all embeddings to zero then
    costs less than telling classes apart, and trainings end there.
    """

    def compute_loss(self, *args: Any) -> dict[str, dict[str, Any]]:
        embeddings, labels, mined, others, other_labels = args
        unit, other = normalize(embeddings), normalize(others)
        return super().compute_loss(unit, labels, mined, other, other_labels)


class DynamicSoftMarginLoss(losses.DynamicSoftMarginLoss):
    """Dynamic soft margin whose running histogram is a buffer, so a checkpoint carries it.

    Zhang & Rusinkiewicz, "Learning Local Descriptors with a CDF-Based Dynamic Soft Margin", ICCV
    2019. The parent keeps the histogram of d_pos - d_neg as a plain tensor: lost on resume, and
    still attached to the graph of the step before, so that the second backward pass raises. Its
    last bin also lies outside the histogram; two more bins hold the differences up to -min_val.
    """

    hist_: Tensor

    def __init__(
        self, min_val: float = -2.0, num_bins: int = 10, momentum: float = 0.01, **kwargs: Any
    ) -> None:
        super().__init__(min_val=min_val, num_bins=num_bins, momentum=momentum, **kwargs)
        del self.hist_
        self.register_buffer("hist_", torch.zeros(self.num_bins + 2))

    def compute_loss(self, *args: Any) -> dict[str, dict[str, Any]]:
        loss = super().compute_loss(*args)
        self.hist_ = self.hist_.detach()
        return loss


class HistogramLoss(losses.HistogramLoss):
    """Histogram loss, defined for identical embeddings too.

    Ustinova & Lempitsky, "Learning Deep Embeddings with Histogram Loss", NeurIPS 2016. A similarity
    of 1 (or a rounding error more) lies beyond the parent's last bin; here it falls onto the last
    node, 1, as the paper's linear interpolation between nodes has it.
    """

    def compute_loss(
        self,
        embeddings: Tensor,
        labels: Tensor,
        indices_tuple: Any,
        ref_emb: Tensor,
        ref_labels: Tensor,
    ) -> dict[str, dict[str, Any]]:
        """Give the probability that a negative pair is at least as similar as a positive one.

        Raises:
            ValueError: with reference embeddings, which the loss has no use for.
        """
        if ref_emb is not embeddings or ref_labels is not labels:
            raise ValueError("HistogramLoss takes no reference embeddings.")
        anchor, positive, negative = loss_and_miner_utils.convert_to_triplets(
            indices_tuple, labels, ref_labels, t_per_anchor="all"
        )
        if len(anchor) == 0:
            return self.zero_losses()
        similarity = self.distance(embeddings)
        positives = self.compute_density(similarity[_unordered_pairs(anchor, positive)])
        negatives = self.compute_density(similarity[_unordered_pairs(anchor, negative)])
        return {
            "loss": {
                "losses": torch.sum(negatives * torch.cumsum(positives, dim=0)),
                "indices": None,
                "reduction_type": "already_reduced",
            }
        }

    def compute_density(self, distances: Tensor) -> Tensor:
        """Estimate the density of similarities [M] at the nodes -1, -1 + delta, …, 1 ([R])."""
        num_bins = round(2 / self.delta)
        position = (distances.clamp(-1, 1) + 1) / self.delta
        lower = position.detach().floor().clamp(max=num_bins - 1).long()
        weight = position - lower
        density = distances.new_zeros(num_bins + 1)
        density = density.scatter_add(0, lower, 1 - weight)
        density = density.scatter_add(0, lower + 1, weight)
        return density / distances.size(0)


def _unordered_pairs(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Reduce index pairs [T], [T] to the distinct ones, (a, b) being (b, a)."""
    pairs = torch.stack([torch.minimum(first, second), torch.maximum(first, second)])
    low, high = torch.unique(pairs, dim=1)
    return low, high


class LargeMarginSoftmaxLoss(losses.LargeMarginSoftmaxLoss):
    """L-Softmax whose margin grows during training, as its paper has it.

    Liu et al., "Large-Margin Softmax Loss for Convolutional Neural Networks", ICML 2016. Of the
    target class cos θ becomes (λ·cos θ + ψ(θ)) / (1 + λ), where λ falls from step to step, by
    default as in the code of SphereFace: max(5, 1000 / (1 + 0.12·t)). The parent has ψ alone,
    which is negative for all of an untrained network's embeddings: the shortest way to a lower
    loss is then to shrink them to zero.

    Args:
        annealing: λ of the first step; 0 is the parent's loss.
        annealing_speed: how fast λ falls.
        annealing_end: below which it does not fall.
    """

    steps: Tensor

    def __init__(
        self,
        *args: Any,
        annealing: float = 1000.0,
        annealing_speed: float = 0.12,
        annealing_end: float = 5.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.annealing, self.annealing_speed = annealing, annealing_speed
        self.annealing_end = min(annealing, annealing_end)
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def compute_loss(self, *args: Any) -> dict[str, dict[str, Any]]:
        loss = super().compute_loss(*args)
        if self.training:
            self.steps += 1
        return loss

    def modify_cosine_of_target_classes(self, cosine_of_target_classes: Tensor) -> Tensor:
        margin = super().modify_cosine_of_target_classes(cosine_of_target_classes)
        annealing = self.annealing / (1 + self.annealing_speed * self.steps)
        annealing = annealing.clamp(min=self.annealing_end)
        return (annealing * cosine_of_target_classes + margin) / (1 + annealing)


class SphereFaceLoss(LargeMarginSoftmaxLoss, losses.SphereFaceLoss):
    """The same of class vectors of length 1.

    Liu et al., "SphereFace: Deep Hypersphere Embedding for Face Recognition", CVPR 2017.
    """


class SmoothAPLoss(losses.SmoothAPLoss):
    """Smooth-AP for any batch: classes of any number and size, in any order.

    Brown et al., "Smooth-AP: Smoothing the Path Towards Large-Scale Image Retrieval", ECCV 2020,
    equation 5. The parent needs as many classes as samples per class, and each class contiguous;
    elsewhere it ranks samples against the wrong positives.
    """

    def compute_loss(
        self,
        embeddings: Tensor,
        labels: Tensor,
        indices_tuple: Any,
        ref_emb: Tensor,
        ref_labels: Tensor,
    ) -> dict[str, dict[str, Any]]:
        """Give 1 - AP of each sample as query; the query itself takes part as its own first hit.

        Raises:
            ValueError: with mined pairs or reference embeddings, which the loss has no use for.
        """
        if indices_tuple is not None:
            raise ValueError("SmoothAPLoss ranks the whole batch and takes no miner.")
        if ref_emb is not embeddings or ref_labels is not labels:
            raise ValueError("SmoothAPLoss takes no reference embeddings.")
        n = labels.size(0)
        similarity = self.distance(embeddings)  # [N, N]
        same = labels.unsqueeze(0) == labels.unsqueeze(1)  # [N, N]
        # ahead[q, i, j]: how far sample j lies before sample i in the ranking of query q
        ahead = (similarity.unsqueeze(1) - similarity.unsqueeze(2)) / self.temperature
        other = ~torch.eye(n, dtype=torch.bool, device=labels.device)  # [i, j]
        ahead = torch.sigmoid(ahead) * other
        rank_among_all = 1 + ahead.sum(dim=2)  # [q, i]
        rank_among_positives = 1 + (ahead * same.unsqueeze(1)).sum(dim=2)
        precision = torch.where(same, rank_among_positives / rank_among_all, 0)
        average_precision = precision.sum(dim=1) / same.sum(dim=1)
        return {
            "ap_loss": {
                "losses": 1 - average_precision,
                "indices": torch.arange(n, device=labels.device),
                "reduction_type": "element",
            }
        }


class TupletMarginLoss(losses.TupletMarginLoss):
    """Tuplet margin loss with finite values and gradients for identical embeddings.

    Yu & Tao, "Deep Metric Learning with Tuplet Margin Loss", ICCV 2019. The parent takes the arc
    cosine of similarities as they are: NaN where rounding makes one exceed 1, and an infinite slope
    at 1. Such a pair has reached its goal: its similarity is held just inside, without a gradient.
    """

    LARGEST_COSINE = 1 - 1e-6

    def _compute_loss(
        self, pos_pairs: Tensor, neg_pairs: Tensor, indices_tuple: tuple[Tensor, ...]
    ) -> dict[str, dict[str, Any]]:
        if len(pos_pairs) > 0:
            pos_pairs = pos_pairs.clamp(-self.LARGEST_COSINE, self.LARGEST_COSINE)
        return super()._compute_loss(pos_pairs, neg_pairs, indices_tuple)
