"""Saliency maps as a picture: image, map and the map over the image, one column an image."""

import torch
from PIL import Image
from skimage.util import montage
from torch import Tensor

CELL = 128
"""Pixels an image is enlarged to at least, by a whole factor."""

GAP = 4


def map_strip(pixels: Tensor, maps: Tensor) -> Image.Image:
    """Draw images uint8 [N, 3, H, W] and their maps [N, H, W] in [0, 1] as three rows.

    The second row goes from black over red and yellow to white. In the third the image is grey
    and dim where the map is 0, and shows its colours where the map is 1.

    Raises:
        ValueError: maps of another number or size than the images.
    """
    if maps.shape != (len(pixels), *pixels.shape[2:]) or not len(pixels):
        raise ValueError(
            f"images {list(pixels.shape)} need maps [{len(pixels)}, {pixels.shape[2]}, "
            f"{pixels.shape[3]}], not {list(maps.shape)}"
        )
    images = pixels.permute(0, 2, 3, 1).float().cpu() / 255
    strength = maps.float().cpu().unsqueeze(-1)
    heat = (strength * 3 - torch.tensor([0.0, 1.0, 2.0])).clamp(0, 1)
    grey = images.mean(-1, keepdim=True).expand_as(images) * 0.4
    overlay = grey + strength.sqrt() * (images - grey)
    factor = max(1, CELL // pixels.shape[2])
    cells = (torch.cat([images, heat, overlay]) * 255).round().byte().numpy()
    strip = montage(
        cells.repeat(factor, axis=1).repeat(factor, axis=2),
        fill=(255, 255, 255),
        grid_shape=(3, len(pixels)),
        padding_width=GAP,
        channel_axis=-1,
    )
    return Image.fromarray(strip[GAP:-GAP, GAP:-GAP])
