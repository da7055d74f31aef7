"""A run from somebody else builds models of the libraries, and nothing else without a word."""

import os
import pickle
import sys
from pathlib import Path

import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from lossprint.apps import build, job
from lossprint.apps.comparison import run_comparison
from lossprint.apps.job import run_job
from lossprint.apps.trust import (
    check_trained_again,
    check_trusted,
    foreign_network,
    model_makers,
)
from lossprint.runs.record import RunRecord
from tests.apps.test_comparison import ROOT, compose_analysis, training


class Payload:
    """Makes a folder where it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """A folder that appears if anything of a stranger's runs; with the means to make it."""
    marker = tmp_path / "marker"
    (tmp_path / "payload.pkl").write_bytes(pickle.dumps(Payload(marker)))
    torch.save(Payload(marker), tmp_path / "payload.pth")
    module = f"import os\nos.mkdir({str(marker)!r})\nimport torch\nNetwork = torch.nn.Identity\n"
    (tmp_path / "hubconf.py").write_text(module)
    (tmp_path / "strangers_module.py").write_text(module)
    return marker


def run_with(folder: Path, network: object, **sections: object) -> RunRecord:
    record = RunRecord(
        folder=folder / "outputs" / "theirs" / "triplet" / "fold0-seed0",
        loss="triplet",
        family="ranking",
        distance="lp",
        fold=0,
        seed=0,
        data_fingerprint="same",
    )
    record.weights_file.parent.mkdir(parents=True)
    record.weights_file.touch()
    config = {"model": {"network": network, "preprocessing": {}}, "data_root": ".", **sections}
    return record.begin(config).finish({}, {})


def test_the_payloads_do_run(marker, tmp_path):
    pickle.loads((tmp_path / "payload.pkl").read_bytes())
    assert marker.is_dir()


STRANGERS = {
    "a pickle": {"_target_": "pandas.read_pickle", "filepath_or_buffer": "{}/payload.pkl"},
    "a pickle from the network": {
        "_target_": "pandas.read_pickle", "filepath_or_buffer": "http://127.0.0.1:9/payload.pkl",
    },
    "a pickled checkpoint": {
        "_target_": "torch.load", "f": "{}/payload.pth", "weights_only": False,
    },
    "a hub in a folder": {
        "_target_": "torch.hub.load", "repo_or_dir": "{}", "model": "Network", "source": "local",
    },
    "a shell": {"_target_": "os.system", "command": "mkdir {}/marker"},
    "a shell by position": {"_target_": "os.system", "_args_": ["mkdir {}/marker"]},
    "a module of its own": {"_target_": "strangers_module.Network"},
    "a function to be called later": {"_target_": "os.system", "_partial_": True},
    "an argument of a model": {
        "_target_": "torchvision.models.resnet18",
        "norm_layer": {"_target_": "pandas.read_pickle", "filepath_or_buffer": "{}/payload.pkl"},
    },
    "an argument in a list": {
        "_target_": "torchvision.models.resnet18",
        "replace_stride_with_dilation": [{"_target_": "strangers_module.Network"}],
    },
    "a place in a library": {"_target_": "torchvision.models.resnet.torch.load", "f": "x"},
    "a helper of a library": {"_target_": "timm.models.load_checkpoint", "checkpoint_path": "x"},
    "a downloader of a library": {"_target_": "timm.models.load_model_config_from_hf"},
    "a hub by name": {"_target_": "timm.create_model", "model_name": "hf-hub:someone/model"},
    "a folder by name": {"_target_": "timm.create_model", "model_name": "local-dir:{}"},
    "a hub behind a tag": {"_target_": "timm.create_model", "model_name": "resnet18.hf-hub:x"},
    "a hub of the backbones": {
        "_target_": "lossprint.models.backbones.build_backbone", "name": "timm:hf-hub:x/y",
    },
    "a checkpoint of timm's": {
        "_target_": "timm.create_model", "model_name": "resnet18", "checkpoint_path": "{}/a.pth",
    },
    "a file of timm's": {
        "_target_": "timm.models.resnet18", "pretrained_cfg_overlay": {"file": "{}/payload.pth"},
    },
    "a secret": {"_target_": "timm.create_model", "model_name": "${{oc.env:HOME}}"},
    "something of this package": {"_target_": "lossprint.files.whole_file", "path": "{}/x"},
    "no function": {"depth": 3},
    "no name": {"_target_": ["os.system"]},
}  # fmt: skip


def filled(value: object, folder: Path) -> object:
    if isinstance(value, dict):
        return {key: filled(entry, folder) for key, entry in value.items()}
    if isinstance(value, list):
        return [filled(entry, folder) for entry in value]
    return value.format(folder) if isinstance(value, str) else value


