"""Every configuration file composes with the others into a checked training."""

import shlex
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.utils import instantiate
from omegaconf import OmegaConf

from lossprint.apps import build

CONF = Path(__file__).parents[2] / "conf"
GROUPS = ("loss", "data", "probe", "model", "optimizer", "schedule", "sampler", "trainer", "logger")
CHOICES = [
    f"{group}={path.stem}" for group in GROUPS for path in sorted((CONF / group).glob("*.yaml"))
]
# What a user has to say besides, in the configurations that demand it.
NEEDS = {
    "data=image_folder": ["data.source.root=images"],
    "model=timm": ["model.name=timm:resnet10t"],
    "model=torchvision": ["model.name=squeezenet1_1"],
    "logger=wandb": ["logger.mode=offline"],
}


def checked(*overrides: str):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return build.checked(compose("train", list(overrides)), num_classes=7)


@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_composes_and_is_valid(choice):
    config = checked(choice, *NEEDS.get(choice, []))
    assert build.preprocessing(config)
    assert instantiate(config["data"]["train_view"], _convert_="all").size == config["data"]["size"]
    assert instantiate(config["data"]["eval_view"], _convert_="all").size == config["data"]["size"]
    assert callable(instantiate(config["optimizer"]))
    assert callable(instantiate(config["schedule"]))


@pytest.mark.parametrize("experiment", sorted((CONF / "experiment").glob("*.yaml")), ids=str)
def test_every_experiment_composes_and_is_valid(experiment):
    checked(f"experiment={experiment.stem}")


def test_a_glob_over_losses_finds_nothing_but_losses():
    names = {path.stem for path in (CONF / "loss").glob("*.yaml")}
    for name in names:
        config = checked(f"loss={name}")
        assert config["loss"]["name"] == name
        if config["loss"]["criterion"] is not None:
            build.loss(config)


def test_a_loss_may_ask_for_a_rate_of_the_network_and_the_command_line_overrules_it():
    rates = {
        "loss=triplet": 1e-3,
        "loss=fastap": 2e-4,
        "loss=triplet +loss.network_lr=0.01": 0.01,
        "loss=fastap optimizer.lr=0.1": 0.1,
        "loss=fastap optimizer=rmsprop": checked("optimizer=rmsprop")["optimizer"]["lr"],
    }
    for words, rate in rates.items():
        assert checked(*words.split())["optimizer"]["lr"] == rate, words


def test_an_unknown_choice_names_the_valid_ones():
    with pytest.raises(Exception, match=r"(?s)loss/nope.*Available options.*triplet"):
        checked("loss=nope")


def test_published_hyperparameters_give_way_to_those_set_by_hand(monkeypatch):
    assert checked("hyperparameters=published")["loss"]["criterion"]["margin"] == 0.119
    assert checked("loss=triplet")["loss"]["criterion"]["margin"] != 0.119


def test_a_sweep_is_named_by_its_overrides_in_words_that_need_no_quotes(monkeypatch):
    overrides = [
        "loss=triplet", "seed=1", "data=cub200", "model=resnet50", "trainer.max_epochs=2",
        "+loss.optimizer={lr: 0.01}", "callbacks=retrieval", "optimizer.lr=1e-4",
    ]  # fmt: skip
    monkeypatch.setattr(HydraConfig, "initialized", lambda: True)
    given = OmegaConf.create({"overrides": {"task": overrides}})
    monkeypatch.setattr(HydraConfig, "get", lambda: given)
    with initialize_config_dir(str(CONF), version_base=None):
        name = compose("train", overrides).sweep
    assert name == (
        "cub200-resnet50+callbacks-retrieval+loss.optimizer-lr-0.01-"
        "+optimizer.lr-1e-4+trainer.max_epochs-2"
    )
    (parsed,) = OverridesParser.create().parse_overrides([f"runs={name}"])
    assert parsed.value() == name
    assert shlex.quote(name) == name
