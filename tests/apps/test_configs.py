"""Every configuration file composes with the others into a checked training."""

import shlex
from pathlib import Path

import pytest
import torch
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
    "probe=folder": ["probe.folder=photos"],
}


def checked(*overrides: str):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return build.checked(compose("train", list(overrides)))


@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_composes_and_is_valid(choice):
    config = checked(choice, *NEEDS.get(choice, []))
    black = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    seen = build.preprocessing(config)(black)
    assert seen.shape == (1, 3, 8, 8)
    assert torch.isfinite(seen).all()
    assert instantiate(config["data"]["train_view"], _convert_="all").size == config["data"]["size"]
    assert instantiate(config["data"]["eval_view"], _convert_="all").size == config["data"]["size"]
    weights = torch.nn.Parameter(torch.ones(2))
    optimizer = build.optimizer(config)([weights])
    schedule = instantiate(config["schedule"])(optimizer, 4)
    for _ in range(2):  # a warm-up may begin at a rate of 0
        weights.grad = torch.ones(2)
        optimizer.step()
        schedule.step()
    assert (weights < 1).all()
    if choice.startswith("loss="):
        assert config["loss"]["name"] == choice.removeprefix("loss=")
        default = OmegaConf.load(CONF / "optimizer" / "adamw.yaml")
        assert config["optimizer"] == OmegaConf.to_container(default)  # under all losses alike
        if config["loss"]["criterion"] is not None:
            build.loss(config, 7)


@pytest.mark.parametrize("experiment", sorted((CONF / "experiment").glob("*.yaml")), ids=str)
def test_every_experiment_composes_and_is_valid(experiment):
    checked(f"experiment={experiment.stem}")


def test_an_unknown_choice_names_the_valid_ones():
    with pytest.raises(Exception, match=r"(?s)loss/nope.*Available options.*triplet"):
        checked("loss=nope")


def test_published_hyperparameters_give_way_to_those_set_by_hand(monkeypatch):
    assert checked("hyperparameters=published")["loss"]["criterion"]["margin"] == 0.119
    assert checked("loss=triplet")["loss"]["criterion"]["margin"] != 0.119


@pytest.mark.parametrize(
    ("words", "mean", "std", "interpolation"),
    [
        (["model=timm", "model.name=timm:vit_small_patch16_224"], 0.5, 0.5, "bicubic"),
        (["model=timm", "model.name=timm:mobilevit_s"], 0.0, 1.0, "bicubic"),
        (["model=timm", "model.name=timm:dla34.in1k"], 0.485, 0.229, "bilinear"),
        (
            ["model=timm", "model.name=timm:vit_base_patch16_clip_224.openai"],
            0.48145, 0.26863, "bicubic",
        ),
        (["model=timm", "model.preprocessing.mean=[0.3,0.3,0.3]"], 0.3, 0.229, "bicubic"),
        (["model=timm", "model.interpolation=nearest"], 0.485, 0.229, "nearest"),
        (["model=torchvision"], 0.485, 0.229, "bilinear"),
        (["model=torchvision", "model.name=maxvit_t"], 0.485, 0.229, "bicubic"),
        (["model=resnet18"], 0.485, 0.229, None),
    ],
)  # fmt: skip
def test_networks_of_libraries_train_on_the_input_of_their_weights(words, mean, std, interpolation):
    model = checked(*words)["model"]
    assert model["interpolation"] == interpolation
    preprocessing = model["preprocessing"]
    assert preprocessing["mean"][0] == pytest.approx(mean, abs=1e-5)
    assert preprocessing["std"][0] == pytest.approx(std, abs=1e-5)


def sweep_of(monkeypatch, *overrides: str) -> str:
    monkeypatch.setattr(HydraConfig, "initialized", lambda: True)
    given = OmegaConf.create({"overrides": {"task": list(overrides)}})
    monkeypatch.setattr(HydraConfig, "get", lambda: given)
    with initialize_config_dir(str(CONF), version_base=None):
        return compose("train", list(overrides)).sweep


@pytest.mark.parametrize(
    ("key", "spellings", "name"),
    [
        ("model.freeze_batchnorm", ("true", "True", "1", "TRUE", "yes"), "true"),
        ("data.store", ("false", "False", "0"), "false"),
        ("optimizer.lr", ("1e-3", "0.001", "1.0e-3"), "0.001"),
        ("sampler.batches", ("null", "NULL"), "null"),
        ("trainer.max_epochs", ("3", "+3"), "3"),
    ],
)
def test_one_value_names_one_sweep_however_it_is_spelled(monkeypatch, key, spellings, name):
    names = {sweep_of(monkeypatch, f"{key}={spelling}") for spelling in spellings}
    assert len(names) == 1
    assert names.pop().endswith(f"+{key}-{name}")


def test_different_values_name_different_sweeps(monkeypatch):
    values = ("true", "false")
    assert len({sweep_of(monkeypatch, f"model.freeze_batchnorm={v}") for v in values}) == 2


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed=many", r"seed='many' must be a whole number"),
        ("model.freeze_batchnorm=perhaps", r"model\.freeze_batchnorm='perhaps' must be true or"),
        ("+model.interpolation=x", r"model\.interpolation='x' must be one of bilinear, bicubic"),
        ("data.short_side=90", r"data\.short_side=90 is less than data\.size=96: .*short_side=96$"),
        ("data.size=big", r"data\.size='big' must be a whole number"),
        ("sampler.batches=x", r"sampler\.batches='x' must be a whole number or null"),
        ("model.preprocessing.scale=x", r"model\.preprocessing\.scale='x' must be a number"),
        ("+model.depth=3", r"unknown model\.depth; valid are .*embedding_size"),
        ("+probe.images=3", r"unknown probe\.images; valid are .*limit"),
    ],
)
def test_values_of_another_type_and_unknown_entries_are_named(override, message):
    with pytest.raises(ValueError, match=message):
        checked(override)


def test_a_sweep_is_named_by_its_overrides_in_words_that_need_no_quotes(monkeypatch):
    overrides = [
        "loss=triplet", "seed=1", "data=cub200", "model=resnet50", "trainer.max_epochs=2",
        "+loss.optimizer={lr: 0.01}", "callbacks=retrieval", "optimizer.lr=1e-4",
    ]  # fmt: skip
    name = sweep_of(monkeypatch, *overrides)
    assert name == (
        "cub200-resnet50+callbacks-retrieval+loss.optimizer-lr-0.01-"
        "+optimizer.lr-0.0001+trainer.max_epochs-2"
    )
    (parsed,) = OverridesParser.create().parse_overrides([f"runs={name}"])
    assert parsed.value() == name
    assert shlex.quote(name) == name


def test_wandb_s_own_variables_say_where_a_run_goes_unless_the_command_line_does(monkeypatch):
    for name, value in (("PROJECT", "ours"), ("ENTITY", "team"), ("DIR", "/scratch")):
        monkeypatch.setenv(f"WANDB_{name}", value)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        logger = compose("train", ["logger.entity=me"]).logger
        report = compose("analyze").logger
    assert (logger.project, logger.entity, logger.dir) == ("ours", "me", "/scratch")
    assert report.entity == "team"
    for name in ("PROJECT", "ENTITY", "DIR"):
        monkeypatch.delenv(f"WANDB_{name}")
    assert (logger.project, report.entity, logger.dir) == ("lossprint", None, None)
