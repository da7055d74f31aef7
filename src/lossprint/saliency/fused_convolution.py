"""Convolutions of one input with their ReLUs, forward and backward, on the processor."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from lossprint.saliency.convolutions import Pair, convolution, input_gradient
from lossprint.saliency.first_convolution import is_supported


class FusedConvolution(nn.Module):
    """One convolution, or several of the same input, each with or without a ReLU behind it.

    Weights get no gradient.

    Args:
        convolutions: ones that `can_fuse` takes; several must be 1x1 of stride 1.
        relus: whether a ReLU follows, for each.
        quantize: compute gradients in 8 bits.
        sees_image: give every channel of the input's gradient the channels' mean, as
            `FirstConvolution` does.
    """

    def __init__(
        self,
        convolutions: Sequence[nn.Conv2d],
        relus: Sequence[bool],
        *,
        quantize: bool,
        sees_image: bool,
    ) -> None:
        super().__init__()
        first = convolutions[0]
        self.widths = [part.out_channels for part in convolutions]
        self.relus = list(relus)
        weight = torch.cat([part.weight for part in convolutions]).detach()
        bias = torch.cat([_bias(part) for part in convolutions]).detach()
        stride, padding = (cast(Pair, part) for part in (first.stride, first.padding))
        self.convolve = convolution(weight, bias, stride, padding, relu=all(relus))
        if sees_image:
            weight = weight.mean(1, keepdim=True)
        self.input_gradient = input_gradient(weight, stride, padding, quantize=quantize)

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        outputs = _Fused.apply(images, self)
        return outputs[0] if len(outputs) == 1 else outputs


def can_fuse(module: nn.Module) -> bool:
    """A float32 convolution on the processor that `is_supported`, with less padding than kernel."""
    if not is_supported(module) or not torch.backends.mkldnn.is_available():
        return False
    weight, padding = module.weight, cast(Pair, module.padding)
    return (
        weight.dtype == torch.float32
        and weight.device.type == "cpu"
        and padding[0] < weight.shape[2]
        and padding[1] < weight.shape[3]
    )


def workers_for(network: nn.Module) -> int:
    """Threads that share the batches of `network`: torch's own number where it is fused, else 1."""
    is_fused = any(isinstance(module, FusedConvolution) for module in network.modules())
    return torch.get_num_threads() if is_fused else 1


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, fused: FusedConvolution) -> tuple[Tensor, ...]:
        result = fused.convolve(images)
        outputs = result.split(fused.widths, dim=1)
        if not all(fused.relus):
            for output, relu in zip(outputs, fused.relus, strict=True):
                if relu:
                    output.relu_()
        ctx.fused, ctx.shape = fused, images.shape
        ctx.save_for_backward(
            *(output if relu else None for output, relu in zip(outputs, fused.relus, strict=True))
        )
        return outputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        count, channels, *size = ctx.shape
        gradient = ctx.fused.input_gradient(gradients, ctx.saved_tensors, size)
        return gradient.expand(count, channels, *size), None


def _bias(part: nn.Conv2d) -> Tensor:
    return torch.zeros(part.out_channels) if part.bias is None else part.bias
