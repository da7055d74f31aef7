"""SmoothGrad of an embedding's distance to the embedding of a black image.

The method of the study (Kobs et al., ICCV 2021) on the noise averaging of Smilkov et al.,
"SmoothGrad: removing noise by adding noise" (2017): the gradient of the distance with respect to
each noisy copy, averaged with its sign over the colour channels, in absolute value, summed over
the copies and clipped at a percentile.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lossprint.saliency.checks import check_images
from lossprint.saliency.distances import Score, resolve_distance
from lossprint.saliency.noise import ImageId, content_ids, shared_noise
from lossprint.saliency.normalization import clip_to_percentile
from lossprint.saliency.preparation import (
    computing_dtype,
    device_of,
    embed,
    evaluation_copy,
)


def saliency_maps(
    model: nn.Module,
    images: Tensor,
    *,
    distance: str | Callable[..., Any],
    baseline: Tensor,
    noise_level: float = 0.15,
    samples: int = 50,
    percentile: float = 99.0,
    noise: Tensor | None = None,
    generator: torch.Generator | None = None,
    seed: int = 0,
    image_ids: Sequence[ImageId] | None = None,
    reference: Tensor | None = None,
    batch_size: int | None = None,
) -> Tensor:
    """Where each image would have to change for its embedding to move, [N, H, W] in [0, 1].

    The noise is shared by default: the copies of an image depend on its identity and on `seed`
    alone, so maps of two models differ only where the models do.

    Args:
        model: any module from [M, C, H, W] to embeddings [M, D]. It is used in evaluation mode
            and comes back as it was: mode, weights, dtype, `requires_grad`, gradients.
        images: [N, C, H, W], preprocessed as the model wants them.
        distance: what is differentiated: "lp", "lp_squared", "cosine", "dot" or "snr", all of
            L2-normalized embeddings, or a distance object of pytorch-metric-learning.
        baseline: one black image [C, H, W], preprocessed as `images` are.
        noise_level: standard deviation of the noise, as a share of the image's max - min.
        samples: noisy copies of each image.
        percentile: of each map, what becomes 1; a constant map is all zeros.
        noise: standard normal draws [N, S, C, H, W] to use in place of drawing; S then is the
            number of copies.
        generator: draw from it, image after image, in place of the shared noise.
        seed: of the shared noise.
        image_ids: an identity for each image, for the shared noise. By default its content; give
            one where models see an image through different preprocessing.
        reference: an image [C, H, W] to whose embedding the distance is taken, in place of the
            baseline: what makes an image similar to this other one.
        batch_size: noisy copies in a batch; by default chosen to fit the device.

    Returns:
        Maps on the device of `images`, float32 (float64 for a float64 model).

    Raises:
        ValueError: images not [N, C, H, W], a baseline, reference or noise of another shape, an
            unknown distance, an output that is not [M, D], gradients that are not finite.
    """
    check_images(images, baseline=baseline, reference=reference)
    score = resolve_distance(distance)
    draws = _noise_source(images, noise, generator, seed, image_ids, samples)
    with evaluation_copy(model) as network:
        embedded = baseline if reference is None else reference
        sums = _summed_gradients(network, images, embedded, score, draws, noise_level, batch_size)
    return clip_to_percentile(sums, percentile)


DrawNoise = Callable[[int], Tensor]
"""The index of an image to its standard normal draws [S, C, H, W]."""


def _noise_source(
    images: Tensor,
    noise: Tensor | None,
    generator: torch.Generator | None,
    seed: int,
    image_ids: Sequence[ImageId] | None,
    samples: int,
) -> DrawNoise:
    """Where draws come from: given, from one generator in sequence, or by image identity.

    Raises:
        ValueError: noise of a wrong shape or given beside a generator, fewer than one sample, as
            many identities as there are not images.
    """
    shape = images.shape[1:]
    if noise is not None:
        if generator is not None:
            raise ValueError("give either noise or a generator to draw it from, not both")
        if noise.ndim != 5 or len(noise) != len(images) or noise.shape[2:] != shape:
            raise ValueError(
                f"noise must be [N, S, C, H, W] = [{len(images)}, S, "
                f"{', '.join(map(str, shape))}], not {list(noise.shape)}"
            )
        samples = noise.shape[1]
    if samples < 1:
        raise ValueError(f"samples must be at least 1, not {samples}")
    if noise is not None:
        return noise.__getitem__
    if generator is not None:
        return lambda _: torch.randn(
            (samples, *shape), generator=generator, device=generator.device
        )
    ids = content_ids(images) if image_ids is None else list(image_ids)
    if len(ids) != len(images):
        raise ValueError(f"image_ids names {len(ids)} images, but there are {len(images)}")
    return lambda n: shared_noise(ids[n], seed=seed, samples=samples, shape=shape)


def _summed_gradients(
    network: nn.Module,
    images: Tensor,
    embedded: Tensor,
    score: Score,
    draws: DrawNoise,
    noise_level: float,
    batch_size: int | None,
) -> Tensor:
    """Over the copies of each image, the sum of |mean over channels of the gradient|, [N, H, W]."""
    dtype = computing_dtype(network)
    device = device_of(network, images.device)
    sums = torch.zeros(len(images), *images.shape[2:], dtype=dtype, device=images.device)
    with torch.no_grad():
        reference = embed(network, embedded[None].to(device, dtype))[0]
    for n, image in enumerate(images.to(device, dtype)):
        copies = image + noise_level * (image.max() - image.min()) * draws(n).to(device, dtype)
        for part in copies.split(batch_size or len(copies)):
            part.requires_grad_()
            total = score(embed(network, part), reference).sum()
            (gradient,) = torch.autograd.grad(total, part)
            sums[n] += gradient.mean(1).abs().sum(0)
        if not sums[n].isfinite().all():
            raise ValueError(f"the gradient of image {n} is not finite")
    return sums
