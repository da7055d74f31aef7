"""Probe sets in the layout of the published renders."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lossprint.data.probe import read_probe_set


@pytest.fixture(params=["{:06d}", "{}"])
def folder(tmp_path, request):
    root = tmp_path / "probe"
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    for frame in range(5):
        name = request.param.format(frame) + ".png"
        Image.new("RGB", (12, 8), (frame, 0, 0)).save(root / "images" / name)
        mask = np.zeros((8, 12), np.uint8)
        mask[:, 2:6] = 1
        Image.fromarray(mask).save(root / "masks" / name)
    table = pd.DataFrame({"frame": range(5), "model": list("abcab"), "color_hue": [0, 1, 0, 1, 2]})
    table.to_csv(root / "samples.csv", index=False)
    return root


def read(folder, **settings):
    return read_probe_set(folder, size=8, cache=folder.parent / "cache", **settings)


def test_images_properties_and_masks_belong_together(folder):
    probe = read(folder)
    assert list(probe.properties.columns) == ["model", "color_hue"]
    assert probe.pixels([3])[0, 0].unique().tolist() == [3]
    assert probe.pixels(range(5)).shape == (5, 3, 8, 8)
    assert probe.masks.shape == (5, 8, 8)
    assert (probe.masks[:, :, 0:4] == 1).all()  # columns 2 … 5 of 12 after the centre crop
    assert (probe.masks[:, :, 4:] == 0).all()


def test_limit_takes_the_first_frames_and_changes_the_fingerprint(folder):
    assert len(read(folder, limit=2)) == 2
    assert read(folder, limit=2).fingerprint != read(folder).fingerprint


def test_errors_name_what_is_wrong(folder):
    with pytest.raises(FileNotFoundError, match=r"samples\.csv is missing"):
        read(folder / "nowhere")
    next((folder / "images").glob("*4.png")).unlink()
    with pytest.raises(
        FileNotFoundError, match=r"lists 1 images that are not below .* first is '4' in line \d"
    ):
        read(folder)
    table = pd.read_csv(folder / "samples.csv")
    table.assign(frame=[0, 1, 1, 2, 3]).to_csv(folder / "samples.csv", index=False)
    with pytest.raises(ValueError, match=r"line \d: frame 1 stands in line \d already"):
        read(folder)
    table.rename(columns={"frame": "number"}).to_csv(folder / "samples.csv", index=False)
    with pytest.raises(ValueError, match="no column `frame`"):
        read(folder)


def test_a_column_without_values_and_none_at_all_are_named(folder):
    table = pd.read_csv(folder / "samples.csv")
    table.assign(color_hue=None).to_csv(folder / "samples.csv", index=False)
    with pytest.raises(ValueError, match="no value in its column color_hue"):
        read(folder)
    table[["frame"]].to_csv(folder / "samples.csv", index=False)
    with pytest.raises(ValueError, match="no column that is a property"):
        read(folder)


def test_an_image_that_the_table_misses_is_named(folder):
    table = pd.read_csv(folder / "samples.csv")
    table.drop(index=3).to_csv(folder / "samples.csv", index=False)
    with pytest.raises(ValueError, match=r"misses the frames of 1 images, first images/0*3\.png"):
        read(folder)
    assert len(read(folder, limit=3)) == 3  # the first frames are all there


def test_what_a_killed_process_left_behind_is_no_image(folder):
    (folder / "images" / ".000005.4711.png").touch()
    assert len(read(folder)) == 5


def test_interventions_without_a_column_are_named(folder):
    (folder / "interventions.csv").write_text("base,property,from,to\n0,model,a,b\n")
    with pytest.raises(ValueError, match=r"interventions\.csv has no column `frame`"):
        read(folder)
