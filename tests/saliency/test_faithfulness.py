"""Deletion and insertion against a plain loop, and maps that are right, wrong and empty."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from lossprint.saliency.faithfulness import STEPS, area_over_random, blurred, faithfulness_curves
from tests.saliency.networks import residual

SIDE = 32
PIXELS = torch.randint(
    0, 256, (3, 3, SIDE, SIDE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
)


def scaled(pixels: torch.Tensor) -> torch.Tensor:
    return pixels.float() / 255


class Quarter(nn.Module):
    """Sees the contrast of the upper left quarter, which blur takes away, and nothing else."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        contrast = images[:, :, : SIDE // 2, : SIDE // 2].std((1, 2, 3))
        return torch.stack([contrast, torch.full_like(contrast, 0.1)], dim=1)


def test_curves_are_those_of_a_plain_loop():
    maps = torch.rand(3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    model = residual()
    deletion, insertion, random = faithfulness_curves(
        model, PIXELS, maps, preprocessing=scaled, seed=7
    ).numpy()
    generator = torch.Generator().manual_seed(7)
    for n, image in enumerate(PIXELS.numpy()):
        smooth = np.stack(
            [gaussian_filter(c.astype(float), 3.2, mode="mirror", radius=8) for c in image]
        ).round()
        cells = maps[n].numpy().reshape(16, 2, 16, 2).mean((1, 3)).ravel()
        shuffled = torch.randperm(256, generator=generator).numpy()

        def embedding(gone, image=image, smooth=smooth):
            mixed = image.astype(float)
            for cell in gone:
                y, x = 2 * (cell // 16), 2 * (cell % 16)
                mixed[:, y : y + 2, x : x + 2] = smooth[:, y : y + 2, x : x + 2]
            with torch.no_grad():
                found = model(torch.from_numpy(mixed / 255).float()[None])[0].double().numpy()
            return found / np.linalg.norm(found)

        whole = embedding([])
        far = np.linalg.norm(embedding(range(256)) - whole)
        order = np.argsort(-cells)
        for step in range(STEPS + 1):
            k = 32 * step
            for curve, gone in (
                (deletion, order[:k]),
                (insertion, order[k:]),
                (random, shuffled[:k]),
            ):
                expected = np.linalg.norm(embedding(gone) - whole) / far
                assert curve[n, step] == pytest.approx(expected, abs=2e-3)


def test_the_substitute_is_a_gaussian_blur():
    flat = torch.full((3, 20, 20), 9, dtype=torch.uint8)
    assert torch.equal(blurred(flat), flat)
    assert blurred(PIXELS[0]).float().std() < 0.2 * PIXELS[0].float().std()


@pytest.mark.parametrize("sign", [1, -1, 0], ids=["seen", "unseen", "nothing"])
def test_maps_that_are_right_beat_the_random_order_and_wrong_ones_do_not(sign):
    maps = torch.zeros(3, SIDE, SIDE)
    maps[:, : SIDE // 2, : SIDE // 2] = sign
    maps -= maps.min()
    curves = faithfulness_curves(Quarter(), PIXELS, maps, preprocessing=scaled)
    for area in area_over_random(curves).values():
        if sign:
            assert (sign * area > 0.1).all()
        else:
            assert area.tolist() == pytest.approx([0.0] * 3, abs=1e-6)


def test_areas_are_those_of_the_trapezoidal_rule():
    share = torch.linspace(0, 1, STEPS + 1)
    curves = torch.stack([share**0.5, (1 - share) ** 3, share]).unsqueeze(1).double()
    found = area_over_random(curves)
    x = share.numpy()
    assert found["deletion"].item() == pytest.approx(np.trapezoid(x**0.5 - x, x))
    assert found["insertion"].item() == pytest.approx(np.trapezoid((1 - x) - (1 - x) ** 3, x))


def test_an_image_that_blur_does_not_change_has_no_curve():
    flat = torch.full((1, 3, SIDE, SIDE), 100, dtype=torch.uint8)
    curves = faithfulness_curves(Quarter(), flat, torch.rand(1, SIDE, SIDE), preprocessing=scaled)
    assert curves.isnan().all()


def test_maps_of_another_shape_are_refused():
    with pytest.raises(
        ValueError, match=r"maps have shape \[3, 8, 8\] for pixels \[3, 3, 32, 32\]"
    ):
        faithfulness_curves(Quarter(), PIXELS, torch.rand(3, 8, 8), preprocessing=scaled)
