"""Probe sets of images at hand."""

import numpy as np
import pandas as pd
import pytest
import torch

from lossprint import ProbeSet

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
COLOURS = {"colour": ["red", "red", "blue", "blue"]}


@pytest.mark.parametrize(
    "images",
    [
        PIXELS,
        torch.tensor(PIXELS),
        torch.tensor(PIXELS).permute(0, 3, 1, 2),
        PIXELS.astype(np.float32) / 255,
        torch.tensor(PIXELS).permute(0, 3, 1, 2).double() / 255,
    ],
)
def test_images_come_in_either_order_as_bytes_or_shares(images):
    table = pd.DataFrame(COLOURS, index=[7, 8, 9, 10])
    probe = ProbeSet.from_arrays(images, table, masks=np.ones((4, 8, 8), dtype=np.int64))
    expected = torch.tensor(PIXELS[[2, 0]]).permute(0, 3, 1, 2)
    assert torch.equal(probe.pixels([2, 0]), expected)
    assert list(probe.properties["colour"]) == COLOURS["colour"]
    assert len(set(probe.files)) == len(probe) == 4
    assert probe.masks.dtype == torch.uint8
    assert probe.fingerprint == ProbeSet.from_arrays(PIXELS, COLOURS).fingerprint


def test_other_pixels_or_properties_are_another_set():
    fingerprint = ProbeSet.from_arrays(PIXELS, COLOURS).fingerprint
    assert ProbeSet.from_arrays(PIXELS[::-1].copy(), COLOURS).fingerprint != fingerprint
    other = {"colour": torch.tensor([0, 1, 0, 1])}
    assert ProbeSet.from_arrays(PIXELS, other).fingerprint != fingerprint


@pytest.mark.parametrize(
    ("images", "properties", "masks", "message"),
    [
        (PIXELS[:, :6], COLOURS, None, r"images must be squares in colour, .* not \[4, 6, 8, 3\]"),
        (PIXELS[0], COLOURS, None, r"images must be squares .* not \[8, 8, 3\]"),
        (PIXELS * 1.0, COLOURS, None, "floats from 0 to 1, not from 0 to 255"),
        (PIXELS.astype(int), COLOURS, None, r"uint8, or floats from 0 to 1, not torch\.int64"),
        (PIXELS, {"colour": ["red"]}, None, "one value for each of the 4 images .* not 1 in 1"),
        (PIXELS, {}, None, "in at least one column, not 0 in 0"),
        (PIXELS, {"hue": [0.1, 0.2, 0.3, 0.4]}, None, "'hue' has 4 different numbers"),
        (PIXELS, COLOURS, np.ones((4, 4, 4), int), r"masks must be integers \[4, 8, 8\], not"),
    ],
)
def test_what_does_not_fit_is_named(images, properties, masks, message):
    with pytest.raises(ValueError, match=message):
        ProbeSet.from_arrays(images, properties, masks=masks)
