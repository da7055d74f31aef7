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

from lossprint.saliency.acceleration import accelerated
from lossprint.saliency.batching import Batches, fitting_size
from lossprint.saliency.checks import (
    Images,
    Preprocess,
    as_tensor,
    black_image,
    check_images,
    check_model,
    check_noise,
    check_number,
    model_input,
    reference_images,
)
from lossprint.saliency.distances import resolve_distance
from lossprint.saliency.input_gradient import InputGradient
from lossprint.saliency.noise import ImageId, content_ids, shared_noise
from lossprint.saliency.normalization import check_percentile, clip_to_percentile
from lossprint.saliency.preparation import (
    Precision,
    computing_dtype,
    device_of,
    embed,
    evaluation_copy,
)


def saliency_maps(
    model: nn.Module,
    images: Images,
    *,
    distance: str | Callable[..., Any],
    baseline: Images | None = None,
    preprocessing: Preprocess | None = None,
    noise_level: float = 0.15,
    samples: int = 50,
    percentile: float = 99.0,
    noise: Images | None = None,
    generator: torch.Generator | None = None,
    seed: int = 0,
    image_ids: Sequence[ImageId] | None = None,
    reference: Images | None = None,
    precision: Precision = "exact",
    batch_size: int | None = None,
    progress: Callable[[int], object] = lambda done: None,
) -> Tensor:
    """Where each image would have to change for its embedding to move, [N, H, W] in [0, 1].

    The noise is shared by default: the copies of an image depend on its identity and on `seed`
    alone, so maps of two models differ only where the models do.

    Args:
        model: any module from [M, C, H, W] to embeddings [M, D]. It is used in evaluation mode
            and comes back as it was: mode, weights, dtype, `requires_grad`, gradients.
        images: [N, C, H, W], preprocessed as the model wants them, torch or numpy; or uint8
            pixels, which `preprocessing` is given.
        distance: what is differentiated: "lp", "lp_squared", "cosine", "dot" or "snr", all of
            L2-normalized embeddings, or a distance object of pytorch-metric-learning.
        baseline: one black image [C, H, W], preprocessed as `images` are. By default
            `preprocessing` makes it.
        preprocessing: from uint8 pixels [N, C, H, W] to what the model sees, of the same shape,
            such as `lossprint.data.transforms.Preprocessing()`.
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
            baseline: what makes an image similar to this other one. Or one for each image,
            [N, C, H, W].
        precision: "exact" computes in float32 (float64 for a float64 model); "fast" under
            autocast to float16 where the device has instructions for it, scaled so that no
            gradient vanishes. Elsewhere it is the same as exact, which is warned of.
        batch_size: noisy copies at once; by default chosen to fit the device. Where memory
            runs out it is halved, and that is warned of once.
        progress: told how many images are done, as they are.

    Returns:
        Maps on the device of `images`, float32 (float64 for a float64 model).

    Raises:
        TypeError: arguments of another kind.
        ValueError: images not [N, C, H, W], neither a baseline nor preprocessing nor a reference,
            a baseline, reference or noise of another shape, an unknown distance, an output that
            is not [M, D], gradients that are not finite.
    """
    check_model(model)
    seen = model_input("images", images, preprocessing)
    check_images(seen)
    others = (
        black_image(baseline, seen, preprocessing).unsqueeze(0)
        if reference is None
        else reference_images(reference, seen, preprocessing)
    )
    score = resolve_distance(distance)
    given = None if noise is None else as_tensor("noise", noise)
    if given is not None:
        check_noise(given, seen)
        samples = given.shape[1]
    check_number("samples", samples, at_least=1, whole=True)
    check_number("noise_level", noise_level, at_least=0)
    check_percentile(percentile)
    if batch_size is not None:
        check_number("batch_size", batch_size, at_least=1, whole=True)
    draws = _noise_source(seen, given, generator, seed, image_ids, samples)
    if precision not in ("exact", "fast"):
        raise ValueError(f"unknown precision {precision!r}: use exact or fast")
    device = device_of(model, seen.device)
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast(device.type, enabled=False),
        evaluation_copy(model) as network,
    ):
        uses_original = network is model
        dtype = computing_dtype(model)
        if uses_original:
            dtype = next((weight.dtype for weight in model.parameters()), dtype)
        with torch.no_grad():
            embeddings = [embed(network, x.to(device, dtype).unsqueeze(0)) for x in others]
        targets = torch.cat(embeddings).to(torch.promote_types(dtype, torch.float32))
        examples = _examples(seen[0]).to(device, dtype)
        if not uses_original:
            network = accelerated(network, examples)
        gradient = InputGradient(network, score, dtype, device)
        if precision == "fast":
            gradient.use_float16(examples, targets[0])
        size = batch_size or fitting_size(gradient.toward(targets[0]), examples)
        batches = Batches(size)
        # Images whose copies are made at once: as many as one batch takes, of one target.
        together = max(1, size // samples) if len(targets) == 1 else 1
        found = []
        for start in range(0, len(seen), together):
            rows = range(start, min(start + together, len(seen)))
            copies = _noisy_copies(seen, rows, draws, noise_level)
            gradients = batches(gradient.toward(targets[start % len(targets)]), copies)
            found.append(gradients.abs().unflatten(0, (len(rows), -1)).sum(1).to(seen.device))
            progress(rows.stop)
        maps = torch.cat(found)
    for n in (~maps.isfinite().all(2).all(1)).nonzero():
        raise ValueError(f"the gradient of image {int(n)} is not finite")
    return clip_to_percentile(maps, percentile)


def _examples(image: Tensor) -> Tensor:
    """Two noisy copies of an image [C, H, W], [2, C, H, W], to try a network on."""
    spread = float(image.max() - image.min()) or 1.0
    draws = torch.randn(2, *image.shape, generator=torch.Generator().manual_seed(0))
    return torch.add(image, draws.to(image), alpha=0.15 * spread)


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
        ValueError: noise given beside a generator, or not one identity for each image.
    """
    shape = images.shape[1:]
    if noise is not None:
        if generator is not None:
            raise ValueError("give either noise or a generator to draw it from, not both")
        return noise.__getitem__
    if generator is not None:
        return lambda _: torch.randn(
            (samples, *shape), generator=generator, device=generator.device
        )
    ids = content_ids(images) if image_ids is None else list(image_ids)
    if len(ids) != len(images):
        raise ValueError(f"image_ids names {len(ids)} images, but there are {len(images)}")
    return lambda n: shared_noise(ids[n], seed=seed, samples=samples, shape=shape)


def _noisy_copies(images: Tensor, rows: range, draws: DrawNoise, noise_level: float) -> Tensor:
    """Of some images, one after the other, [n · S, C, H, W]."""
    copies = []
    for row in rows:
        image, noise = images[row], draws(row)
        dtype = torch.promote_types(image.dtype, noise.dtype)
        image, noise = image.to(noise.device, dtype), noise.to(dtype)
        deviation = float(noise_level * (image.max() - image.min()))
        copies.append(torch.add(image, noise, alpha=deviation))
    return torch.cat(copies) if len(copies) > 1 else copies[0]