@pytest.mark.parametrize("name", STRANGERS)
def test_code_of_a_stranger_is_shown_and_does_not_run(name, marker, tmp_path, monkeypatch, capsys):
    record = run_with(tmp_path, filled(STRANGERS[name], tmp_path))
    for place in (tmp_path, record.folder):  # where Python would find a module of the stranger's
        (place / "strangers_module.py").write_text((tmp_path / "strangers_module.py").read_text())
        monkeypatch.syspath_prepend(place)
    with pytest.raises(SystemExit) as ended:
        run_comparison(compose_analysis(tmp_path / "outputs"))
    told = "".join(capsys.readouterr().out.split())
    assert ended.value.code == 2
    assert str(record.config_file) in told
    assert "allowitwithtrust=true" in told
    if isinstance(STRANGERS[name], dict) and isinstance(STRANGERS[name].get("_target_"), str):
        assert STRANGERS[name]["_target_"] in told
    assert not marker.exists()
    assert "strangers_module" not in sys.modules


def test_a_tag_in_a_configuration_makes_no_object(marker, tmp_path, capsys):
    record = run_with(tmp_path, None)
    record.config_file.write_text(f"!!python/object/apply:os.mkdir ['{marker}']\n")
    with pytest.raises(SystemExit) as ended:
        run_comparison(compose_analysis(tmp_path / "outputs"))
    assert ended.value.code == 2
    assert "is not a run's configuration" in capsys.readouterr().out
    assert not marker.exists()


@pytest.mark.parametrize(
    "network",
    [
        {"_target_": "torchvision.models.resnet18", "num_classes": 64},
        {"_target_": "torchvision.models.resnet.resnet18", "num_classes": 64, "_convert_": "all"},
        {"_target_": "torchvision.models.get_model", "name": "resnet18", "weights": None},
        {"_target_": "timm.create_model", "model_name": "resnet18", "num_classes": 64},
        {"_target_": "timm.create_model", "model_name": "vit_small_patch14_dinov2.lvd142m"},
        {"_target_": "timm.models.resnet.resnet18", "num_classes": 64},
        {"_target_": "lossprint.models.embedder.build_embedder", "name": "timm:resnet18",
         "pretrained": False, "seed": 0},
    ],
)  # fmt: skip
def test_models_of_the_libraries_are_built_without_asking(network, tmp_path):
    assert foreign_network({"model": {"network": network}}) is None
    if network["_target_"].endswith("resnet18"):
        assert isinstance(build.own_network({"network": network}, 0), torch.nn.Module)


def test_the_list_names_functions_that_make_models():
    assert {
        "torchvision.models.vit_b_16",
        "timm.models.vision_transformer.vit_tiny_patch16_224",
    } < (model_makers())
    for name in ("torch.load", "torchvision.models.list_models", "timm.list_models", "timm.models"):
        assert name not in model_makers()


def test_the_user_allows_it_by_a_word_or_by_typing_it(tmp_path):
    network = {"_target_": "tests.saliency.networks.Patches"}
    record = run_with(tmp_path, network)
    settings = {"output_root": tmp_path}
    with pytest.raises(ValueError, match=r"would run 'tests\.saliency\.networks\.Patches'"):
        check_trusted([record], trust=False, **settings)
    check_trusted([record], trust=True, **settings)
    typed = {"checkpoints": [], "model": {"network": network}}
    check_trusted([record], trust=False, typed=typed, **settings)
    other = {"checkpoints": [], "model": {"network": {"_target_": "my.Network"}}}
    with pytest.raises(ValueError, match="Patches"):
        check_trusted([record], trust=False, typed=other, **settings)
    with pytest.raises(ValueError, match="trust='yes' must be true or false"):
        check_trusted([record], trust="yes", **settings)


def test_a_run_cannot_have_its_probe_set_put_anywhere(tmp_path, monkeypatch):
    network = {"_target_": "torchvision.models.resnet18"}
    probe = {"folder": str(tmp_path / "home" / "set"), "size": 32, "render": {"count": 4}}
    record = run_with(tmp_path, network, probe=probe)
    outputs = tmp_path / "outputs"
    with pytest.raises(ValueError, match=r"rendered into '.*home/set', where there is none"):
        check_trusted([record], trust=False, output_root=outputs)
    monkeypatch.setenv("LOSSPRINT_DATA", str(tmp_path / "home"))
    check_trusted([record], trust=False, output_root=outputs)
    monkeypatch.delenv("LOSSPRINT_DATA")
    (tmp_path / "home" / "set").mkdir(parents=True)
    (tmp_path / "home" / "set" / "set.json").touch()  # a rendered set that is there
    check_trusted([record], trust=False, output_root=outputs)


