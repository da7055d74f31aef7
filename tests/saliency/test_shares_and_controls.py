"""What maps are held against: regions, shuffled weights."""

import pytest
import torch

from lossprint.saliency import randomized_copy, region_shares, saliency_maps
from tests.saliency.networks import residual


def test_shares_by_hand() -> None:
    maps = torch.tensor([[[4.0, 2.0], [2.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    masks = torch.tensor([[[1, 0], [2, 0]], [[1, 1], [1, 0]]], dtype=torch.uint8)
    shares = region_shares(maps, masks)
    assert {name: share.saliency[0].item() for name, share in shares.items()} == {
        "car": 0.5,
        "background": 0.25,
        "shadow": 0.25,
    }
    assert shares["car"].area.tolist() == [0.25, 0.75]
    assert shares["car"].saliency[1].isnan()


def test_an_even_map_has_the_share_of_the_area() -> None:
    masks = torch.randint(0, 3, (4, 9, 9), generator=torch.Generator().manual_seed(0))
    for share in region_shares(torch.full((4, 9, 9), 0.3), masks).values():
        torch.testing.assert_close(share.saliency, share.area)


def test_masks_of_another_size_and_bad_maps_are_refused() -> None:
    with pytest.raises(ValueError, match=r"not \[1, 2, 2\] and \[1, 3, 3\]"):
        region_shares(torch.ones(1, 2, 2), torch.ones(1, 3, 3))
    with pytest.raises(ValueError, match="finite and not negative"):
        region_shares(-torch.ones(1, 2, 2), torch.ones(1, 2, 2))


def test_shuffled_weights_keep_their_values_and_change_the_map() -> None:
    model = residual()
    shuffled, again = (randomized_copy(model, seed=0) for _ in range(2))
    for before, after, same in zip(
        model.parameters(), shuffled.parameters(), again.parameters(), strict=True
    ):
        assert torch.equal(before.flatten().sort().values, after.flatten().sort().values)
        assert torch.equal(after, same)
    assert not torch.equal(model.stem.weight, shuffled.stem.weight)
    images = torch.randn(1, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    first, second = (
        saliency_maps(m, images, distance="lp", baseline=images[0] * 0, samples=3)
        for m in (model, shuffled)
    )
    assert not torch.allclose(first, second, atol=1e-2)


def test_a_cascade_begins_at_the_output_or_at_the_input() -> None:
    model = residual()
    layers = ("stem", "stem_bn", "inner", "inner_bn", "head")

    def changed(**options) -> list[str]:
        shuffled = randomized_copy(model, seed=0, **options)
        return [
            name
            for name in layers
            if not torch.equal(getattr(model, name).weight, getattr(shuffled, name).weight)
        ]

    assert changed(share=0) == ["head"]
    assert changed(share=0.4) == ["inner_bn", "head"]
    assert changed(share=0.4, from_input=True) == ["stem", "stem_bn"]
    assert changed() == changed(from_input=True) == list(layers)
