"""The gradient of a score with respect to a network's input, averaged over the channels."""

import warnings
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from lossprint.saliency.distances import Score
from lossprint.saliency.preparation import computes_float16, embed

LARGEST_DIRECTION = 256.0
"""What the largest gradient at an embedding is scaled to before a backward pass in float16."""

SMALLEST_DIRECTION = 2.0**-100
"""Gradients below are scaled as this one is: for zeros, too, the scale stays finite."""

SMALLEST_SCALE = 2.0**-16

FAR_OFF = 0.3
"""Relative error of gradients in float16 from which they are not used; usual ones have 0.1."""


class InputGradient:
    """Computes channel means of input gradients, in the dtype and on the device of a network.

    The score and its gradient at the embedding are always of at least single precision. In
    float16, each copy's gradient is scaled by a power of two on its way down and back at the end,
    so that small gradients do not vanish; where one overflows, all are scaled down and repeated.

    Args:
        network: frozen, images [M, C, H, W] to embeddings [M, D].
        score: of embeddings against the one of a target.
        dtype: of the network's weights.
        device: of the network's weights.
    """

    def __init__(
        self,
        network: nn.Module,
        score: Score,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.network = network
        self.score = score
        self.dtype = dtype
        self.device = device
        self.float16 = False
        self.score_dtype = torch.promote_types(dtype, torch.float32)

    def use_float16(self, examples: Tensor, target: Tensor) -> None:
        """Compute under autocast to float16 where it works on [M, C, H, W]; warn where not.

        It does not where it overflows, or where weights or activations are too small for it and
        the gradients are lost.
        """
        reason = f"this {self.device.type} has no instructions for float16"
        if self.dtype == torch.float64:
            reason = "the model is of double precision"
        elif computes_float16(self.device):
            expected = self.channel_mean(examples, target).double()
            self.float16 = True
            try:
                found = self.channel_mean(examples, target).double()
                error = float((found - expected).norm() / expected.norm().clamp(min=1e-300))
                if error <= FAR_OFF:
                    return
                reason = (
                    f"float16 alone changes its gradients by {error:.1g}"
                    if found.isfinite().all()
                    else "its gradients overflow in float16"
                )
            except Exception as failure:  # Not every operation of a caller's network has a float16.
                reason = f"{type(failure).__name__}: {failure}".splitlines()[0]
            self.float16 = False
        warnings.warn(
            f"precision='fast' computes the same as 'exact' here ({reason})",
            RuntimeWarning,
            stacklevel=3,
        )

    def toward(self, target: Tensor) -> Callable[[Tensor], Tensor]:
        """`channel_mean` as a function of the images alone."""
        return partial(self.channel_mean, target=target)

    def channel_mean(self, images: Tensor, target: Tensor) -> Tensor:
        """Images [M, C, H, W] to [M, H, W], at least float32; the target is an embedding [D].

        Raises:
            ValueError: an output that is not [M, D], or that does not depend on the images.
        """
        images = images.to(self.device, self.dtype).detach().requires_grad_()
        with torch.autocast(self.device.type, torch.float16, enabled=self.float16):
            embeddings = embed(self.network, images)
        if not embeddings.requires_grad:
            raise ValueError("the model's embeddings carry no gradient back to its images")
        direction = self._direction(embeddings, target)
        if not self.float16:
            (gradient,) = torch.autograd.grad(embeddings, images, direction.to(embeddings.dtype))
            return _marked(gradient.mean(1, dtype=self.score_dtype), direction)

        # An infinite gradient, marked in the end, must not spoil the scales of the others.
        bounded = direction.nan_to_num(0, 0, 0)
        largest = bounded.abs().amax(1).clamp(min=SMALLEST_DIRECTION)
        scale = (LARGEST_DIRECTION / largest).log2().floor().exp2()
        while True:
            scaled = (bounded * scale[:, None]).to(embeddings.dtype)
            (gradient,) = torch.autograd.grad(embeddings, images, scaled, retain_graph=True)
            mean = gradient.mean(1, dtype=self.score_dtype)
            if mean.isfinite().all() or scale.max() * largest.max() < SMALLEST_SCALE:
                return _marked(mean / scale[:, None, None], direction)
            scale = scale / 64

    def _direction(self, embeddings: Tensor, target: Tensor) -> Tensor:
        """Gradient of the score at the embeddings, [M, D]."""
        leaf = embeddings.detach().to(self.score_dtype).requires_grad_()
        (direction,) = torch.autograd.grad(self.score(leaf, target).sum(), leaf)
        return direction


def _marked(gradients: Tensor, direction: Tensor) -> Tensor:
    """NaN for images whose embedding has no finite gradient: a ReLU would turn it into zeros."""
    finite = direction.isfinite().all(1)[:, None, None]
    return torch.where(finite, gradients, torch.nan)
