"""Two processes are one with the same global batch: loss, gradients, weights, validation."""

import copy
from pathlib import Path

import hydra
import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import load_file
from torch.multiprocessing import start_processes

from lossprint.data.sampler import ClassBalancedBatches, ShareOfBatches
from lossprint.training.losses import STUDY_LOSSES
from tests.training.two_processes import TESTED, free_port, process, train_all

CONF = Path(__file__).parents[2] / "conf"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Of one process, and of each of two: names to tensors."""
    folder = tmp_path_factory.mktemp("two")
    losses = {name: loss(name) for name in STUDY_LOSSES}
    arguments = (free_port(), losses, folder, 2)
    pair = start_processes(process, arguments, nprocs=2, start_method="spawn", join=False)
    one = train_all(copy.deepcopy(losses), 1)
    while not pair.join():
        pass
    return one, load_file(folder / "0.safetensors"), load_file(folder / "1.safetensors")


def loss(name: str) -> dict:
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        config = hydra.compose(
            overrides=[f"+loss={name}", "+num_classes=null", "+model.embedding_size=16"]
        )
    return OmegaConf.to_container(config, resolve=True)["loss"]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", STUDY_LOSSES)
def test_two_processes_train_as_one(name, results):
    one, first, second = (
        {key: value for key, value in result.items() if key.startswith(f"{name}/")}
        for result in results
    )
    assert one.keys() == first.keys() == second.keys()
    assert one[f"{name}/losses"].abs().sum() > 0
    assert one[f"{name}/gradient of embedder.embedding.weight"].abs().max() > 1e-5
    for key, expected in one.items():
        torch.testing.assert_close(first[key], expected, rtol=1e-6, atol=1e-9)
        assert torch.equal(first[key], second[key]), key


def test_each_image_is_validated_once_and_in_its_place(results):
    one, first, _ = results
    assert len(first["triplet/test_labels"]) == TESTED
    assert torch.equal(first["triplet/test_labels"], one["triplet/test_labels"])


def test_shares_of_a_batch_are_the_batch():
    def batches():
        return ClassBalancedBatches(
            torch.arange(12).repeat(7), classes_per_batch=5, samples_per_class=3, seed=0
        )

    shares = [ShareOfBatches(batches(), rank, 3) for rank in range(3)]
    whole = batches()
    for sampler in (*shares, whole):
        sampler.set_epoch(2)
    for batch, *parts in zip(whole, *shares, strict=True):
        assert [row for part in parts for row in part] == batch
        assert [len(part) for part in parts] == [5, 5, 5]


def test_a_batch_that_cannot_be_shared_equally_is_refused():
    batches = ClassBalancedBatches(torch.arange(12).repeat(7), seed=0)
    with pytest.raises(ValueError, match=r"8 classes × 4 samples cannot be shared.*by 3 processes"):
        ShareOfBatches(batches, 0, 3)
