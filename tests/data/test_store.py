"""The store holds what PIL decodes; it is built once, whole or absent."""

import json
import os

import numpy as np
import pytest
import torch
from PIL import Image

from lossprint.data.dataset import FileImages
from lossprint.data.decoding import read_image
from lossprint.data.index import ImageIndex
from lossprint.data.store import open_store


@pytest.fixture
def index(tmp_path):
    generator = np.random.default_rng(0)
    sizes = [(20, 30), (16, 16), (50, 17)]
    for row, size in enumerate(sizes):
        pixels = generator.integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{row}.png")
    return ImageIndex(tmp_path, ("0.png", "1.png", "2.png"), np.zeros(3, int), ("all",))


def test_store_equals_the_files(index, tmp_path):
    store = open_store(tmp_path / "cache", index, None)
    assert len(store) == 3
    for row, path in enumerate(index.paths()):
        assert np.array_equal(store.image(row).numpy(), np.asarray(Image.open(path)))


def test_short_side_is_resized_and_aspect_kept(index, tmp_path):
    store = open_store(tmp_path / "cache", index, 10)
    assert store.sizes.tolist() == [[10, 15], [10, 10], [29, 10]]
    plain = FileImages(index, 10).images([2])[0]
    assert torch.equal(store.image(2), plain)


@pytest.mark.parametrize("interpolation", ["bicubic", "nearest"])
def test_each_filter_has_a_store_of_its_own(index, tmp_path, interpolation):
    plain = open_store(tmp_path / "cache", index, 10).image(0)
    store = open_store(tmp_path / "cache", index, 10, interpolation)
    with Image.open(index.paths()[0]) as image:
        expected = image.resize((15, 10), Image.Resampling[interpolation.upper()])
    assert np.array_equal(store.image(0).numpy(), np.asarray(expected))
    assert torch.equal(FileImages(index, 10, interpolation).images([0])[0], store.image(0))
    assert not torch.equal(store.image(0), plain)


def test_second_opening_decodes_nothing(index, tmp_path, monkeypatch):
    open_store(tmp_path / "cache", index, 10)
    monkeypatch.setattr("lossprint.data.store.decode_image", None)  # would fail if called
    assert len(open_store(tmp_path / "cache", index, 10)) == 3


def test_writing_to_the_tensor_leaves_the_file_unharmed(index, tmp_path):
    store = open_store(tmp_path / "cache", index, None)
    before = store.image(0).clone()
    store.image(0).zero_()
    assert torch.equal(open_store(tmp_path / "cache", index, None).image(0), before)


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGBA", "P"])
def test_every_mode_becomes_rgb(tmp_path, mode):
    suffix = "jpg" if mode == "CMYK" else "png"
    Image.new("RGB", (6, 5), (200, 100, 50)).convert(mode).save(tmp_path / f"a.{suffix}")
    assert read_image(tmp_path / f"a.{suffix}", None).shape == (5, 6, 3)


def test_an_undecodable_image_is_named_and_no_store_is_left(index, tmp_path):
    whole = (tmp_path / "1.png").read_bytes()
    (tmp_path / "1.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"cannot decode image .*1\.png"):
        open_store(tmp_path / "cache", index, None)
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]


def damaged(content: str) -> str:
    header = json.loads(content)
    header["sizes"][-1][0] += 1
    return json.dumps(header)


def without_a_checksum(content: str) -> str:
    header = json.loads(content)
    return json.dumps(header | {"checksums": header["checksums"][1:]})


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[:-4],
        lambda text: "[]",
        lambda text: text.replace("20", "-20"),
        lambda text: text.replace("20", "20.0"),
        lambda text: text.replace("[20, 30],", ""),
        lambda text: text.replace('"version": 3', '"version": 2'),
        lambda text: text.replace('"checksums": [', '"checksums": [null, '),
        damaged,
        without_a_checksum,
    ],
)
def test_a_damaged_header_is_named_and_the_store_built_anew(index, tmp_path, damage, caplog):
    expected = open_store(tmp_path / "cache", index, None).pixels.clone()
    (header,) = (tmp_path / "cache").glob("*.json")
    header.write_text(damage(header.read_text()))
    found = open_store(tmp_path / "cache", index, None)
    assert torch.equal(found.pixels, expected)
    assert header.stem in caplog.text


@pytest.mark.parametrize("read", [lambda store: store, lambda store: store.to("cpu")])
def test_flipped_pixels_are_told_put_right_and_built_anew(index, tmp_path, read, caplog):
    expected = open_store(tmp_path / "cache", index, 10).pixels.clone()
    (pixels,) = (tmp_path / "cache").glob("*.uint8")
    content = bytearray(pixels.read_bytes())
    content[10 * 15 * 3 + 7] ^= 1  # of the second image
    pixels.write_bytes(content)
    store = read(open_store(tmp_path / "cache", index, 10))
    assert torch.equal(torch.cat([image.flatten() for image in store.images(range(3))]), expected)
    assert caplog.text.count("damaged") == 1
    assert f"{pixels.stem} is damaged at {tmp_path / '1.png'}" in caplog.text
    store.image(1).zero_()  # was read before, and is the reader's own
    assert not store.image(1).any()
    open_store(tmp_path / "cache", index, 10)
    assert pixels.read_bytes() == expected.numpy().tobytes()


def test_a_truncated_store_is_built_anew_and_leftovers_are_removed(index, tmp_path, caplog):
    expected = open_store(tmp_path / "cache", index, None).pixels.clone()
    (pixels,) = (tmp_path / "cache").glob("*.uint8")
    os.truncate(pixels, 100)
    leftover = tmp_path / "cache" / ".a.1@elsewhere.uint8"
    leftover.touch()
    os.utime(leftover, (0, 0))
    assert torch.equal(open_store(tmp_path / "cache", index, None).pixels, expected)
    assert f"{pixels} is damaged" in caplog.text
    assert not leftover.exists()
