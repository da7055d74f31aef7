"""The first convolution of a network, when only the channel mean of the input gradient is wanted.

The mean over the input channels is linear, so it is taken of the weights, once, and the backward
convolution has one output channel in place of C. Its stride is taken apart into phases: the
gradient of a convolution of stride s is s² small convolutions of stride 1, one for each position
within s x s pixels, which run as one convolution with s² output channels.
"""

import math
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad, pixel_shuffle


def is_supported(convolution: nn.Module) -> TypeGuard[nn.Conv2d]:
    """A plain Conv2d of equal strides, ungrouped, undilated and padded with zeros by number."""
    return (
        type(convolution) is nn.Conv2d
        and convolution.groups == 1
        and convolution.dilation == (1, 1)
        and convolution.stride[0] == convolution.stride[1]
        and convolution.padding_mode == "zeros"
        and not isinstance(convolution.padding, str)
    )


class FirstConvolution(nn.Module):
    """Computes what `convolution` does; the input gradient has every channel at the mean.

    The mean over channels of that gradient is therefore the mean of the true one, and the
    gradient's memory is that of one channel. Weights get no gradient.

    Args:
        convolution: one that `is_supported`, applied to the image itself.
    """

    phases: Tensor

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.convolution = convolution
        stride = convolution.stride[0]
        phases = _phase_weights(convolution.weight.detach().mean(1), stride)
        self.register_buffer("phases", phases.contiguous(memory_format=torch.channels_last))

    def forward(self, images: Tensor) -> Tensor:
        return _MeanGradient.apply(images, self.convolution, self.phases)


class _MeanGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, convolution: nn.Conv2d, phases: Tensor) -> Tensor:
        ctx.shape = images.shape
        ctx.stride, ctx.padding = convolution.stride[0], convolution.padding
        ctx.phases = phases
        return conv2d(
            images, convolution.weight, convolution.bias, convolution.stride, convolution.padding
        )

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        _, channels, height, width = ctx.shape
        (top, left), stride = ctx.padding, ctx.stride
        phases = ctx.phases.to(gradients[0].dtype)  # float16 under autocast
        taps = phases.shape[2:]
        spread = conv2d(gradients[0], phases, padding=(taps[0] - 1, taps[1] - 1))
        padded = pixel_shuffle(spread, stride)
        # Pixels behind the last window never reach the output: their gradient is 0.
        below = max(0, top + height - padded.shape[2])
        right = max(0, left + width - padded.shape[3])
        mean = pad(padded, (0, right, 0, below))[:, :, top : top + height, left : left + width]
        return mean.expand(-1, channels, -1, -1), None, None


def _phase_weights(weight: Tensor, stride: int) -> Tensor:
    """Weights [K, kh, kw] of a convolution to those of its gradient's phases, [s², K, jh, jw].

    Padded pixel q·s + r receives Σ_j gradient[q - j] · weight[r + j·s]: for each r a convolution
    over q, whose taps are every s-th weight, flipped because conv2d correlates.
    """
    channels, *kernel = weight.shape
    rows, columns = (math.ceil(size / stride) for size in kernel)
    padded = pad(weight, (0, columns * stride - kernel[1], 0, rows * stride - kernel[0]))
    phases = padded.view(channels, rows, stride, columns, stride).permute(2, 4, 0, 1, 3)
    return phases.reshape(stride * stride, channels, rows, columns).flip(2, 3)
