"""Parameter groups and learning-rate schedules."""

import math
from collections.abc import Callable, Iterable

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from lossprint.models.embedder import Embedder


def parameter_groups(
    embedder: Embedder,
    criterion: nn.Module | None,
    criterion_lr: float | None,
    *,
    embedding_lr: float,
) -> list[dict]:
    """Backbone, embedding layer and the loss's own weights, each with a learning rate.

    The backbone has the optimizer's rate. A pretrained one is only to be adjusted, while the layer
    into the embedding space starts at random: it has a rate of its own. A loss's weights (proxies,
    class weights, a learned beta) are not decayed: decay would pull on margins that are defined
    against their scale.

    Args:
        embedder: the network.
        criterion: the loss; None for the control.
        criterion_lr: of the loss's weights, if it has any.
        embedding_lr: of the embedding layer.
    """
    groups: list[dict] = [
        {"params": list(embedder.backbone.parameters()), "name": "backbone"},
        {"params": list(embedder.embedding.parameters()), "lr": embedding_lr, "name": "embedding"},
    ]
    weights = [] if criterion is None else list(criterion.parameters())
    if weights:
        groups.append({"params": weights, "lr": criterion_lr, "weight_decay": 0.0, "name": "loss"})
    return groups


def constant(optimizer: Optimizer, total_steps: int) -> LambdaLR:
    """Learning rates stay as they are."""
    return LambdaLR(optimizer, lambda step: 1.0)


def warmup_cosine(optimizer: Optimizer, total_steps: int, *, warmup: float = 0.1) -> LambdaLR:
    """Rise linearly over the first `warmup` share of the steps, then fall as a half cosine to 0.

    Every group keeps its own peak.
    """
    if not 0 <= warmup < 1:
        raise ValueError(f"warmup={warmup} must be a share of the steps in [0, 1)")
    rising = max(1, round(warmup * total_steps))

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / rising
        progress = (step - rising) / max(1, total_steps - rising)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))

    return LambdaLR(optimizer, factor)


OptimizerFactory = Callable[[Iterable[dict]], Optimizer]
ScheduleFactory = Callable[[Optimizer, int], LambdaLR]