def test_interpolations_of_a_run_are_text():
    # OmegaConf would read the environment; a run's configuration is never given to it unchecked.
    network = {"_target_": "torchvision.models.resnet18", "num_classes": "${oc.env:HOME}"}
    assert OmegaConf.create(network).num_classes == os.environ["HOME"]
    assert "num_classes='${oc.env:HOME}'" in foreign_network({"model": {"network": network}})


SHELL = {"_target_": "os.mkdir", "path": "{}/marker"}
PLACES = {
    "a loss": ("loss.criterion", SHELL),
    "a miner": ("loss.miner", {**SHELL, "_partial_": True}),
    "an argument of a loss": ("loss.criterion.distance", SHELL),
    "an argument in a list": ("loss.criterion.reducers", [STRANGERS["a module of its own"]]),
    "an optimizer": ("optimizer", SHELL),
    "a schedule": ("schedule", SHELL),
    "images": ("data.source", STRANGERS["a pickle"]),
    "a view": ("data.train_view", STRANGERS["a hub in a folder"]),
    "a callback": ("callbacks.theirs", SHELL),
    "a network": ("model.network", SHELL),
    "a target that is looked up": ("optimizer", {"_target_": "${{oc.env:HOME}}"}),
    "a target that is none": ("optimizer", {"_target_": ["os.mkdir"]}),
    "a secret": ("logger.project", "${{oc.env:HOME}}"),
}


@pytest.fixture(scope="module")
def sound(small_world) -> dict[str, object]:
    """The configuration of a training with this package's loss, images and optimizer."""
    return training(small_world)


@pytest.fixture
def cut_off(sound, tmp_path) -> RunRecord:
    """A run that a retry would train."""
    return run_with(tmp_path, None).begin(sound)


@pytest.fixture(scope="module")
def retrying() -> DictConfig:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        words = ["status=theirs", "retry_failed=true"]
        return compose("train", words, return_hydra_config=True)


@pytest.fixture
def retry(retrying, tmp_path, monkeypatch):
    monkeypatch.setattr(HydraConfig.instance(), "cfg", retrying)
    places = {"output_root": str(tmp_path / "outputs")}
    return lambda **entries: run_job(OmegaConf.merge(retrying, places, entries))


@pytest.mark.parametrize("name", PLACES)
def test_a_retry_runs_no_code_of_a_stranger(
    name, cut_off, retry, marker, tmp_path, monkeypatch, capsys
):
    monkeypatch.syspath_prepend(tmp_path)
    place, value = PLACES[name]
    config = OmegaConf.create(cut_off.config())
    OmegaConf.update(config, place, filled(value, tmp_path), force_add=True, merge=False)
    cut_off.begin(OmegaConf.to_container(config))
    with pytest.raises(SystemExit) as ended:
        retry()
    told = "".join(capsys.readouterr().out.split())
    assert ended.value.code == 2
    assert f"{cut_off.config_file}wouldrun{place}" in told
    assert "allowitwithtrust=true" in told
    assert not marker.exists()
    assert "strangers_module" not in sys.modules


def test_a_retry_of_what_is_at_hand_or_allowed_goes_on(cut_off, retry, monkeypatch):
    trained = []
    monkeypatch.setattr(job, "train", lambda config, *_, **__: trained.append(config.optimizer))
    retry()
    theirs = {**cut_off.config(), "optimizer": {"_target_": "theirs.SGD"}}
    cut_off.begin(theirs)
    retry(trust=True)
    assert [optimizer["_target_"] for optimizer in trained] == ["torch.optim.AdamW", "theirs.SGD"]


def test_a_retry_does_not_have_images_put_anywhere(cut_off, tmp_path):
    source = {"root": str(tmp_path / "home" / "set")}
    cut_off.begin({"data": {"render": {"designs": 4}, "source": source}})
    with pytest.raises(ValueError, match=r"its images rendered into '.*home/set', where there is"):
        check_trained_again([cut_off], trust=False, output_root=tmp_path / "outputs")


def test_a_found_set_of_hyperparameters_runs_no_code(small_world, marker, tmp_path):
    file = tmp_path / "outputs" / "hyperparameters" / "theirs.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(yaml.safe_dump({"triplet": {"criterion": filled(SHELL, tmp_path)}}))
    with pytest.raises(ValueError, match=r"=theirs would run criterion\._target_: 'os\.mkdir'"):
        training(small_world, f"output_root={tmp_path}/outputs", "hyperparameters=theirs")
    assert not marker.exists()
