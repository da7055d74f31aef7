"""What several processes cannot do is refused with the reason, before anything is trained."""

import pytest
from torch import nn

from lossprint.training.processes import check_batchnorm, check_processes, number_of_processes

SAMPLER = {"classes_per_batch": 8, "samples_per_class": 4}


def config(**trainer):
    return {"trainer": {"accelerator": "cpu", "devices": 2, **trainer}, "sampler": SAMPLER}


@pytest.mark.parametrize(
    ("devices", "processes"), [(1, 1), ("1", 1), (2, 2), ("2", 2), ("auto", 1)]
)
def test_processes_are_counted_as_the_trainer_does(devices, processes):
    assert number_of_processes(config(devices=devices)["trainer"]) == processes


@pytest.mark.parametrize("strategy", ["ddp_spawn", "ddp_fork", "fsdp", "deepspeed"])
def test_other_strategies_are_refused_with_the_reason(strategy):
    with pytest.raises(
        ValueError, match=rf"trainer\.strategy='{strategy}' must be one of auto, ddp"
    ):
        check_processes(config(strategy=strategy), multirun=False)


def test_devices_that_are_not_there_are_named():
    with pytest.raises(ValueError, match=r"trainer\.devices=2: "):
        number_of_processes({"accelerator": "cuda", "devices": 2})


def test_a_batch_that_cannot_be_shared_is_refused():
    with pytest.raises(ValueError, match="8 classes × 4 samples cannot be shared equally by 3"):
        check_processes(config(devices=3), multirun=False)


def test_a_multirun_does_not_start_itself_again_in_every_process(monkeypatch):
    with pytest.raises(ValueError, match="start the whole sweep again"):
        check_processes(config(), multirun=True)
    monkeypatch.setenv("WORLD_SIZE", "2")  # as torchrun sets it
    check_processes(config(), multirun=True)


def test_batchnorm_that_learns_statistics_is_refused_on_processors_alone():
    network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2))
    with pytest.raises(ValueError, match=r"model\.freeze_batchnorm=false"):
        check_batchnorm(network, processes=2, device_type="cpu")
    check_batchnorm(network, processes=1, device_type="cpu")
    check_batchnorm(network, processes=2, device_type="cuda")
    check_batchnorm(network.eval(), processes=2, device_type="cpu")
