"""The gradient of a score with respect to a network's input, averaged over the channels."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lossprint.saliency.preparation import embed

LARGEST_DIRECTION = 256.0
"""What the largest gradient at an embedding is scaled to before a backward pass in few bits."""

SMALLEST_DIRECTION = 2.0**-100
"""Gradients below are scaled as this one is: for zeros, too, the scale stays finite."""

SMALLEST_SCALE = 2.0**-16


class InputGradient:
    """Computes channel means of input gradients, in the dtype and on the device of a network.

    The score and its gradient at the embedding are always of at least single precision. Where
    `scaled`, each copy's gradient is scaled by a power of two on its way down and back at the end,
    so that small gradients do not vanish; where one overflows float16, all are scaled down and
    repeated.

    Args:
        network: frozen, images [M, C, H, W] to embeddings [M, D].
        score: embeddings [M, D] to one number each, [M].
        dtype: of the network's weights.
        device: of the network's weights.
        scaled: for networks whose backward pass has few bits.
    """

    def __init__(
        self,
        network: nn.Module,
        score: Callable[[Tensor], Tensor],
        dtype: torch.dtype,
        device: torch.device,
        *,
        scaled: bool,
    ) -> None:
        self.network = network
        self.score = score
        self.dtype = dtype
        self.device = device
        self.scaled = scaled
        self.score_dtype = torch.promote_types(dtype, torch.float32)

    def channel_mean(self, images: Tensor) -> Tensor:
        """Images [M, C, H, W] to [M, H, W], at least float32.

        Raises:
            ValueError: an output that is not [M, D], or that does not depend on the images.
        """
        images = images.to(
            self.device, self.dtype, memory_format=torch.channels_last
        ).requires_grad_()
        embeddings = embed(self.network, images)
        if not embeddings.requires_grad:
            raise ValueError("the model's embeddings carry no gradient back to its images")
        direction = self._direction(embeddings)
        if not self.scaled:
            (gradient,) = torch.autograd.grad(embeddings, images, direction)
            return _marked(gradient.mean(1), direction)

        # An infinite gradient, marked in the end, must not spoil the scales of the others.
        bounded = direction.nan_to_num(0, 0, 0)
        largest = bounded.abs().amax(1).clamp(min=SMALLEST_DIRECTION)
        scale = (LARGEST_DIRECTION / largest).log2().floor().exp2()
        may_overflow = self.dtype == torch.float16
        while True:
            scaled = (bounded * scale[:, None]).to(self.dtype)
            (gradient,) = torch.autograd.grad(embeddings, images, scaled, retain_graph=may_overflow)
            mean = gradient.mean(1, dtype=self.score_dtype)
            if (
                not may_overflow
                or mean.isfinite().all()
                or scale.max() * largest.max() < SMALLEST_SCALE
            ):
                return _marked(mean / scale[:, None, None], direction)
            scale = scale / 64

    def _direction(self, embeddings: Tensor) -> Tensor:
        """Gradient of the score at the embeddings, [M, D]."""
        leaf = embeddings.detach().to(self.score_dtype).requires_grad_()
        (direction,) = torch.autograd.grad(self.score(leaf).sum(), leaf)
        return direction


def _marked(gradients: Tensor, direction: Tensor) -> Tensor:
    """NaN for images whose embedding has no finite gradient: a ReLU would turn it into zeros."""
    finite = direction.isfinite().all(1)[:, None, None]
    return torch.where(finite, gradients, torch.nan)
