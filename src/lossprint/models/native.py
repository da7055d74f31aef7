"""Networks as their authors trained them: at their own input size, with their own preprocessing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import timm
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from lossprint.models.backbones import TIMM, TORCHVISION, Backbone, build_backbone

_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
CAFFE = {"mean": (104.0, 117.0, 128.0), "std": (1.0, 1.0, 1.0), "channels": "bgr", "scale": 1.0}
_MODES = ("bicubic", "bilinear", "nearest")


@dataclass(frozen=True)
class NativeInput:
    """What a network was trained to see.

    Attributes:
        size: side of the square images in pixels.
        interpolation: by which images were resized to it.
        preprocessing: arguments of `lossprint.data.transforms.Preprocessing`.
    """

    size: int
    interpolation: str
    preprocessing: Mapping[str, Any]


def native_input(name: str) -> NativeInput:
    """What the default weights of a backbone expect; no weights are downloaded.

    timm's is that of the named tag, torchvision's that of its `DEFAULT` weights.

    Args:
        name: see `build_backbone`.
    """
    name = name.removeprefix(TORCHVISION)
    if name == "bn_inception":
        return NativeInput(224, "bilinear", CAFFE)
    if name == "efficientnet_lite0":
        name = f"{TIMM}tf_efficientnet_lite0"
    if name.startswith(TIMM):
        known = name.removeprefix(TIMM).removeprefix("timm/")
        config = timm.models.get_pretrained_cfg(known)
        if config is None:
            return NativeInput(224, "bilinear", _IMAGENET)
        values = {"mean": tuple(config.mean), "std": tuple(config.std)}
        mode = config.interpolation if config.interpolation in _MODES else "bicubic"
        return NativeInput(int(config.input_size[-1]), mode, values)
    try:
        transforms = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    except (ValueError, AttributeError):  # told with the valid names where the network is built
        return NativeInput(224, "bilinear", _IMAGENET)
    values = {"mean": tuple(transforms.mean), "std": tuple(transforms.std)}
    mode = transforms.interpolation.value
    return NativeInput(int(transforms.crop_size[0]), mode if mode in _MODES else "bilinear", values)


class Resized(nn.Module):
    """A network that is given images of any size and sees them at its own.

    Gradients with respect to the images pass through the resizing, so that saliency maps of
    several architectures have the size of the images.

    Args:
        network: images [N, 3, size, size] → [N, D].
        size: side in pixels.
        interpolation: "bilinear", "bicubic" or "nearest", the first two antialiased.
    """

    def __init__(self, network: nn.Module, size: int, interpolation: str) -> None:
        super().__init__()
        self.network = network
        self.size = size
        self.interpolation = interpolation

    def forward(self, images: Tensor) -> Tensor:
        # Images of that size already come out as they are: no branch, so that it can be traced.
        images = F.interpolate(
            images,
            (self.size, self.size),
            mode=self.interpolation,
            antialias=self.interpolation != "nearest",
        )
        return self.network(images)


def native_network(name: str, *, pretrained: bool = False) -> Resized:
    """A backbone of pooled features that sees images at the size it was trained at.

    Args:
        name, pretrained: see `build_backbone`.

    Raises:
        ValueError, FileNotFoundError: see `build_backbone`.
    """
    seen = native_input(name)
    backbone = build_backbone(name, pretrained=pretrained)
    return Resized(backbone, seen.size, seen.interpolation)


def plain_network(network: nn.Module) -> nn.Module:
    """The library's own network inside of what is wrapped around it here."""
    while isinstance(network, Resized | Backbone):
        network = network.network
    return network
