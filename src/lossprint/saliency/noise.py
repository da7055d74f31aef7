"""The noise of SmoothGrad, the same for every model that looks at an image.

Private noise alone caps the correlation of two maps of one model and one image at about 0.9, so
the draws depend on the image and the seed and on nothing else: not on the model, the device, the
order of the images or how they are batched.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

ImageId = int | str


def content_ids(images: Tensor) -> list[str]:
    """An identity for each image [N, C, H, W]: the SHA-256 of its float32 values."""
    return [
        hashlib.sha256(np.ascontiguousarray(image.numpy()).tobytes()).hexdigest()
        for image in images.detach().to("cpu", torch.float32)
    ]


def shared_noise(image_id: ImageId, *, seed: int, samples: int, shape: Sequence[int]) -> Tensor:
    """Standard normal draws [samples, *shape] for one image, float32 on the CPU.

    The copies are drawn one after the other: fewer samples are a prefix of more.
    """
    generator = torch.Generator().manual_seed(_image_seed(image_id, seed))
    draws = torch.empty(samples, *shape)
    for copy in draws:
        torch.randn(copy.shape, generator=generator, out=copy)
    return draws


def _image_seed(image_id: ImageId, seed: int) -> int:
    digest = hashlib.sha256(f"{seed}:{image_id}".encode()).digest()
    return int.from_bytes(digest[:8], "little", signed=True)
