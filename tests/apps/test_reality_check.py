"""The reality check's protocol: composed to the letter, and trained for two steps."""

import math
import os
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from rich.console import Console
from safetensors.torch import load_file

from lossprint.apps import build
from lossprint.apps.training import train
from tests.data.miniatures import cars_stanford

CONF = Path(__file__).parents[2] / "conf"


def composed(*overrides: str):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("train", ["experiment=reality_check", *overrides])


@pytest.mark.parametrize(
    ("loss", "classes", "samples"), [("triplet", 8, 4), ("arcface", 32, 1), ("untrained", 8, 4)]
)
def test_batches_are_the_publication_s(loss: str, classes: int, samples: int) -> None:
    sampler = build.checked(composed(f"loss={loss}"))["sampler"]
    assert sampler == {"classes_per_batch": classes, "samples_per_class": samples, "batches": 100}


@pytest.mark.parametrize(
    ("data", "evaluate_every", "published_patience"),
    [("cars196", 5, 14), ("cub200", 2, 9), ("sop", 20, 39)],
)
def test_schedule_is_the_publication_s(
    data: str, evaluate_every: int, published_patience: int
) -> None:
    """It stopped at the first evaluation more than so many epochs after the best one."""
    config = build.checked(composed(f"data={data}"))
    assert config["trainer"]["check_val_every_n_epoch"] == evaluate_every
    evaluations = math.floor(published_patience / evaluate_every) + 1
    assert config["callbacks"]["early_stopping"]["patience"] == evaluations


def test_the_rest_is_the_publication_s() -> None:
    config = build.checked(composed("loss=margin"))
    assert config["optimizer"] == {
        "_target_": "torch.optim.RMSprop",
        "_partial_": True,
        "lr": 1e-6,
        "embedding_lr_factor": 1,
        "weight_decay": 1e-4,
        "momentum": 0.9,
    }
    assert config["schedule"]["_target_"].endswith(".constant")
    assert config["model"]["name"] == "bn_inception"
    assert config["model"]["freeze_batchnorm"] is True
    assert config["model"]["pretrained"] is True
    assert config["model"]["embedding_size"] == 128
    assert (config["data"]["short_side"], config["data"]["size"]) == (256, 227)
    assert config["data"]["train_view"]["scale"] == [0.16, 1.0]
    assert config["data"]["train_view"]["ratio"] == [0.75, 1.33]
    assert config["loss"]["criterion"]["beta"] == 1.3164
    assert config["loss"]["optimizer"]["lr"] == 1.11e-4


def test_it_trains_on_a_miniature_of_cars196(small_world: Path, tmp_path: Path) -> None:
    root = tmp_path / "data" / "cars196"
    root.mkdir(parents=True)
    names = [f"Make Model {number:02d} 2012" for number in range(16)]
    cars_stanford(root, [1 + i % 16 for i in range(64)], names)
    config = composed(
        "loss=arcface",
        "data.source.verify=false",
        "data.size=64",
        "data.short_side=72",
        "model.pretrained=false",
        "sampler.classes_per_batch=4",
        "sampler.batches=2",
        "trainer.max_epochs=1",
        "trainer.check_val_every_n_epoch=1",
        "trainer.accelerator=cpu",
        "probe.render=null",
        "probe.limit=null",
        f"probe.folder={small_world}/probe",
        f"data_root={tmp_path}/data",
        f"output_root={tmp_path}/outputs",
        "logger=none",
        "analyze=false",
    )
    with open(os.devnull, "w") as nowhere:
        record = train(config, Console(file=nowhere))
    assert record.status == "finished"
    assert record.config()["num_classes"] == 6  # 8 development classes, 2 of them validate
    assert 0 <= record.metrics["test/map_at_r"] <= 1
    weights = load_file(record.weights_file)
    # Frozen BatchNorm: the statistics are those that the network began with.
    means = [value for key, value in weights.items() if key.endswith("running_mean")]
    assert len(means) == 69
    assert not any(mean.any() for mean in means)
