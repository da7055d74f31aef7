"""From stored pixels to what a backbone was trained to see."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Preprocessing:
    """Channel order, range, mean and standard deviation of a backbone's input.

    `(pixels · scale − mean) / std` per channel, after the channels are put in `channels` order.
    ImageNet models of torchvision: rgb, scale 1/255. Caffe models (BN-Inception): bgr, scale 1,
    mean [104, 117, 128], std 1.
    """

    mean: Sequence[float] = (0.485, 0.456, 0.406)
    std: Sequence[float] = (0.229, 0.224, 0.225)
    channels: str = "rgb"
    scale: float = 1 / 255

    def __post_init__(self) -> None:
        if self.channels not in ("rgb", "bgr"):
            raise ValueError(f"channels={self.channels!r} is neither 'rgb' nor 'bgr'")
        if len(self.mean) != 3 or len(self.std) != 3:
            raise ValueError(f"mean={self.mean} and std={self.std} must have three values each")

    def __call__(self, pixels: Tensor) -> Tensor:
        """uint8 RGB [..., 3, H, W] → float32 of the same shape."""
        if self.channels == "bgr":
            pixels = pixels.flip(-3)
        mean = torch.tensor(self.mean, dtype=torch.float32, device=pixels.device)
        std = torch.tensor(self.std, dtype=torch.float32, device=pixels.device)
        # In place: fresh memory for every intermediate costs more than the arithmetic.
        values = pixels.to(torch.float32, copy=True).mul_(self.scale)
        return values.sub_(mean[:, None, None]).div_(std[:, None, None])
