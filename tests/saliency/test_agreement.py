"""Agreement of maps against the study's numbers and against scipy."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save_file
from scipy.spatial.distance import jensenshannon

from lossprint.saliency import map_agreement
from lossprint.saliency.agreement import TILE

GOLDEN = np.load(Path(__file__).parent / "golden" / "map_similarity.npz", allow_pickle=False)


def random_maps(models: int, images: int, height: int, width: int) -> np.ndarray:
    """Skewed, with exact zeros, as maps are."""
    random = np.random.default_rng(0)
    return np.maximum(random.random((models, images, height, width)) ** 3 - 0.05, 0)


def test_agrees_with_the_published_analysis() -> None:
    agreement = map_agreement(torch.from_numpy(GOLDEN["maps"]))
    np.testing.assert_allclose(agreement.correlation, GOLDEN["correlation"], atol=1e-6, rtol=0)
    np.testing.assert_allclose(
        agreement.divergence, GOLDEN["jensen_shannon_divergence"], atol=1e-6, rtol=0
    )


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_agrees_with_scipy_across_tiles_and_scales(scale: float) -> None:
    maps = random_maps(3, 2, 50, 47)  # two whole tiles and a part
    assert maps[0, 0].size % TILE
    agreement = map_agreement(maps * scale)
    for a in range(3):
        for b in range(3):
            for image in range(2):
                p, q = maps[a, image].ravel(), maps[b, image].ravel()
                assert agreement.correlation[a, b, image] == pytest.approx(
                    np.corrcoef(p, q)[0, 1], abs=1e-6
                )
                assert agreement.divergence[a, b, image] == pytest.approx(
                    jensenshannon(p, q) ** 2, abs=1e-6
                )


def test_maps_that_do_not_overlap_diverge_by_ln_2() -> None:
    maps = torch.zeros(2, 1, 8, 8)
    maps[0, 0, :4] = 1
    maps[1, 0, 4:] = 5
    agreement = map_agreement(maps)
    assert agreement.divergence[0, 1, 0] == pytest.approx(np.log(2), abs=1e-6)
    assert agreement.correlation[0, 1, 0] == pytest.approx(-1, abs=1e-6)
    assert agreement.correlation[0, 0, 0] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.1, 7.0])
def test_a_constant_map_correlates_with_nothing_and_is_uniform(value: float) -> None:
    maps = np.stack([np.full((1, 9, 9), value), random_maps(1, 1, 9, 9)[0]])
    agreement = map_agreement(maps)
    assert (agreement.correlation[0] == 0).all()
    uniform = jensenshannon(np.full(81, 1.0), maps[1].ravel()) ** 2
    assert agreement.divergence[0, 1, 0] == pytest.approx(uniform, abs=1e-6)


@pytest.mark.parametrize("block", [1, 2, 7, None])
def test_maps_stream_from_disk(tmp_path: Path, block: int | None) -> None:
    maps = random_maps(2, 5, 6, 6).astype(np.float16)
    save_file({"maps": maps[0]}, tmp_path / "one.safetensors")
    np.save(tmp_path / "two.npy", maps[1])
    with safe_open(tmp_path / "one.safetensors", framework="numpy") as file:
        sources: list[Any] = [
            file.get_slice("maps"),
            np.load(tmp_path / "two.npy", mmap_mode="r", allow_pickle=False),
        ]
        streamed = map_agreement(sources, block=block)
    whole = map_agreement(maps)
    assert torch.equal(streamed.correlation, whole.correlation)
    assert torch.equal(streamed.divergence, whole.divergence)


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        ([], "no maps to compare"),
        ([np.ones((2, 3, 3)), np.ones((3, 3, 3))], r"model 1 have shape \[3, 3, 3\], those of"),
        ([np.ones((2, 3, 3)), np.ones((2, 3, 4))], r"model 1 have shape \[2, 3, 4\]"),
        (np.ones((2, 3, 3)), "non-empty"),
        (np.ones((2, 0, 3, 3)), "non-empty"),
        (-np.ones((1, 2, 3, 3)), r"map 0 of model 0 has values in \[-1.0, -1.0\]"),
        (np.full((1, 1, 2, 2), np.nan), "map 0 of model 0 .* must be finite"),
        (np.full((1, 1, 2, 2), np.inf), "map 0 of model 0 .* must be finite"),
    ],
)
def test_bad_input_is_named(maps: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        map_agreement(maps)


def test_a_block_of_no_images_is_refused() -> None:
    with pytest.raises(ValueError, match="block must be at least 1 image, not 0"):
        map_agreement(np.ones((1, 1, 2, 2)), block=0)
