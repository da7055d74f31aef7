"""Whether maps are right: how the embedding moves as an image loses what its map marks.

Maps of two networks may differ because these look at different things, or because one map is worse.
Deletion and insertion (Petsiuk et al., "RISE", BMVC 2018) tell the second: without what a good map
marks, an embedding moves at once, and of it alone it is almost itself.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate, normalize
from torchvision.transforms.v2.functional import gaussian_blur

from lossprint.saliency.checks import Preprocess
from lossprint.saliency.preparation import embed, evaluation_copy

CURVES = ("deletion", "insertion", "random")

STEPS = 8
"""In which an image is replaced."""

CELLS = 16
"""Side by side in an image; one is replaced as a whole, since scattered pixels would be noise."""

BLUR = 0.1
"""Standard deviation of the substitute's blur, as a share of the image's side."""


def faithfulness_curves(
    model: nn.Module, pixels: Tensor, maps: Tensor, *, preprocessing: Preprocess, seed: int = 0
) -> Tensor:
    """How far embeddings are from those of the whole images as cells are replaced by blur.

    - *deletion*: the cells with most saliency are replaced first;
    - *insertion*: of the blurred image, the cells with most saliency are restored first;
    - *random*: replaced in a random order, which breaks the ties of the others, too: a constant map
      has the curves of chance.

    Args:
        model: images to embeddings [M, D]; it comes back as it was.
        pixels: uint8 [N, 3, H, W], where the model is.
        maps: [N, H, W].
        preprocessing: uint8 pixels to the model's input.
        seed: of the random orders, one for each image.

    Returns:
        [3, N, STEPS + 1] float64 on the CPU, as `CURVES`: Euclidean distances of L2-normalized
        embeddings, over the distance of the wholly blurred image. NaN of an image that may be
        blurred without any change.

    Raises:
        ValueError: maps of another shape than the pixels'.
    """
    if maps.shape != (len(pixels), *pixels.shape[2:]):
        raise ValueError(
            f"maps have shape {list(maps.shape)} for pixels {list(pixels.shape)}: they must be "
            f"{[len(pixels), *pixels.shape[2:]]}"
        )
    side = min(CELLS, *pixels.shape[2:])
    saliency = adaptive_avg_pool2d(maps.float().cpu().unsqueeze(1), side).flatten(1)
    generator = torch.Generator().manual_seed(seed)
    found = []
    with torch.inference_mode(), evaluation_copy(model) as network:
        for image, cells in zip(pixels, saliency, strict=True):
            random = torch.randperm(len(cells), generator=generator)
            replaced = _replaced(cells, random).view(-1, 1, side, side).to(image.device)
            mask = interpolate(replaced.float(), size=image.shape[1:], mode="nearest") > 0
            mixed = torch.where(mask, blurred(image), image)
            found.append(_curves(embed(network, preprocessing(mixed)).double().cpu()))
    return torch.stack(found, dim=1)


def blurred(image: Tensor) -> Tensor:
    """What stands for cells that are replaced: uint8 [3, H, W], by a Gaussian of `BLUR`."""
    deviation = BLUR * min(image.shape[1:])
    size = 2 * round(2.5 * deviation) + 1
    smooth = gaussian_blur(image.float(), [size, size], [deviation, deviation])
    return smooth.round().clamp(0, 255).to(torch.uint8)


def area_over_random(curves: Tensor) -> dict[str, Tensor]:
    """By how much a map beats the random order, [N] for deletion and for insertion.

    The area between the curves over the share of cells replaced: 0 is a map that knows nothing, and
    no map exceeds 1. A random insertion is a random deletion backwards.
    """
    deletion, insertion, random = curves
    # Curves meet at both ends, so that the trapezoidal rule is a sum.
    return {
        "deletion": (deletion - random).sum(-1) / STEPS,
        "insertion": (random.flip(-1) - insertion).sum(-1) / STEPS,
    }


def _replaced(cells: Tensor, random: Tensor) -> Tensor:
    """Which cells [C] are replaced: none, all, and at each step between of the three curves."""
    counts = torch.linspace(0, len(cells), STEPS + 1).round()[1:-1, None]
    nothing = torch.zeros(1, len(cells), dtype=torch.bool)
    # A random insertion is a random deletion backwards, and so are ties in the two.
    deletion, insertion = _ranks(cells, random), _ranks(cells, random.flip(0))
    masks = (deletion < counts, insertion >= counts, random.argsort() < counts)
    return torch.cat([nothing, ~nothing, *masks])


def _ranks(cells: Tensor, ties: Tensor) -> Tensor:
    """Place of each cell, the most salient first, and of equal ones the first in `ties`."""
    return ties[cells[ties].argsort(descending=True, stable=True)].argsort()


def _curves(embeddings: Tensor) -> Tensor:
    """Embeddings [2 + 3 (STEPS − 1), D] of `_replaced` to the three curves."""
    unit = normalize(embeddings)
    distance = (unit[1:] - unit[0]).norm(dim=1)
    whole = distance[0] if distance[0] > 0 else torch.tensor(torch.nan)
    deletion, insertion, random = (distance[1:] / whole).view(3, STEPS - 1)
    start, end = (whole * 0).view(1), (whole / whole).view(1)
    return torch.stack(
        [
            torch.cat([start, deletion, end]),
            torch.cat([end, insertion, start]),
            torch.cat([start, random, end]),
        ]
    )
