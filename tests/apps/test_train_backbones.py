"""Transformers and ConvNeXts go through the main job too, and give saliency maps."""

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from lossprint.apps import build
from tests.apps.test_train import run
from tests.small_world import SIZE

IMAGES = 4


@pytest.mark.parametrize("name", ["timm:vit_tiny_patch16_224", "timm:convnext_atto"])
def test_it_learns_and_gives_maps(small_world, name):
    record, _ = run(
        small_world,
        f"sweep={name.removeprefix('timm:')}",
        "model=timm",
        f"model.name={name}",
        "loss=arcface",
        "sampler.batches=2",
        "trainer.max_epochs=1",
        f"callbacks.maps.images={IMAGES}",
        f"callbacks.maps.watched={IMAGES}",
        f"callbacks.maps.shown={IMAGES}",
        "callbacks.maps.samples=2",
    )
    assert record.status == "finished"
    initial = build.embedder(record.config()).state_dict()
    trained = load_file(record.weights_file)
    assert trained.keys() == initial.keys()
    still = [key for key, value in trained.items() if torch.equal(value, initial[key])]
    assert not [key for key in still if key.endswith("weight")]

    folders = (record.untrained_folder, record.analysis_folder)
    files = [file for folder in folders for file in folder.glob("maps-*.safetensors")]
    assert len(files) == 2  # of the initial weights and of the final ones
    for file in files:
        maps = load_file(file)["maps"].float()
        assert maps.shape == (IMAGES, SIZE, SIZE)
        assert torch.equal(maps.amin((1, 2)), torch.zeros(IMAGES))
        assert torch.equal(maps.amax((1, 2)), torch.ones(IMAGES))
        assert (maps.std((1, 2)) > 0.01).all()
    assert -1 <= record.metrics["map_r/initial"] < 0.9999
    with Image.open(record.folder / "saliency.png") as picture:
        assert len({pixel for _, pixel in picture.convert("RGB").getcolors(1 << 24)}) > 50
