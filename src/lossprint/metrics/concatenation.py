"""One embedding made of several networks' embeddings of the same images."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize


def concatenated(embeddings: Sequence[Tensor]) -> Tensor:
    """Put embeddings of the same images side by side, each L2-normalized first.

    So every network has the same say: the inner product of two rows is the sum of the networks'
    cosine similarities. The reality check concatenates the networks of its four folds like this,
    4 × 128 to 512 dimensions (Musgrave et al., "A Metric Learning Reality Check", ECCV 2020).

    Args:
        embeddings: each [N, D_k].

    Returns:
        [N, Σ D_k] float32; every row has norm √K, none is scaled further.

    Raises:
        ValueError: there are none, or not all are of the same number of images.

    Example:
        >>> concatenated([torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 2.0]])])
        tensor([[0.6000, 0.8000, 0.0000, 1.0000]])
    """
    if not embeddings or len({len(part) for part in embeddings}) > 1:
        counts = ", ".join(str(len(part)) for part in embeddings) or "none"
        raise ValueError(f"embeddings of the same images are needed; got {counts}")
    return torch.cat([normalize(part.float(), dim=1) for part in embeddings], dim=1)
