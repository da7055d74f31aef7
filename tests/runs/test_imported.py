"""Published models become runs that are found, loaded and not read twice."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lossprint.data.transforms import Preprocessing
from lossprint.models.archives import read_state_dict
from lossprint.models.reality_check import RealityCheckModel
from lossprint.runs.imported import import_reality_check
from lossprint.runs.load import load_run
from lossprint.runs.registry import find_runs
from tests.models.fabricated import place_model, save_trunk

PROBE = {"folder": "probe", "size": 227, "short_side": 227, "limit": None, "render": None}


def test_models_become_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trunk = save_trunk(tmp_path / "trunk.pth")
    for fold, folder in enumerate(("cars_triplet46_reproduction0", "cars_arcface49_reproduction0")):
        place = place_model(tmp_path / "models", folder, fold, tmp_path / "trunk.pth", seed=fold)
    section = {"root": tmp_path / "models", "probe": PROBE, "data_root": tmp_path / "data"}
    records = import_reality_check(section, tmp_path / "outputs")
    assert [(r.loss, r.family, r.distance, r.fold, r.status) for r in records] == [
        ("arcface", "classification", "cosine", 1, "finished"),
        ("triplet", "ranking", "lp", 0, "finished"),
    ]
    found = find_runs(tmp_path / "outputs", "reality_check-cars196", loss="arcface")
    assert [record.folder for record in found] == [records[0].folder]
    embedder, preprocessing = load_run(found[0])
    linear = read_state_dict(place / "embedder_best.pth")
    assert torch.equal(embedder.embedding.weight, linear["net.0.weight"])
    assert torch.equal(embedder.embedding.bias, linear["net.0.bias"])
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


def other_bytes(file: Path) -> None:
    file.write_bytes(file.read_bytes()[::-1])


def renamed_over(file: Path) -> None:
    beside = file.with_name("beside")
    beside.write_bytes(bytes(file.stat().st_size))
    beside.replace(file)


def swapped_with_another_fold_s(file: Path) -> None:
    other = next(path for path in file.parents[3].glob("*/*/*/embedder_best.pth") if path != file)
    content = file.read_bytes()
    file.write_bytes(other.read_bytes())
    other.write_bytes(content)


@pytest.mark.parametrize("keep_time", [True, False])
@pytest.mark.parametrize("change", [other_bytes, renamed_over, swapped_with_another_fold_s])
def test_models_changed_in_place_are_read_anew(
    change: Callable[[Path], None],
    keep_time: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[int] = []

    def load(self: RealityCheckModel, **_: object) -> torch.nn.Module:
        read.append(self.fold)
        return torch.nn.Linear(1, 1)

    monkeypatch.setattr(RealityCheckModel, "load", load)
    for fold in range(2):
        place = tmp_path / "models/cars_triplet46_reproduction0"
        place = place / f"Test50_50_Partitions4_{fold}" / "saved_models"
        place.mkdir(parents=True)
        for name in ("trunk_best.pth", "embedder_best.pth"):
            (place / name).write_bytes(b"weights of fold %d" % fold)
    section = {"root": tmp_path / "models", "probe": PROBE, "data_root": tmp_path / "data"}
    import_reality_check(section, tmp_path / "outputs")
    import_reality_check(section, tmp_path / "outputs")
    assert read == [0, 1]
    file = place / "embedder_best.pth"
    before = file.stat()
    change(file)
    if keep_time:
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    import_reality_check(section, tmp_path / "outputs")
    assert read[2:] == ([0, 1] if change is swapped_with_another_fold_s else [1])
