"""Other attributions of the same scalar, through Captum, one word each."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from lossprint.saliency.checks import (
    Images,
    Preprocess,
    black_image,
    check_images,
    check_model,
    model_input,
    single_image,
)
from lossprint.saliency.distances import Score, resolve_distance
from lossprint.saliency.normalization import check_percentile, clip_to_percentile
from lossprint.saliency.preparation import computing_dtype, device_of, embed, evaluation_copy

AT_ONCE = 8
"""Images that go through the network together."""

OCCLUSION_WINDOWS = 16
"""Windows that fit side by side into an image; they overlap by half."""


def attribution_maps(
    model: nn.Module,
    images: Images,
    *,
    method: str,
    distance: str | Callable[..., Any],
    baseline: Images | None = None,
    preprocessing: Preprocess | None = None,
    reference: Images | None = None,
    percentile: float = 99.0,
) -> Tensor:
    """Maps [N, H, W] in [0, 1] by another method than the study's, of the same distance.

    All take the mean with its sign over the channels and then the absolute value, as
    `saliency_maps` does, and clip at the same percentile.

    Args:
        model: images [M, C, H, W] to embeddings [M, D]; it comes back as it was.
        images: [N, C, H, W], preprocessed, torch or numpy; or uint8 pixels, which
            `preprocessing` is given.
        method: "saliency", the plain gradient; "integrated_gradients" from the baseline, 50
            steps; "occlusion" by windows of the baseline, a sixteenth of the image wide;
            "grad_cam" on the last feature map of more than one pixel, which is interpolated.
        distance: as for `saliency_maps`.
        baseline: one black image [C, H, W], preprocessed. By default `preprocessing` makes it.
        preprocessing: as for `saliency_maps`.
        reference: the image [C, H, W] whose embedding the distance is taken to; by default the
            baseline.
        percentile: of each map, what becomes 1.

    Raises:
        TypeError: arguments of another kind.
        ValueError: an unknown method, wrong shapes, neither a baseline nor preprocessing, or
            Grad-CAM of a network without a convolution that gives more than one pixel.
    """
    if method not in METHODS:
        raise ValueError(f"unknown attribution {method!r}: use one of {', '.join(METHODS)}")
    check_model(model)
    seen = model_input("images", images, preprocessing)
    check_images(seen)
    score = resolve_distance(distance)
    black = black_image(baseline, seen, preprocessing)
    other = black
    if reference is not None:
        other = single_image("reference", reference, seen, preprocessing)
    check_percentile(percentile)
    dtype, device = computing_dtype(model), device_of(model, seen.device)
    with torch.inference_mode(False), torch.enable_grad(), evaluation_copy(model) as network:
        black, other = (image.to(device, dtype).unsqueeze(0) for image in (black, other))
        with torch.no_grad():
            target = embed(network, other)[0]
        scalar = _Scalar(network, score, target)
        maps = [
            METHODS[method](scalar, some.to(device, dtype), black).detach().mean(1).abs()
            for some in seen.split(AT_ONCE)
        ]
    return clip_to_percentile(torch.cat(maps).to(seen.device), percentile)


class _Scalar(nn.Module):
    """Images [M, C, H, W] to the distance of their embeddings, [M]."""

    def __init__(self, network: nn.Module, score: Score, target: Tensor) -> None:
        super().__init__()
        self.network = network
        self.score = score
        self.target = target

    def forward(self, images: Tensor) -> Tensor:
        return self.score(embed(self.network, images), self.target)


# Captum is imported where it is used: it takes a second, which the study's method need not wait.


def _saliency(scalar: _Scalar, images: Tensor, baseline: Tensor) -> Tensor:
    from captum.attr import Saliency

    return Saliency(scalar).attribute(images.clone().requires_grad_(), abs=False)


def _integrated_gradients(scalar: _Scalar, images: Tensor, baseline: Tensor) -> Tensor:
    from captum.attr import IntegratedGradients

    return IntegratedGradients(scalar).attribute(
        images, baselines=baseline, n_steps=50, internal_batch_size=16
    )


def _occlusion(scalar: _Scalar, images: Tensor, baseline: Tensor) -> Tensor:
    from captum.attr import Occlusion

    channels, height, width = images.shape[1:]
    window = (channels, *(max(1, side // OCCLUSION_WINDOWS) for side in (height, width)))
    strides = (channels, *(max(1, side // 2) for side in window[1:]))
    with torch.no_grad():
        return Occlusion(scalar).attribute(
            images,
            sliding_window_shapes=window,
            strides=strides,
            baselines=baseline,
            perturbations_per_eval=2,
        )


def _grad_cam(scalar: _Scalar, images: Tensor, baseline: Tensor) -> Tensor:
    from captum.attr import LayerGradCam

    layer = _last_stage(scalar, images[:1])
    maps = LayerGradCam(scalar, layer).attribute(images.clone().requires_grad_())
    return interpolate(maps, size=images.shape[2:], mode="bilinear", align_corners=False)


def _last_stage(scalar: _Scalar, image: Tensor) -> nn.Module:
    """The last module to give a feature map [1, K, h, w] of more than one pixel."""
    stages: list[nn.Module] = []

    def note(module: nn.Module, _: Any, output: Any) -> None:
        if (
            isinstance(output, Tensor)
            and output.ndim == 4
            and output.shape[2] * output.shape[3] > 1
        ):
            stages.append(module)

    handles = [module.register_forward_hook(note) for module in scalar.network.modules()]
    try:
        with torch.no_grad():
            scalar(image)
    finally:
        for handle in handles:
            handle.remove()
    if not stages:
        raise ValueError("Grad-CAM needs a feature map [N, K, h, w]; this network gives none")
    return stages[-1]


METHODS: dict[str, Callable[[_Scalar, Tensor, Tensor], Tensor]] = {
    "saliency": _saliency,
    "integrated_gradients": _integrated_gradients,
    "occlusion": _occlusion,
    "grad_cam": _grad_cam,
}
