"""A user's own checkpoints become runs; what is wrong with a list of them is told first."""

from pathlib import Path

import pytest
import torch
from torch import nn

from lossprint.models.archives import read_state_dict
from lossprint.runs.imported_checkpoint import Checkpoint, import_checkpoint, listed_checkpoints
from lossprint.runs.registry import find_runs

PROBE = {"folder": "probe", "size": 2, "short_side": 2, "limit": None, "render": None}


def network() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 4))


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.save({f"net.{k}": v for k, v in network().state_dict().items()}, tmp_path / "own.pth")
    return tmp_path / "own.pth"


def section(**model: object) -> dict:
    return {"probe": PROBE, "data_root": "data", "model": {"embedding_size": 4, **model}}


def entry(weights: Path, **changes: object) -> dict:
    return {
        "weights": str(weights),
        "loss": "mine",
        "family": "ranking",
        "distance": "cosine",
        **changes,
    }


def test_a_checkpoint_becomes_a_run(weights: Path, tmp_path: Path) -> None:
    (checkpoint,) = listed_checkpoints(
        {"checkpoints": [entry(weights, seed=3)], "key_map": {"net.": ""}}
    )
    record = import_checkpoint(checkpoint, network(), section(), tmp_path / "outputs")
    (found,) = find_runs(tmp_path / "outputs", "checkpoints")
    assert (found.loss, found.family, found.distance) == ("mine", "ranking", "cosine")
    assert (found.fold, found.seed, found.folder) == (0, 3, record.folder)
    saved = read_state_dict(found.weights_file)
    assert {f"net.{key}" for key in saved} == set(read_state_dict(weights))
    assert all(torch.equal(read_state_dict(weights)[f"net.{k}"], v) for k, v in saved.items())
    assert found.config()["model"] == section()["model"]


def test_a_key_map_of_its_own_goes_before_the_shared_one(weights: Path) -> None:
    own = entry(weights, loss="other", key_map={"module.": ""})
    shared, other = listed_checkpoints(
        {"checkpoints": [entry(weights), own], "key_map": {"net.": ""}}
    )
    assert (shared.key_map, other.key_map) == ({"net.": ""}, {"module.": ""})


def test_a_network_that_does_not_fit_is_told(weights: Path, tmp_path: Path) -> None:
    checkpoint = Checkpoint(**entry(weights), key_map={"net.": ""})
    with pytest.raises(ValueError, match="embeddings of size 4, not 8"):
        import_checkpoint(checkpoint, network(), section(embedding_size=8), tmp_path)
    large = {**section(), "probe": {**PROBE, "size": 5}}
    with pytest.raises(ValueError, match=r"cannot embed images of 5 px: .*mat1 and mat2"):
        import_checkpoint(checkpoint, network(), large, tmp_path)
    torch.save({"weight": torch.ones(4, 12)}, weights)
    unmapped = Checkpoint(**entry(weights))
    with pytest.raises(ValueError, match=r"own\.pth .*2 missing keys: 1\.weight, 1\.bias"):
        import_checkpoint(unmapped, network(), section(), tmp_path)
    assert not list(tmp_path.rglob("run.json"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"los": "mine"}, r"unknown models\.checkpoints\[0\]\.los; valid are weights, loss, fam"),
        ({"family": "rank"}, "family of .* one of ranking, classification, control, not 'rank'"),
        ({"distance": "l2"}, "distance of .* one of lp, lp_squared, cosine, dot, snr, not 'l2'"),
        ({"loss": "../mine"}, r"loss of .* must be a plain name, not '\.\./mine'"),
        ({"seed": -1}, "seed of .* must be a whole number of at least 0, not -1"),
        ({"fold": "a"}, "fold of .* must be a whole number of at least 0, not 'a'"),
    ],
)
def test_entries_that_are_not_valid(weights: Path, changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        listed_checkpoints({"checkpoints": [entry(weights, **changes)], "key_map": None})


def test_lists_that_are_not_valid(weights: Path, tmp_path: Path) -> None:
    def read(*entries: object) -> None:
        listed_checkpoints({"checkpoints": entries, "key_map": None})

    with pytest.raises(ValueError, match="are both loss mine, fold 0, seed 0"):
        read(entry(weights), entry(weights))
    with pytest.raises(ValueError, match=r"models\.checkpoints is empty"):
        read()
    with pytest.raises(ValueError, match=r"models\.checkpoints\[1\] has no loss"):
        read(entry(weights), {"weights": str(weights)})
    with pytest.raises(ValueError, match=r"models\.checkpoints\[0\]='a\.pth' must hold weights"):
        read("a.pth")
    with pytest.raises(FileNotFoundError, match=r"no weights file at .*absent\.pth"):
        read(entry(weights), entry(tmp_path / "absent.pth", seed=1))
