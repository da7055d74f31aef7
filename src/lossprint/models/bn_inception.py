"""BN-Inception, the architecture of the reality check and of the study.

Ioffe and Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal
Covariate Shift", 2015, in the Caffe layout whose ImageNet weights Remi Cadene published. Parameter
names are those of that publication, so its weights and checkpoints trained from it load unchanged.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WEIGHTS_URL = "http://data.lip6.fr/cadene/pretrainedmodels/bn_inception-52deb4733.pth"


class _Block(NamedTuple):
    """Channels of one inception block's branches; 0 leaves the branch's convolution out."""

    name: str
    one: int  # 1x1
    reduce: int  # 1x1 before the 3x3
    three: int  # 3x3
    double_reduce: int  # 1x1 before the two 3x3
    double: int  # two 3x3
    pool: str
    pool_projection: int

    @property
    def stride(self) -> int:
        """Blocks without a 1x1 branch halve the resolution."""
        return 1 if self.one else 2

    def out_channels(self, in_channels: int) -> int:
        return self.one + self.three + self.double + (self.pool_projection or in_channels)


_BLOCKS = (
    _Block("3a", 64, 64, 64, 64, 96, "average", 32),
    _Block("3b", 64, 64, 96, 64, 96, "average", 64),
    _Block("3c", 0, 128, 160, 64, 96, "max", 0),
    _Block("4a", 224, 64, 96, 96, 128, "average", 128),
    _Block("4b", 192, 96, 128, 96, 128, "average", 128),
    _Block("4c", 160, 128, 160, 128, 160, "average", 128),
    _Block("4d", 96, 128, 192, 160, 192, "average", 128),
    _Block("4e", 0, 128, 192, 192, 256, "max", 0),
    _Block("5a", 352, 192, 320, 160, 224, "average", 128),
    _Block("5b", 352, 192, 320, 192, 224, "max", 128),
)


class BNInception(nn.Module):
    """Images [N, 3, H, W] to logits [N, num_classes], or to features [N, 1024] without a head.

    The input is Caffe's: BGR, 0 to 255, minus the mean (104, 117, 128). Any size from about 16
    pixels works: the feature map is averaged over whatever area it has.

    Args:
        num_classes: size of `last_linear`; None leaves it out.
    """

    num_features = 1024
    feature_info = tuple({"module": f"inception_{block.name}"} for block in _BLOCKS)
    """Its stages, told as timm's models tell theirs."""

    def __init__(self, num_classes: int | None = 1000) -> None:
        super().__init__()
        self._add_unit("conv1_7x7_s2", 3, 64, kernel=7, stride=2)
        self._add_unit("conv2_3x3_reduce", 64, 64, kernel=1)
        self._add_unit("conv2_3x3", 64, 192, kernel=3)
        channels = 192
        for block in _BLOCKS:
            self._add_block(block, channels)
            channels = block.out_channels(channels)
        self.last_linear: nn.Module = (
            nn.Identity() if num_classes is None else nn.Linear(self.num_features, num_classes)
        )

    def forward(self, images: Tensor) -> Tensor:
        x = self._unit("conv1_7x7_s2", images)
        x = F.max_pool2d(x, 3, stride=2, ceil_mode=True)
        x = self._unit("conv2_3x3", self._unit("conv2_3x3_reduce", x))
        x = F.max_pool2d(x, 3, stride=2, ceil_mode=True)
        for block in _BLOCKS:
            x = self._block(block, x)
        return self.last_linear(x.mean(dim=(2, 3)))

    def _add_unit(
        self, name: str, in_channels: int, out_channels: int, *, kernel: int, stride: int = 1
    ) -> None:
        """A convolution `name` and its normalization `name_bn`, side by side as in Caffe."""
        padding = kernel // 2
        self.add_module(name, nn.Conv2d(in_channels, out_channels, kernel, stride, padding))
        self.add_module(f"{name}_bn", nn.BatchNorm2d(out_channels))

    def _add_block(self, block: _Block, channels: int) -> None:
        name = f"inception_{block.name}"
        if block.one:
            self._add_unit(f"{name}_1x1", channels, block.one, kernel=1)
        self._add_unit(f"{name}_3x3_reduce", channels, block.reduce, kernel=1)
        self._add_unit(f"{name}_3x3", block.reduce, block.three, kernel=3, stride=block.stride)
        self._add_unit(f"{name}_double_3x3_reduce", channels, block.double_reduce, kernel=1)
        self._add_unit(f"{name}_double_3x3_1", block.double_reduce, block.double, kernel=3)
        self._add_unit(
            f"{name}_double_3x3_2", block.double, block.double, kernel=3, stride=block.stride
        )
        if block.pool_projection:
            self._add_unit(f"{name}_pool_proj", channels, block.pool_projection, kernel=1)
        self.add_module(name, nn.Identity())  # what the block gives, for whoever hooks into it

    def _unit(self, name: str, x: Tensor) -> Tensor:
        x = self.get_submodule(f"{name}_bn")(self.get_submodule(name)(x))
        return F.relu(x, inplace=True)

    def _block(self, block: _Block, x: Tensor) -> Tensor:
        name = f"inception_{block.name}"
        branches = [self._unit(f"{name}_1x1", x)] if block.one else []
        branches.append(self._unit(f"{name}_3x3", self._unit(f"{name}_3x3_reduce", x)))
        double = self._unit(f"{name}_double_3x3_reduce", x)
        double = self._unit(f"{name}_double_3x3_1", double)
        branches.append(self._unit(f"{name}_double_3x3_2", double))
        pooled = _pool(x, block)
        if block.pool_projection:
            pooled = self._unit(f"{name}_pool_proj", pooled)
        branches.append(pooled)
        return self.get_submodule(name)(torch.cat(branches, dim=1))


def _pool(x: Tensor, block: _Block) -> Tensor:
    if block.pool == "average":
        return F.avg_pool2d(x, 3, stride=1, padding=1)
    if block.stride == 1:
        return F.max_pool2d(x, 3, stride=1, padding=1)
    # Caffe rounds up and does not pad, the strided convolutions beside it pad by one. Their sizes
    # agree for even inputs (224, 227 and 256 px lead to those); an odd one gets one more column.
    height, width = x.shape[-2:]
    x = F.pad(x, (0, width % 2, 0, height % 2), value=-torch.inf)
    return F.max_pool2d(x, 3, stride=2, ceil_mode=True)
