"""The main job from the configuration to the folder, on a world small enough for a test."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hydra import compose, initialize_config_dir
from rich.console import Console
from safetensors.torch import load_file

from lossprint.apps import build, training
from lossprint.apps.training import show_result, train
from lossprint.metrics.geometry import embedding_geometry
from lossprint.metrics.retrieval import retrieval_metrics
from lossprint.runs.levels import kept_levels
from lossprint.runs.record import load_record
from lossprint.runs.summary import runs_summary
from lossprint.training.callbacks.metrics_file import read_rows
from lossprint.training.fit import Interrupted
from lossprint.training.module import MetricLearning
from tests.runs.wandb_file import read_back
from tests.small_world import overrides

ROOT = Path(__file__).parents[2]


def composed(root: Path, *more: str):
    given = {word.partition("=")[0] for word in more}
    words = [word for word in overrides(root) if word.partition("=")[0] not in given]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose("train", [*words, *more])


def run(root: Path, *more: str):
    console = Console(record=True, width=120, file=open(os.devnull, "w"))  # noqa: SIM115
    with console.file:
        record = train(composed(root, *more), console)
    return record, console.export_text()


@pytest.fixture(scope="module")
def finished(small_world):
    return run(small_world, "logger=wandb", "logger.project=squares", "keep_levels=2")


def test_a_run_is_a_folder_that_says_everything(finished, small_world):
    record, text = finished
    assert record.folder == small_world / "outputs" / "small" / "triplet" / "fold0-seed0"
    assert load_record(record.folder).status == "finished"
    content = json.loads((record.folder / "run.json").read_text())
    assert content["metrics"].keys() >= {
        "test/map_at_r", "test/precision_at_1", "untrained/map_at_r", "val/map_at_r",
    }  # fmt: skip
    # The untrained network has a counterpart of each metric, under the metric's own name.
    names = {
        prefix: [key.removeprefix(prefix) for key in content["metrics"] if key.startswith(prefix)]
        for prefix in ("test/", "nr/", "share/", "untrained/")
    }
    assert {name for name in names["untrained/"] if "/" not in name} == {*names["test/"]}
    assert {name for name in names["untrained/"] if "/" in name and "area/" not in name} == {
        *(f"nr/{name}" for name in names["nr/"]),
        *(f"share/{name}" for name in names["share/"]),
    }
    rows = read_rows(record.metrics_file)
    assert [row["step"] for row in rows] == [3, 6]
    assert all(1 <= row["val/effective_rank"] <= 128 for row in rows)
    assert all(0 <= row["val/mean_length"] <= 1 for row in rows)
    assert content["versions"]["torch"] == torch.__version__.split("+")[0]
    assert record.config()["num_classes"] == 9  # 16 designs − 4 test − 3 validation
    assert [row["epoch"] for row in read_rows(record.metrics_file)] == [0, 1]
    assert record.weights_file.exists()
    assert (record.folder / "gallery.png").exists()
    levels = kept_levels(record.levels_folder)
    assert [level.epoch for level in levels] == [0, 1]
    assert max(level.value for level in levels) == pytest.approx(record.metrics["val/map_at_r"])
    kept = load_file(record.test_embeddings_file)
    assert kept["embeddings"].shape == (24, 128)  # four designs of six images
    shape = embedding_geometry(kept["embeddings"])
    assert record.metrics["test/effective_rank"] == pytest.approx(shape.effective_rank, rel=1e-4)
    assert content["collapsed"] is shape.collapsed
    metrics = retrieval_metrics(kept["embeddings"], kept["labels"])
    assert metrics["map_at_r"] == pytest.approx(record.metrics["test/map_at_r"], abs=1e-6)
    assert "map_at_r" in text
    assert "of the most possible" in text
    assert str(record.folder) in text.replace("\n", "")


def test_what_the_tracker_keeps_of_a_run_is_read_back(finished):
    record, _ = finished
    kept = read_back(record.sweep_folder)
    assert record.wandb == f"squares/{kept.run.run_id}"
    assert (kept.run.run_group, list(kept.run.tags)) == ("small", ["ranking", "triplet"])
    assert kept.config["loss"] == record.config()["loss"]  # so that its margin can be found
    rows = [row for row in kept.history if "train/loss" in row]
    assert [row["step"] for row in rows] == [3, 6]
    measured = {"nr/model", "share/car", "map_r/initial", "val/map_at_r", "lr/backbone"}
    assert measured <= rows[-1].keys()
    known = ("nr/", "share/", "map_r/", "val/", "train/", "lr/", "probe/saliency.", "test/gallery.")
    junk = {key for row in kept.history for key in row if not key.startswith((*known, "_"))}
    assert junk == {"step", "epoch"}
    assert not any("table-file" in row.values() for row in kept.history)
    assert kept.summary["test/map_at_r"] == record.metrics["test/map_at_r"]
    assert "table-file" not in kept.summary.values()


@pytest.mark.parametrize("collapsed", [True, False])
def test_a_collapsed_run_says_so(finished, collapsed):
    record = dataclasses.replace(finished[0], collapsed=collapsed)
    console = Console(record=True, width=120, file=open(os.devnull, "w"))  # noqa: SIM115
    with console.file:
        show_result(record, console)
        console.print(runs_summary([record]))
    text = console.export_text()
    assert ("collapsed: the embedding of the unseen classes uses" in text) is collapsed
    assert ("finished" in text) is not collapsed


def test_the_same_command_again_trains_nothing(finished, small_world):
    record, _ = finished
    before = record.weights_file.stat().st_mtime_ns
    again, text = run(small_world)
    assert "finished already" in text
    assert again.metrics == record.metrics
    assert record.weights_file.stat().st_mtime_ns == before


def test_another_configuration_in_the_same_folder_is_refused(finished, small_world):
    with pytest.raises(ValueError, match=r"optimizer\.lr: 0\.001 → 0\.002.*sweep="):
        run(small_world, "optimizer.lr=0.002")


def test_two_losses_start_from_the_same_weights_and_see_the_same_batches(finished, small_world):
    record, _ = finished
    other, _ = run(small_world, "loss=arcface", "sweep=kept", "keep_checkpoints=true")
    for metric in ("map_at_r", "precision_at_1"):
        key = f"untrained/{metric}"
        assert other.metrics[key] == record.metrics[key]
    assert other.family == "classification"
    best = torch.load(other.folder / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    assert "criterion.W" in best  # the loss's own weights are kept with the network's
    assert not (record.folder / "checkpoints").exists()  # of a finished run nothing needs them


def test_the_control_is_evaluated_and_not_trained(small_world):
    record, _ = run(small_world, "loss=untrained")
    assert record.metrics["test/map_at_r"] == record.metrics["untrained/map_at_r"]
    assert "epochs" not in record.metrics


def test_killed_and_started_again_ends_with_the_same_weights(small_world):
    loss = "arcface"  # which has weights of its own, one for each class
    record, _ = run(small_world, f"loss={loss}")
    _, text = run(small_world, f"loss={loss}")
    assert "finished already" in text
    more = [f"loss={loss}", "sweep=killed"]
    command = [sys.executable, str(ROOT / "train.py"), *overrides(small_world), *more]
    folder = small_world / "outputs" / "killed" / loss / "fold0-seed0"
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 180
    while not (folder / "checkpoints" / "last.ckpt").exists():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert load_record(folder).status == "running"
    continued, _ = run(small_world, *more)
    expected, actual = load_file(record.weights_file), load_file(continued.weights_file)
    assert all(torch.equal(expected[name], actual[name]) for name in expected)
    assert [row["epoch"] for row in read_rows(continued.metrics_file)] == [0, 1]


@pytest.mark.parametrize(
    ("error", "status"), [(Interrupted(), "interrupted"), (ArithmeticError("nan"), "failed")]
)
def test_a_run_that_ends_early_says_how_and_which_tracked_run_it_is(
    error, status, small_world, monkeypatch
):
    def stopped(config, network, data, probe, record, console, started):
        record.with_wandb("lossprint/abc")
        raise error

    monkeypatch.setattr(training, "_train", stopped)
    with pytest.raises(type(error)):
        run(small_world, "sweep=early", "loss=margin")
    record = load_record(small_world / "outputs" / "early" / "margin" / "fold0-seed0")
    assert (record.status, record.wandb) == (status, "lossprint/abc")


@pytest.mark.parametrize("moment", ["first test", "training", "last test"])
def test_ctrl_c_is_an_interruption_at_any_moment(moment, small_world, monkeypatch):
    monkeypatch.setattr(signal, "signal", lambda *handler: None)  # Lightning ignores further ones
    hook = "on_train_epoch_start" if moment == "training" else "on_test_epoch_end"
    original, calls = getattr(MetricLearning, hook), []

    def pressed(module):
        calls.append(moment)
        if moment != "last test" or len(calls) == 2:
            raise KeyboardInterrupt
        original(module)

    with monkeypatch.context() as while_pressed:
        while_pressed.setattr(MetricLearning, hook, pressed)
        with pytest.raises(Interrupted):
            run(small_world, f"sweep={moment}", "callbacks=quiet")
    folder = small_world / "outputs" / moment / "triplet" / "fold0-seed0"
    assert load_record(folder).status == "interrupted"
    record, _ = run(small_world, f"sweep={moment}", "callbacks=quiet")
    assert record.status == "finished"


@pytest.mark.parametrize(("epoch", "text"), [(0, ""), (3, "continues with epoch 4 of 20\n")])
def test_it_is_said_with_which_epoch_a_run_continues(epoch, text):
    console = Console(record=True, width=80)
    trainer = SimpleNamespace(current_epoch=epoch, max_epochs=20, is_global_zero=True)
    training.say_continued(console, trainer, None)
    assert console.export_text() == text


@pytest.mark.parametrize("words", [["-m", "seed=0,1", "loss=a"], ["seed=0,1", "-m", "loss=a"]])
def test_overrides_stand_on_either_side_of_the_multirun_flag(words):
    command = [sys.executable, str(ROOT / "train.py"), *words, "loss=tripplet"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert "unrecognized" not in result.stderr
    assert "tripplet" in result.stdout


def test_a_loss_that_becomes_infinite_stops_the_run_by_name(small_world):
    with pytest.raises(ArithmeticError, match=r"loss 'triplet' became nan at step .*backbone"):
        run(small_world, "optimizer.lr=1e30", "sweep=exploding")
    record = load_record(small_world / "outputs" / "exploding" / "triplet" / "fold0-seed0")
    assert record.status == "failed"
    assert "became nan" in record.error


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["trainer.max_epochs=-1"], r"trainer\.max_epochs=-1 must be a whole number of at least 1"),
        (["+trainer.epochs=3"], r"unknown trainer\.epochs; valid are .*max_epochs"),
        (["+typo=3"], "unknown typo"),
        (["+loss.criterion.magrin=3"], "magrin"),
        (["keep_levels=1"], "keep_levels=1 must be a whole number of at least 2"),
        (["fold=4"], r"fold=4 must be a whole number from 0 to 3"),
        (["optimizer.lr=-1"], r"optimizer\.lr=-1"),
        (["model.name=resnet19"], "resnet19"),
        (["sampler.classes_per_batch=10"], "but the fold trains on 9 classes"),
        (["sampler.samples_per_class=1"], "at least 2 samples"),
        (["hyperparameters=published", "loss=circle"], "'circle' has no published"),
        (["logger.name=board"], "logger='board' is unknown"),
    ],
)
def test_bad_input_is_named_before_training(small_world, more, message):
    with pytest.raises(ValueError, match=message):
        run(small_world, "sweep=bad", *more)


def test_too_few_designs_are_refused_before_rendering(small_world):
    with pytest.raises(ValueError, match=r"classes_per_batch=4, but the fold trains on 3 classes"):
        run(
            small_world,
            "sweep=bad",
            "data.render={designs: 8, frames_per_design: 2, size: 32, seed: 0}",
            f"data.source.root={small_world}/never",
        )
    assert not (small_world / "never").exists()


@pytest.mark.parametrize(
    ("render", "missing"),
    [
        ("null", r"none/samples\.csv is missing"),
        ("{designs: 16, frames_per_design: 2, size: 32, seed: 0}", r"weights\.pth"),
    ],
)
def test_files_are_looked_for_before_weights_and_weights_before_rendering(
    small_world, tmp_path, render, missing
):
    with pytest.raises(FileNotFoundError, match=missing):
        run(
            small_world,
            "sweep=bad",
            f"data.render={render}",
            f"data.source.root={tmp_path}/none",
            f"model.weights={tmp_path}/weights.pth",
        )
    assert not (tmp_path / "none").exists()


def test_the_probe_set_is_read_before_all_images_are_decoded(small_world, tmp_path, monkeypatch):
    monkeypatch.setattr("lossprint.apps.build.open_store", None)  # it does not come so far
    with pytest.raises(FileNotFoundError, match=r"none/samples\.csv is missing"):
        run(small_world, "sweep=bad", "data.store=true", f"probe.folder={tmp_path}/none")


@pytest.mark.parametrize("store", ["true", "false"])
def test_an_unreadable_image_is_named_before_training(store, small_world, tmp_path, monkeypatch):
    shutil.copytree(small_world / "world", tmp_path / "world")
    (tmp_path / "world" / "images" / "000007.png").write_bytes(b"no image")
    monkeypatch.setattr("lossprint.apps.training.fit_and_test", None)  # it does not come so far
    with pytest.raises(ValueError, match=r"cannot decode .*000007\.png"):
        run(
            small_world,
            f"sweep=bad-{store}",
            f"data.source.root={tmp_path}/world",
            f"data.store={store}",
        )


def test_one_failing_loss_does_not_stop_a_sweep(small_world):
    command = [sys.executable, str(ROOT / "train.py"), "-m", *overrides(small_world)]
    command += ["loss=arcface,contrastive", "sweep=sweep", "trainer.max_epochs=1"]
    diverging = ["loss.optimizer={lr: 1e38}"]  # of the proxies, which contrastive has none of
    result = subprocess.run([*command, *diverging], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "1 of 2 runs finished" in result.stdout
    assert "arcface" in result.stdout.split("failed")[-1]


@pytest.mark.parametrize("precision", ["64-true", "bf16-true", "bf16-mixed"])
def test_it_trains_in_any_precision(small_world, precision):
    record, _ = run(
        small_world,
        f"sweep={precision}",
        "loss=soft_triple",  # which has weights of its own
        f"trainer.precision={precision}",
        "trainer.max_epochs=1",
        "callbacks.maps.samples=2",
    )
    assert record.status == "finished"
    assert record.metrics["test/map_at_r"] > 0
    assert all(torch.isfinite(value).all() for value in load_file(record.weights_file).values())
    trained, _ = build.trained(record)
    assert {value.dtype for value in trained.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("accelerator", "precision"),
    [("auto", "bf16-mixed"), ("gpu", "bf16-mixed"), ("cpu", "32-true")],
)
def test_half_precision_is_for_a_gpu_that_is_used(accelerator, precision, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    assert build.fastest_precision(accelerator) == precision
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert build.fastest_precision(accelerator) == "32-true"
