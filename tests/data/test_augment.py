"""Crops against torchvision's, as a distribution and pixel by pixel."""

import pytest
import torch
from scipy.stats import ks_2samp
from torchvision.transforms import RandomResizedCrop as TorchvisionCrop
from torchvision.transforms import v2

from lossprint.data.augment import CenterCrop, Crops, RandomResizedCrop, crop_and_resize


@pytest.mark.parametrize("size", [(64, 64), (48, 90)])
def test_crops_have_torchvisions_distribution(size):
    scale, ratio, count = (0.16, 1.0), (3 / 4, 4 / 3), 2000
    sizes = torch.tensor([size]).repeat(count, 1)
    generator = torch.Generator().manual_seed(0)
    ours = RandomResizedCrop(32, scale, ratio).draw(sizes, generator).boxes
    torch.manual_seed(0)
    image = torch.empty(3, *size)
    theirs = torch.tensor(
        [TorchvisionCrop.get_params(image, list(scale), list(ratio)) for _ in range(count)]
    )
    for ours_column, theirs_column in zip(ours.T, theirs.T, strict=True):
        # Same distribution: each of the 8 comparisons is false with probability 1e-4.
        assert ks_2samp(ours_column, theirs_column).pvalue > 1e-4
    assert (ours[:, :2] >= 0).all()
    assert (ours[:, :2] + ours[:, 2:] <= torch.tensor(size)).all()


def test_when_no_attempt_fits_the_largest_centred_crop_is_taken():
    sizes = torch.tensor([[10, 400]])
    crop = RandomResizedCrop(8, scale=(1.0, 1.0), ratio=(1.0, 1.0))
    box = crop.draw(sizes, torch.Generator().manual_seed(0)).boxes[0].tolist()
    assert box == [0, 195, 10, 10]


def test_flips_come_half_the_time_and_mirror_the_crop():
    sizes = torch.tensor([[8, 8]]).repeat(4000, 1)
    flips = RandomResizedCrop(8).draw(sizes, torch.Generator().manual_seed(0)).flips
    assert abs(flips.float().mean() - 0.5) < 5 * 0.5 / 4000**0.5
    image = torch.randint(0, 256, (8, 8, 3), dtype=torch.uint8)
    whole = torch.tensor([[0, 0, 8, 8]])
    flipped = crop_and_resize([image], Crops(whole, torch.tensor([True])), 8)
    assert torch.equal(flipped[0], image.permute(2, 0, 1).flip(-1))


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_resizing_is_torchvisions_antialiased_one(interpolation):
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (40, 60, 3), dtype=torch.uint8, generator=generator)
    ours = crop_and_resize(
        [image], Crops(torch.tensor([[5, 7, 30, 41]]), torch.tensor([False])), 16, interpolation
    )
    mode = v2.InterpolationMode(interpolation)
    theirs = v2.functional.resized_crop(image.permute(2, 0, 1), 5, 7, 30, 41, [16, 16], mode)
    assert (ours[0].int() - theirs.int()).abs().max() <= 1


def test_center_crop_is_the_middle():
    sizes = torch.tensor([[256, 300], [100, 50]])
    crops = CenterCrop(227).draw(sizes)
    assert crops.boxes.tolist() == [[14, 36, 227, 227], [25, 0, 50, 50]]
    assert not crops.flips.any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scale": (0.0, 1.0)}, "scale"),
        ({"scale": (0.5, 1.5)}, "scale"),
        ({"ratio": (2.0, 1.0)}, "ratio"),
        ({"flip": 1.5}, "flip=1.5"),
    ],
)
def test_errors_name_what_is_wrong(settings, message):
    with pytest.raises(ValueError, match=message):
        RandomResizedCrop(32, **settings)


def test_random_crops_never_come_from_global_state():
    with pytest.raises(ValueError, match="need a generator"):
        RandomResizedCrop(32).draw(torch.tensor([[64, 64]]))


def test_the_number_of_threads_changes_nothing():
    generator = torch.Generator().manual_seed(0)
    images = [
        torch.randint(0, 256, (30 + k, 50 - k, 3), dtype=torch.uint8, generator=generator)
        for k in range(7)
    ]
    sizes = torch.tensor([image.shape[:2] for image in images])
    crops = RandomResizedCrop(20).draw(sizes, generator)
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 3, 16):
            torch.set_num_threads(threads)
            found.append(crop_and_resize(images, crops, 20))
    finally:
        torch.set_num_threads(before)
    one_by_one = [
        crop_and_resize([image], Crops(crops.boxes[k : k + 1], crops.flips[k : k + 1]), 20)
        for k, image in enumerate(images)
    ]
    for views in found:
        assert torch.equal(views, torch.cat(one_by_one))
