"""The publication's folders and state dicts, fabricated in its layout."""

from pathlib import Path

import pretrainedmodels
import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from lossprint.models.reality_check import (
    FAMILIES_AND_DISTANCES,
    PREPROCESSING,
    find_reality_check_models,
)
from tests.models.fabricated import PUBLISHED_FOLDERS

CONF = Path(__file__).parents[2] / "conf"


def place(root: Path, folder: str, fold: int = 0) -> Path:
    """A model's folder with two empty files."""
    target = root / folder / f"Test50_50_Partitions4_{fold}" / "saved_models"
    target.mkdir(parents=True)
    (target / "trunk_best.pth").touch()
    (target / "embedder_best.pth").touch()
    return target


class PublishedEmbedder(nn.Module):
    """One linear layer under two names, as the publication's class holds it."""

    def __init__(self, size: int = 128) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(1024, size))
        self.last_linear = self.net[0]


@pytest.fixture(scope="module")
def trunk() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = pretrainedmodels.bninception(pretrained=None)
    network.last_linear = nn.Identity()
    return network.eval()


def test_all_fourteen_losses_and_four_folds_are_found(tmp_path: Path) -> None:
    for folder in PUBLISHED_FOLDERS:
        for fold in range(4):
            place(tmp_path, folder, fold)
    models = find_reality_check_models(tmp_path)
    assert len(models) == 56
    assert {model.loss for model in models} == set(FAMILIES_AND_DISTANCES)
    assert {model.dataset for model in models} == {"cars196"}
    for model in models:
        assert PUBLISHED_FOLDERS[model.folder.parents[1].name] == model.loss
        assert model.folder.parent.name.endswith(f"_{model.fold}")
    some = find_reality_check_models(tmp_path, losses=["arcface", "margin"], folds=[1, 3])
    assert [(model.loss, model.fold) for model in some] == [
        ("arcface", 1),
        ("arcface", 3),
        ("margin", 1),
        ("margin", 3),
    ]


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        (
            "sop_margin_param_per_class_no_weight_decay35_reproduction2",
            ("sop", "margin_per_class", 2),
        ),
        ("cub_ntxent28_reproduction0", ("cub200", "ntxent", 0)),
        ("SoftTriple", (None, "soft_triple", 0)),
        ("Multi-Similarity", (None, "multi_similarity", 0)),
        ("cars196_margin", ("cars196", "margin", 0)),
    ],
)
def test_spellings(folder: str, expected: tuple, tmp_path: Path) -> None:
    place(tmp_path, folder)
    (model,) = find_reality_check_models(tmp_path)
    assert (model.dataset, model.loss, model.seed) == expected


@pytest.mark.parametrize("loss", FAMILIES_AND_DISTANCES)
def test_families_and_distances_are_those_of_the_losses_files(loss: str) -> None:
    config = OmegaConf.load(CONF / "loss" / f"{loss}.yaml")
    assert FAMILIES_AND_DISTANCES[loss] == (config.family, config.distance)


def test_preprocessing_is_that_of_the_backbone_s_file() -> None:
    config = OmegaConf.load(CONF / "model" / "bn_inception.yaml").preprocessing
    assert {key: tuple(v) if key in ("mean", "std") else v for key, v in config.items()} == dict(
        PREPROCESSING
    )


def test_a_model_computes_what_the_publication_s_two_networks_do(
    trunk: nn.Module, tmp_path: Path
) -> None:
    embedder = PublishedEmbedder()
    folder = place(tmp_path, "cars_triplet46_reproduction0", fold=2)
    # One of the two as torch's DataParallel would have written it.
    state = {f"module.{key}": value for key, value in trunk.state_dict().items()}
    torch.save(state, folder / "trunk_best.pth")
    torch.save(embedder.state_dict(), folder / "embedder_best.pth")
    random_state = torch.get_rng_state()
    (found,) = find_reality_check_models(tmp_path)
    model = found.load()
    assert torch.equal(random_state, torch.get_rng_state())
    assert (found.family, found.distance, found.fold) == ("ranking", "lp", 2)
    images = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0)) * 60
    with torch.no_grad():
        expected = embedder.net(trunk(images))
        torch.testing.assert_close(model(images), expected, rtol=1e-4, atol=1e-4)
    assert not model.training
    assert model.freeze_batchnorm


def test_unfit_files_are_told(trunk: nn.Module, tmp_path: Path) -> None:
    folder = place(tmp_path, "cars_triplet46_reproduction0")
    (found,) = find_reality_check_models(tmp_path)
    trunk_file, embedder_file = folder / "trunk_best.pth", folder / "embedder_best.pth"
    torch.save(trunk.state_dict(), trunk_file)
    torch.save(PublishedEmbedder(64).state_dict(), embedder_file)
    with pytest.raises(
        ValueError, match=r"embedder_best\.pth gives embeddings of size 64, not 128"
    ):
        found.load()
    assert found.load(embedding_size=64).embedding_size == 64

    torch.save({"net.0.weight": torch.ones(128, 1024), "net.2.bias": torch.ones(3)}, embedder_file)
    with pytest.raises(ValueError, match=r"expected net\.0\.weight and net\.0\.bias, found net\.0"):
        found.load()

    different = {
        "net.0.weight": torch.ones(128, 1024),
        "net.0.bias": torch.ones(128),
        "last_linear.weight": torch.zeros(128, 1024),
        "last_linear.bias": torch.ones(128),
    }
    torch.save(different, embedder_file)
    with pytest.raises(ValueError, match="two different linear layers"):
        found.load()

    torch.save(PublishedEmbedder().state_dict(), embedder_file)
    state = trunk.state_dict()
    del state["conv2_3x3.weight"]
    torch.save(state, trunk_file)
    with pytest.raises(ValueError, match=r"trunk_best\.pth .*1 missing keys: conv2_3x3\.weight"):
        found.load()


def test_folders_that_cannot_be_understood(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no model of the reality check under"):
        find_reality_check_models(tmp_path)
    folder = place(tmp_path, "cars_triplet46_reproduction0")
    place(tmp_path, "cub_triplet37_reproduction0")
    with pytest.raises(ValueError, match="holds models of cars196, cub200: choose one"):
        find_reality_check_models(tmp_path)
    assert len(find_reality_check_models(tmp_path, dataset="cub200")) == 1
    place(tmp_path, "cars_triplet47_reproduction0")
    with pytest.raises(ValueError, match="are both triplet, fold 0"):
        find_reality_check_models(tmp_path, dataset="cars196")
    (folder / "embedder_best.pth").unlink()
    with pytest.raises(FileNotFoundError, match=r"embedder_best\.pth is missing"):
        find_reality_check_models(tmp_path, dataset="cars196")
    place(tmp_path, "cars_my_loss")
    with pytest.raises(ValueError, match=r"'cars_my_loss' names no loss .* contrastive, triplet"):
        find_reality_check_models(tmp_path)
