"""Runs that were cut off, damaged, replaced or started twice end as if nothing had happened."""

import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lossprint.apps import build
from lossprint.apps.training import existing_run
from lossprint.runs.record import RunRecord, load_record, run_folder
from tests.apps.test_train import ROOT, composed, run
from tests.small_world import overrides, write_world


@pytest.fixture(scope="module")
def other_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Other pixels under the same names, classes and sizes."""
    root = tmp_path_factory.mktemp("other") / "world"
    write_world(root, designs=16, per_design=6, seed=7)
    return root


def begun(root: Path, *more: str) -> RunRecord:
    """A run's folder as a training begins it."""
    config = build.checked(composed(root, *more))
    folder = run_folder(config["output_root"], config["sweep"], "triplet", 0, 0)
    shutil.rmtree(folder, ignore_errors=True)
    return RunRecord(
        folder=folder,
        loss="triplet",
        family="ranking",
        distance="lp",
        fold=0,
        seed=0,
        data_fingerprint=build.partition(config).fingerprint(),
    ).begin(config)


@pytest.mark.parametrize("status", ["running", "finished"])
def test_a_run_on_other_images_is_neither_continued_nor_found(status, small_world, other_world):
    record = begun(small_world, "sweep=images")
    if status == "finished":
        record = record.finish({}, {})
        assert "finished already" in run(small_world, "sweep=images")[1]
    with pytest.raises(ValueError, match=r"holds a run on other images than those of .*other"):
        run(small_world, "sweep=images", f"data.source.root={other_world}")
    assert load_record(record.folder) == record


def test_weights_changed_in_place_are_other_weights(small_world, tmp_path):
    file = tmp_path / "start.safetensors"
    file.write_bytes(b"some weights")
    config = build.checked(composed(small_world, "sweep=start", f"model.weights={file}"))
    record = begun(small_world, "sweep=start", f"model.weights={file}")
    record = dataclasses.replace(record, weights_fingerprint=build.weights_fingerprint(config))
    record = record.finish({}, {})
    assert existing_run(record.folder, config, None) == record
    file.write_bytes(b"else weights")  # as many bytes
    with pytest.raises(ValueError, match=r"began from other weights: .*start.*force=true"):
        existing_run(record.folder, config, None)
    failed = record.fail(RuntimeError("gone"))
    assert existing_run(failed.folder, config, None) is None  # is replaced
    file.unlink()  # a finished run does not need it
    finished = record.finish({}, {})
    assert existing_run(finished.folder, config, None) == finished


def test_a_run_that_failed_on_other_images_is_replaced(small_world, other_world, monkeypatch):
    record = begun(small_world, "sweep=failed").fail(RuntimeError("gone"))
    (record.folder / "weights.safetensors").touch()

    def stop(*arguments: object) -> None:
        raise ValueError("it began")

    monkeypatch.setattr("lossprint.apps.training.fit_and_test", stop)
    with pytest.raises(ValueError, match="it began"):
        run(small_world, "sweep=failed", f"data.source.root={other_world}")
    assert load_record(record.folder).data_fingerprint != record.data_fingerprint
    assert not (record.folder / "weights.safetensors").exists()


@pytest.mark.parametrize("name", ["run.json", "config.yaml"])
def test_a_damaged_record_is_named_and_can_be_replaced(name, small_world, monkeypatch):
    record = begun(small_world, "sweep=damaged").finish({}, {})
    (record.folder / name).write_bytes(b"\0\0\0")
    with pytest.raises(ValueError, match=rf"{name}.*force=true replaces the run"):
        run(small_world, "sweep=damaged")

    def stop(*arguments: object) -> None:
        raise ValueError("it began")

    monkeypatch.setattr("lossprint.apps.training.fit_and_test", stop)
    with pytest.raises(ValueError, match="it began"):
        run(small_world, "sweep=damaged", "force=true")
    assert load_record(record.folder).status == "failed"


def test_force_leaves_the_run_where_its_data_is_missing(small_world, tmp_path):
    record = begun(small_world, "sweep=kept").finish({}, {})
    with pytest.raises(FileNotFoundError):
        run(small_world, "sweep=kept", f"data.source.root={tmp_path}", "force=true")
    assert load_record(record.folder) == record


def test_weights_of_another_configuration_are_not_trained_on(small_world):
    lost, _ = run(small_world, "sweep=lost", "optimizer.lr=0.003", "keep_checkpoints=true")
    (lost.folder / "run.json").unlink()
    (lost.folder / "analysis").mkdir(exist_ok=True)
    found, _ = run(small_world, "sweep=lost", "keep_checkpoints=true")
    fresh, _ = run(small_world, "sweep=fresh")
    expected, actual = load_file(fresh.weights_file), load_file(found.weights_file)
    assert all(torch.equal(expected[name], actual[name]) for name in expected)
    # Of the same configuration they are: nothing but the tests is done again.
    (found.folder / "run.json").unlink()
    before = (found.folder / "checkpoints" / "last.ckpt").stat().st_mtime_ns
    again, _ = run(small_world, "sweep=lost", "keep_checkpoints=true")
    assert (again.folder / "checkpoints" / "last.ckpt").stat().st_mtime_ns == before
    assert again.metrics == found.metrics


def test_of_two_equal_commands_the_second_waits_and_finds(small_world):
    command = [sys.executable, str(ROOT / "train.py"), *overrides(small_world), "sweep=twice"]
    pair = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    said = sorted(b"".join(process.communicate()).decode() for process in pair)
    assert [process.returncode for process in pair] == [0, 0], said
    found = [text for text in said if "finished already" in text]
    assert len(found) == 1, said
    assert ": waiting for " in found[0]
    folder = small_world / "outputs" / "twice" / "triplet" / "fold0-seed0"
    assert load_record(folder).status == "finished"
    assert not list(folder.rglob("*.before.ckpt"))
