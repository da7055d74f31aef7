"""Published models become runs that are found, loaded and not read twice."""

from pathlib import Path

import pytest
import torch

from lossprint.data.transforms import Preprocessing
from lossprint.models import BNInception, read_state_dict
from lossprint.models.reality_check import RealityCheckModel
from lossprint.runs.imported import import_checkpoint, import_reality_check
from lossprint.runs.load import load_run
from lossprint.runs.registry import find_runs

PROBE = {"folder": "probe", "size": 227, "short_side": 227, "limit": None, "render": None}


def fabricate(root: Path, folder: str, fold: int, trunk: BNInception) -> None:
    target = root / folder / f"Test50_50_Partitions4_{fold}" / "saved_models"
    target.mkdir(parents=True)
    torch.save(trunk.state_dict(), target / "trunk_best.pth")
    weight = torch.full((128, 1024), float(fold))
    torch.save(
        {"net.0.weight": weight, "net.0.bias": torch.ones(128)}, target / "embedder_best.pth"
    )


def test_models_become_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trunk = BNInception(num_classes=None)
    fabricate(tmp_path / "models", "cars_triplet46_reproduction0", 0, trunk)
    fabricate(tmp_path / "models", "cars_arcface49_reproduction0", 1, trunk)
    section = {"root": tmp_path / "models", "probe": PROBE, "data_root": tmp_path / "data"}
    records = import_reality_check(section, tmp_path / "outputs")
    assert [(r.loss, r.family, r.distance, r.fold, r.status) for r in records] == [
        ("arcface", "classification", "cosine", 1, "finished"),
        ("triplet", "ranking", "lp", 0, "finished"),
    ]
    found = find_runs(tmp_path / "outputs", "reality_check-cars196", loss="arcface")
    assert [record.folder for record in found] == [records[0].folder]
    embedder, preprocessing = load_run(found[0])
    assert torch.equal(embedder.embedding.weight, torch.ones(128, 1024))
    key = "inception_4a_3x3.weight"
    assert torch.equal(embedder.backbone.network.state_dict()[key], trunk.state_dict()[key])
    assert preprocessing == Preprocessing(
        mean=[104.0, 117.0, 128.0], std=[1.0, 1.0, 1.0], channels="bgr", scale=1.0
    )
    assert records[0].config()["probe"] == PROBE

    def read(self: RealityCheckModel, **_: object) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr(RealityCheckModel, "load", read)
    assert len(import_reality_check(section, tmp_path / "outputs")) == 2
    file = next((tmp_path / "models").glob("cars_arcface*/*/*/embedder_best.pth"))
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(AssertionError, match="read again"):
        import_reality_check(section, tmp_path / "outputs")


def test_a_user_s_checkpoint_becomes_a_run(tmp_path: Path) -> None:
    trained = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 4))
    torch.save({f"net.{k}": v for k, v in trained.state_dict().items()}, tmp_path / "own.pth")
    section = {
        "weights": tmp_path / "own.pth",
        "key_map": {"net.": ""},
        "model": {"_target_": "mine.Network", "embedding_size": 4},
        "loss": "mine",
        "family": "ranking",
        "distance": "cosine",
        "fold": 0,
        "seed": 3,
        "probe": {**PROBE, "size": 2},
        "data_root": tmp_path / "data",
    }
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 4))
    record = import_checkpoint(section, network, tmp_path / "outputs")
    (found,) = find_runs(tmp_path / "outputs", "checkpoints")
    assert (found.loss, found.distance, found.seed) == ("mine", "cosine", 3)
    assert found.folder == record.folder
    saved = read_state_dict(found.weights_file)
    assert all(torch.equal(saved[key], value) for key, value in trained.state_dict().items())
    assert found.config()["model"] == section["model"]
    wrong = {**section, "model": {"_target_": "mine.Network", "embedding_size": 8}}
    with pytest.raises(ValueError, match="embeddings of size 4, not 8"):
        import_checkpoint(wrong, network, tmp_path / "outputs")
