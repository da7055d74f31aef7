import dataclasses
from itertools import combinations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy.ndimage import sobel
from scipy.signal import convolve2d
from scipy.stats import pearsonr, t
from torch import nn

from lossprint.probing import maps_key
from lossprint.saliency import randomized_copy, saliency_maps
from lossprint.saliency.noise import shared_noise
from lossprint.studies import ladder, map_agreement
from lossprint.studies.study import Study
from tests.studies.planted import IMAGES, SETTINGS, networks, probe_set


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.first, self.last = nn.Conv2d(3, 4, 3), nn.Linear(4, 5)
        for weights in self.parameters():
            nn.init.normal_(weights, generator=generator)

    def forward(self, images):
        return self.last(torch.relu(self.first(images)).mean((2, 3)))


def rungs(made, **settings):
    changed = dataclasses.replace(SETTINGS, **settings)
    study = Study(made, probe_set(), changed, [map_agreement, ladder])
    return study.table("ladder").set_index("rung"), study


def test_rungs_are_means_over_pairs_that_share_no_seed(tmp_path):
    made = networks(tmp_path, ("triplet", "contrastive", "arcface"), loss_effect=1.0)
    made = [dataclasses.replace(n, lineage="one") if n.family == "ranking" else n for n in made]
    table, _ = rungs(made)
    maps = {}
    for network in made:
        key = maps_key(network, probe_set(), SETTINGS.maps)
        stored = load_file(network.cache / f"maps-{key}.safetensors")["maps"]
        maps[network.loss, network.seed] = stored.double().numpy().reshape(IMAGES, -1)
    z = {
        "another seed of the loss": [],
        "two losses of one lineage": [],
        "losses of two families": [],
    }
    for (a, s), (b, other) in combinations(maps, 2):
        if s == other:
            continue
        rung = (
            "another seed of the loss"
            if a == b
            else "losses of two families"
            if "arcface" in (a, b)
            else "two losses of one lineage"
        )
        r = [pearsonr(x, y)[0] for x, y in zip(maps[a, s], maps[b, other], strict=True)]
        z[rung].append(np.arctanh(r))
    assert table.index.tolist() == list(z)
    by_image = {rung: np.tanh(np.mean(values, axis=0)) for rung, values in z.items()}
    for rung, values in z.items():
        below = table.loc[rung, ["below_seeds", "below_seeds_low", "below_seeds_high"]]
        if rung == ladder.SEEDS:
            assert below.isna().all()
        else:
            difference = by_image[ladder.SEEDS] - by_image[rung]
            mean, designs = difference.mean(), probe_set().properties["model"][:IMAGES]
            sums = [(difference[designs == one] - mean).sum() for one in set(designs)]
            variance = len(sums) / (len(sums) - 1) * np.square(sums).sum() / IMAGES**2
            reach = t.ppf(0.975, len(sums) - 1) * variance**0.5
            expected = [mean, mean - reach, mean + reach]
            np.testing.assert_allclose(below.astype(float), expected, atol=1e-5)
        assert table.loc[rung, "mean"] == pytest.approx(np.tanh(np.mean(values)), abs=1e-5)
        assert table.loc[rung, "pairs"] == len(values)
        assert table.loc[rung, "low"] < table.loc[rung, "mean"] < table.loc[rung, "high"]


def test_a_network_is_held_against_its_own_floors_and_ceilings(tmp_path):
    (made,) = networks(tmp_path, ("triplet",), seeds=(0,), keep=False)
    made = dataclasses.replace(made, load=lambda: (Tiny().eval(), lambda pixels: pixels / 255))
    table, study = rungs([made], ladder_images=4)
    assert table.index.tolist() == [
        "same network, other noise draws",
        "weights of the last layer shuffled",
        "weights of the last half shuffled",
        "weights of the first half shuffled",
        "all weights shuffled",
        "edges of the image",
        "same network, another image",
    ]
    assert (table["images"] == 4).all()
    stored = load_file(study.maps[0])["maps"][:4].double().numpy().reshape(4, -1)
    pixels = probe_set().pixels(range(4))
    again = saliency_maps(
        Tiny().eval(),
        pixels / 255,
        distance="cosine",
        baseline=torch.zeros(3, 16, 16),
        samples=SETTINGS.maps.samples,
        seed=SETTINGS.maps.seed + 1,
        image_ids=probe_set().files[:4],
    ).half()
    grey = pixels.double().mean(1).numpy()
    edges = [np.hypot(*(sobel(image, axis, mode="nearest") for axis in (0, 1))) for image in grey]
    for rung, others in {
        "same network, another image": stored[[3, 0, 1, 2]],
        "same network, other noise draws": again,
        "edges of the image": np.stack(edges),
    }.items():
        others = np.asarray(others, dtype=float).reshape(4, -1)
        r = [pearsonr(one, other)[0] for one, other in zip(stored, others, strict=True)]
        expected = np.tanh(np.mean(np.arctanh(r)))
        assert table.loc[rung, "mean"] == pytest.approx(expected, abs=1e-4), rung
    # Of two layers the last is the last half, and is neither the first half nor all.
    last, half, first, every = table["mean"].iloc[1:5]
    assert last == half
    assert len({half, first, every}) == 3


def test_shuffled_networks_see_the_same_noise(tmp_path):
    """Smooth MPRT, written out: means over shared noisy copies, then a correlation."""
    (made,) = networks(tmp_path, ("triplet",), seeds=(0,), keep=False)
    made = dataclasses.replace(made, load=lambda: (Tiny().eval(), lambda pixels: pixels / 255))
    table, _ = rungs([made], ladder_images=3)
    images = probe_set().pixels(range(3)) / 255

    def smooth(model: nn.Module) -> list[np.ndarray]:
        target = nn.functional.normalize(model(torch.zeros(1, 3, 16, 16)).detach())[0]
        maps = []
        for image, file in zip(images, probe_set().files, strict=False):
            total = torch.zeros(16, 16)
            for draw in shared_noise(file, seed=0, samples=2, shape=image.shape):
                noisy = image + 0.15 * (image.max() - image.min()) * draw
                noisy.requires_grad_()
                (nn.functional.normalize(model(noisy[None]))[0] @ target).backward()
                total += noisy.grad.mean(0).abs()
            maps.append(total.clamp(max=np.percentile(total.numpy(), 99)).numpy().ravel())
        return maps

    own = smooth(Tiny())
    for rung, layers in ladder.SHUFFLED.items():
        other = smooth(randomized_copy(Tiny(), seed=0, **layers))
        r = [pearsonr(a, b)[0] for a, b in zip(own, other, strict=True)]
        assert table.loc[rung, "mean"] == pytest.approx(np.tanh(np.mean(np.arctanh(r))), abs=2e-3)


def test_edges_are_sobels():
    pixels = torch.randint(0, 256, (2, 3, 9, 7), dtype=torch.uint8)
    grey = pixels.double().mean(1).numpy()
    kernel = np.outer([1, 2, 1], [1, 0, -1])
    for found, image in zip(ladder.edge_maps(pixels), grey, strict=True):
        slopes = [convolve2d(image, k, mode="same", boundary="symm") for k in (kernel, kernel.T)]
        np.testing.assert_allclose(found, np.hypot(*slopes), rtol=1e-4, atol=1e-3)
