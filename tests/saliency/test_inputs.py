"""Arguments as people give them, and what is said of those that cannot be used."""

from typing import Any

import numpy as np
import pytest
import torch
from pytorch_metric_learning import distances as pml
from torch import Tensor, nn

from lossprint.data.transforms import Preprocessing
from lossprint.saliency import attribution_maps, map_agreement, region_shares, saliency_maps
from tests.saliency.networks import residual

PIXELS = torch.randint(
    0, 256, (2, 3, 20, 20), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
)
SEEN = Preprocessing()(PIXELS)
BLACK = Preprocessing()(torch.zeros(1, 3, 20, 20, dtype=torch.uint8))[0]


def maps_of(images: Any = SEEN, **settings: Any) -> Tensor:
    model = settings.pop("model", residual())
    return saliency_maps(model, images, **{"distance": "lp", "samples": 3} | settings)


EXPECTED = maps_of(baseline=BLACK)


@pytest.mark.parametrize(
    ("images", "settings"),
    [
        (SEEN.numpy(), {"baseline": BLACK.numpy()}),
        (SEEN.numpy()[:, :, ::-1][:, :, ::-1], {"baseline": BLACK}),
        (SEEN, {"preprocessing": Preprocessing()}),
        (PIXELS, {"preprocessing": Preprocessing()}),
        (PIXELS.numpy(), {"preprocessing": Preprocessing()}),
        (PIXELS, {"preprocessing": Preprocessing(), "baseline": np.zeros((3, 20, 20), np.uint8)}),
        (SEEN, {"reference": BLACK.numpy()}),
        (SEEN.clone().requires_grad_(), {"baseline": BLACK}),
    ],
)
def test_arrays_and_pixels_give_the_maps_of_preprocessed_tensors(
    images: Any, settings: dict[str, Any]
) -> None:
    torch.testing.assert_close(maps_of(images, **settings), EXPECTED, atol=1e-6, rtol=0)


def test_noise_may_be_an_array() -> None:
    noise = torch.randn(2, 3, 3, 20, 20)
    torch.testing.assert_close(
        maps_of(baseline=BLACK, noise=noise.numpy()), maps_of(baseline=BLACK, noise=noise)
    )


def test_attributions_take_the_same_images() -> None:
    def maps(images: Any, **settings: Any) -> Tensor:
        return attribution_maps(
            residual(), images, method="integrated_gradients", distance="cosine", **settings
        )

    expected = maps(SEEN, baseline=BLACK)
    torch.testing.assert_close(maps(PIXELS.numpy(), preprocessing=Preprocessing()), expected)


class _Tuple(nn.Module):
    def forward(self, images: Tensor) -> Any:
        return images.mean((2, 3)), images


class _Dict(nn.Module):
    def forward(self, images: Tensor) -> Any:
        return {"embedding": images.mean((2, 3))}


def no_pixels(pixels: Tensor) -> Tensor:
    raise TypeError("Input tensor should be a float tensor")


@pytest.mark.parametrize(
    ("images", "settings", "message"),
    [
        (SEEN, {}, "give baseline=, one black image .* or preprocessing="),
        (PIXELS, {"baseline": BLACK}, "not torch.uint8; pixels of torch.uint8 need preprocessing="),
        (PIXELS, {"preprocessing": no_pixels}, "must take uint8 pixels .* raised TypeError: Input"),
        (
            SEEN,
            {"preprocessing": lambda pixels: pixels[..., 1:].float()},
            r"black image after preprocessing must be one image .* not \[3, 20, 19\]",
        ),
        ([1, 2], {"baseline": BLACK}, "images must be a torch tensor or a numpy array, not a list"),
        (np.array(["a"]), {"baseline": BLACK}, "images must hold numbers, not <U1"),
        (SEEN, {"baseline": 0}, "baseline must be a torch tensor or a numpy array, not a int"),
        (SEEN, {"preprocessing": lambda pixels: "x"}, "what preprocessing gives must be a torch"),
        (
            SEEN,
            {"baseline": BLACK, "model": len},
            "model must be a torch.nn.Module .* not a builtin",
        ),
        (
            SEEN,
            {"baseline": BLACK, "model": _Tuple()},
            "not a tuple: pass a module that returns one",
        ),
        (SEEN, {"baseline": BLACK, "model": _Dict()}, "not a dict: pass a module that returns one"),
        (SEEN, {"baseline": BLACK, "samples": 2.5}, "samples must be a whole number, not 2.5"),
        (
            SEEN,
            {"baseline": BLACK, "noise_level": "0.1"},
            "noise_level must be a number, not '0.1'",
        ),
        (SEEN, {"baseline": BLACK, "noise_level": -1}, "noise_level must be at least 0, not -1"),
        (SEEN, {"baseline": BLACK, "percentile": None}, "percentile must be a number, not None"),
        (SEEN, {"baseline": BLACK, "distance": pml.LpDistance}, "the class LpDistance: give an"),
        (SEEN, {"baseline": BLACK, "distance": lambda e, r: 1.0}, r"gave shape \(\) for"),
    ],
)
def test_what_cannot_be_used_is_named(images: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        maps_of(images, **settings)


def test_two_stacks_and_maps_by_name_agree_as_one_stack_does() -> None:
    stack = torch.rand(3, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    whole = map_agreement(stack)
    assert whole.names == ()
    pair = map_agreement(stack[0], stack[2].numpy())
    assert torch.equal(pair.correlation[0, 1], whole.correlation[0, 2])
    assert torch.equal(pair.divergence[0, 1], whole.divergence[0, 2])
    named = map_agreement({"triplet": stack[0], "arcface": stack[1], "margin": stack[2].numpy()})
    assert named.names == ("triplet", "arcface", "margin")
    assert torch.equal(named.correlation, whole.correlation)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ({"a": np.ones((2, 3, 3)), "b": np.ones((1, 3, 3))},),
            r"maps of b have shape \[1, 3, 3\]",
        ),
        (({"a": -np.ones((2, 3, 3))},), "map 0 of a has values in"),
        ((np.ones((2, 3, 3)), np.ones((2, 3, 4))), r"model 1 have shape \[2, 3, 4\]"),
        ((["a"],), "maps of model 0 must be an array or tensor .* not a str"),
        ((3,), "maps must be arrays"),
        (({"a": np.ones((2, 3, 3))}, np.ones((2, 3, 3))), "either maps by name or two stacks"),
    ],
)
def test_maps_that_cannot_be_compared_are_named(arguments: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        map_agreement(*arguments)


def test_shares_take_arrays() -> None:
    maps, masks = np.array([[[3.0, 1.0]]]), np.array([[[1, 0]]])
    assert region_shares(maps, masks)["car"].saliency.tolist() == [0.75]
    with pytest.raises(TypeError, match="masks must be a torch tensor or a numpy array"):
        region_shares(maps, masks.tolist())  # type: ignore[arg-type]
