"""Small networks with known properties."""

import torch
from torch import Tensor, nn


def seeded(module: nn.Module, seed: int = 0, std: float = 0.3) -> nn.Module:
    """`module` with every weight drawn from a generator of its own."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in module.parameters():
            weight.normal_(std=std, generator=generator)
        for name, buffer in module.named_buffers():
            if name.endswith("running_var"):
                buffer.uniform_(0.5, 2, generator=generator)
            elif name.endswith("running_mean"):
                buffer.normal_(generator=generator)
    return module


def residual() -> nn.Module:
    """Convolutions with and without bias, batch normalization, a skip, a stride of 2."""
    return seeded(_Residual()).eval()


class _Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 7, stride=2, padding=3, bias=False)
        self.stem_bn = nn.BatchNorm2d(8)
        self.inner = nn.Conv2d(8, 8, 3, padding=1)
        self.inner_bn = nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 5)

    def forward(self, images: Tensor) -> Tensor:
        x = self.stem_bn(self.stem(images)).relu()
        x = (x + self.inner_bn(self.inner(x))).relu()
        return self.head(x.mean((2, 3)))


class Patches(nn.Module):
    """Tokens of patches, attention, and a class token: what a vision transformer is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 16, 4, stride=4)
        self.token = nn.Parameter(torch.zeros(1, 1, 16))
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.embed(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(tokens), -1, -1), tokens], dim=1)
        return self.layer(tokens)[:, 0]


class Untraceable(nn.Module):
    """Its computation depends on values, which symbolic tracing refuses."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3)
        self.head = nn.Linear(4, 3)

    def forward(self, images: Tensor) -> Tensor:
        features = self.convolution(images)
        if float(features.detach().mean()) > 0:
            features = features * 2
        return self.head(features.relu().mean((2, 3)))
