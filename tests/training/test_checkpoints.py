"""A training's checkpoints under everything that kills, cuts off or changes them."""

import os
import shutil
from pathlib import Path

import pytest
import torch

from lossprint.runs.record import MONITOR
from lossprint.training.checkpoints import (
    RUN,
    Checkpoints,
    WholeCheckpoints,
    before,
    read_checkpoint,
)


def checkpoint(epoch: int, score: float | None, run: str = "this") -> dict:
    states = {
        "last": {"monitor": None, "best_model_score": None},
        "best": {"monitor": MONITOR, "best_model_score": score and torch.tensor(score)},
    }
    return {
        "state_dict": {"w": torch.full((50,), float(epoch))},
        "epoch": epoch,
        "callbacks": states,
        RUN: run,
    }


@pytest.fixture
def kept(tmp_path: Path) -> Checkpoints:
    """Four epochs, of which 1 and 3 were the best so far."""
    kept = Checkpoints(tmp_path, run="this")
    (writer,) = kept.plugins()
    for epoch, score in enumerate((0.1, 0.2, 0.2, 0.3)):
        if epoch in (1, 3):
            writer.save_checkpoint(checkpoint(epoch, score), kept.best)
        writer.save_checkpoint(checkpoint(epoch, score), kept.last)
    return kept


def epoch_of(path: Path | None) -> int | None:
    return None if path is None else read_checkpoint(path)["epoch"]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    position = content.find(torch.full((3,), 3.0).numpy().tobytes())  # within the weights
    content[position] ^= 1
    path.write_bytes(content)


def test_it_continues_from_the_last_epoch(kept):
    assert (epoch_of(kept.resume()), epoch_of(kept.best)) == (3, 3)
    assert epoch_of(before(kept.last)) == 2


@pytest.mark.parametrize("damage", ["empty", "half", "flipped", "gone"])
@pytest.mark.parametrize("name", ["last", "best"])
def test_a_damaged_one_is_passed_over_with_a_word(kept, name, damage, caplog):
    path: Path = getattr(kept, name)
    if damage == "gone":
        path.unlink()
    elif damage == "flipped":
        flip(path)
    else:
        os.truncate(path, path.stat().st_size // 2 if damage == "half" else 0)
    # Epoch 2 with the best one before it: the third is then repeated.
    assert epoch_of(kept.resume()) == 2
    assert epoch_of(kept.best) == 1
    assert damage == "gone" or str(path) in caplog.text


def test_where_the_best_epoch_is_lost_it_begins_anew(kept, caplog):
    kept.best.unlink()
    before(kept.best).write_bytes(b"")
    assert kept.resume() is None
    assert "the best epoch before it is lost" in caplog.text


def test_checkpoints_of_another_run_are_not_continued(kept, caplog):
    other = Checkpoints(kept.folder, run="other")
    assert other.resume() is None
    assert "is of another configuration or other images" in caplog.text


def test_a_kill_between_the_best_and_the_last(kept):
    kept.plugins()[0].save_checkpoint(checkpoint(4, 0.4), kept.best)
    assert (epoch_of(kept.resume()), epoch_of(kept.best)) == (3, 3)


def test_without_validation_so_far_there_is_no_best(tmp_path):
    kept = Checkpoints(tmp_path, run="this")
    kept.plugins()[0].save_checkpoint(checkpoint(0, None), kept.last)
    assert kept.resume() == kept.last


def test_a_full_disk_is_named_and_leaves_both(kept, monkeypatch):
    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*last\.ckpt'"):
        WholeCheckpoints().save_checkpoint(checkpoint(4, 0.4), kept.last)
    monkeypatch.undo()
    assert (epoch_of(kept.last), epoch_of(before(kept.last))) == (3, 2)
    assert sorted(path.name for path in kept.folder.iterdir()) == [
        "best.before.ckpt", "best.ckpt", "last.before.ckpt", "last.ckpt",
    ]  # fmt: skip


def test_nothing_is_staged_in_the_temporary_folder(kept, monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", "/nonexistent")
    monkeypatch.setattr("tempfile.tempdir", "/nonexistent")
    kept.plugins()[0].save_checkpoint(checkpoint(4, 0.4), kept.last)
    assert epoch_of(kept.last) == 4


def test_a_moved_folder_knows_its_best_epoch(kept, tmp_path):
    moved = tmp_path / "moved"
    state = {
        "monitor": MONITOR,
        "best_model_score": torch.tensor(0.3),
        "best_model_path": f"{tmp_path}/best.ckpt",
        "current_score": torch.tensor(0.3),
        "dirpath": str(tmp_path),
        "best_k_models": {f"{tmp_path}/best.ckpt": torch.tensor(0.3)},
        "kth_best_model_path": f"{tmp_path}/best.ckpt",
        "kth_value": torch.tensor(0.3),
        "last_model_path": "",
    }
    shutil.copytree(tmp_path, moved)
    callback = Checkpoints(moved, run="this").callbacks()[1]
    callback.load_state_dict(state)
    assert callback.best_model_score == 0.3
    assert list(callback.best_k_models) == [f"{moved}/best.ckpt"]
