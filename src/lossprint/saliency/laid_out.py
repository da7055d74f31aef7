"""Weights as oneDNN wants them."""

from collections.abc import Callable

import torch
from torch import Tensor


class LaidOut:
    """Weights of a convolution, laid out once for each shape of maps that it is applied to.

    oneDNN chooses the layout by that shape and by the number of threads. Laid out for others, it
    takes weights apart and puts them together again at every call, which can take longer than the
    convolution.

    Args:
        lay_out: gives the weights for maps of shape [N, C, H, W].
    """

    def __init__(self, lay_out: Callable[[list[int]], Tensor]) -> None:
        self.lay_out = lay_out
        self.known: dict[tuple[int, ...], Tensor] = {}

    def of(self, maps: Tensor) -> Tensor:
        key = (torch.get_num_threads(), *maps.shape)
        if key not in self.known:
            self.known[key] = self.lay_out(list(maps.shape))
        return self.known[key]
