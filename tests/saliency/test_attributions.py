"""Attributions through Captum of the same scalar."""

import numpy as np
import pytest
import torch
from torch import nn

from lossprint.saliency import attribution_maps
from lossprint.saliency.attributions import AT_ONCE, METHODS
from tests.saliency.networks import residual, seeded

IMAGES = torch.randn(2, 3, 24, 24, generator=torch.Generator().manual_seed(0))
BLACK = torch.full((3, 24, 24), -0.5)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_maps_every_image_and_leaves_the_model(method: str) -> None:
    model = residual().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    maps = attribution_maps(model, IMAGES, method=method, distance="cosine", baseline=BLACK)
    assert maps.shape == (2, 24, 24)
    assert maps.amin() == 0
    assert maps.amax() == 1
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("method", METHODS)
def test_a_map_does_not_depend_on_the_other_images(method: str) -> None:
    images = torch.randn(AT_ONCE + 1, 3, 24, 24, generator=torch.Generator().manual_seed(1))
    words = {"method": method, "distance": "lp", "baseline": BLACK}
    model = residual()
    together = attribution_maps(model, images, **words)
    alone = torch.cat([attribution_maps(model, image[None], **words) for image in images])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=0)


@pytest.mark.parametrize("method", ["saliency", "integrated_gradients"])
def test_a_linear_score_has_closed_forms(method: str) -> None:
    model = seeded(nn.Sequential(nn.Flatten(), nn.Linear(3 * 24 * 24, 4)))
    maps = attribution_maps(
        model, IMAGES, method=method, distance=lambda e, r: e @ r.T, baseline=BLACK
    )
    with torch.no_grad():
        weights = (model(BLACK[None])[0] @ model[1].weight).view(3, 24, 24)
    path = IMAGES - BLACK if method == "integrated_gradients" else torch.ones_like(IMAGES)
    raw = (weights * path).mean(1).abs()
    for one, expected in zip(maps, raw, strict=True):
        low, high = expected.min(), np.percentile(expected.numpy(), 99)
        torch.testing.assert_close(
            one, ((expected - low) / (high - low)).clamp(0, 1), atol=1e-4, rtol=0
        )


def test_occlusion_finds_the_only_pixels_that_count() -> None:
    class Corner(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            corner = images[:, :, :4, :4].mean((1, 2, 3))
            return torch.stack([corner, torch.ones_like(corner)], dim=1)

    maps = attribution_maps(
        Corner(), IMAGES[:1], method="occlusion", distance="lp", baseline=BLACK, percentile=100
    )
    assert maps[0, :4, :4].max() == 1
    assert (maps[0, 5:, 5:] == 0).all()


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="unknown attribution 'lime': use one of saliency"):
        attribution_maps(residual(), IMAGES, method="lime", distance="lp", baseline=BLACK)
    linear = seeded(nn.Sequential(nn.Flatten(), nn.Linear(3 * 24 * 24, 4)))
    with pytest.raises(ValueError, match="Grad-CAM needs a feature map"):
        attribution_maps(linear, IMAGES, method="grad_cam", distance="lp", baseline=BLACK)
