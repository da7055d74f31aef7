"""Readers of what runs keep, under files that are anyhow: errors of ours, which name the file."""

import json
import os
import signal
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from lossprint.data.store import read_header
from lossprint.rendering.frame_files import is_frame_whole, write_frame
from lossprint.rendering.specification import stored
from lossprint.rendering.tables import number_of_rows
from lossprint.runs.configuration import read_configuration
from lossprint.runs.levels import kept_levels
from lossprint.runs.load import load_run
from lossprint.runs.provenance import differences, immaterial
from lossprint.runs.record import MONITOR, RunRecord, load_record
from lossprint.tensor_files import load_tensors, save_tensors
from lossprint.training.callbacks.metrics_file import read_rows, write_rows
from lossprint.training.checkpoints import read_checkpoint
from tests.damage import check_own_errors, damaged

EXAMPLES = max(500, settings().max_examples)  # 5,000 in the profile "nightly"
FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
CONFIG = {
    "loss": {"name": "triplet", "family": "ranking", "distance": "lp"},
    "data": {"name": "rendered", "size": 64, "source": {"_target_": "a.b", "root": "/a"}},
    "model": {
        "name": "resnet18", "pretrained": False, "weights": None, "embedding_size": 128,
        "freeze_batchnorm": True, "preprocessing": {"mean": [0.5, 0.5, 0.5], "channels": "rgb"},
    },
    "probe": {"folder": "/a/b", "size": 64, "short_side": 64, "limit": None, "render": None},
    "seed": 0, "fold": 0, "folds": 4, "data_root": "data", "num_classes": 9,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of each file, sound."""
    folder = tmp_path_factory.mktemp("sound")
    record = RunRecord(
        folder=folder, loss="triplet", family="ranking", distance="lp", fold=0, seed=0,
        data_fingerprint="abc", versions={"torch": "2"}, git_commit="abc",
    )  # fmt: skip
    record.begin(CONFIG).finish({"test/map_at_r": 0.5, "val/map_at_r": float("nan")}, {"train": 1})
    write_rows(
        folder / "metrics.csv", [{"epoch": e, "step": 3 * e, "train/loss": 0.25} for e in range(4)]
    )
    save_tensors({"maps": torch.ones(3, 2, 2), "b": torch.ones(1)}, folder / "a.safetensors")
    (folder / "header.json").write_text(
        '{"version": 3, "sizes": [[20, 30], [16, 16]], "checksums": [7, 9]}'
    )
    (folder / "set.json").write_text('{"kind": "probe", "seed": 0, "levels": {"a": [1, 2]}}')
    torch.save({"state_dict": {"w": torch.ones(3)}, "callbacks": {"a": {"monitor": MONITOR}}},
               folder / "last.ckpt")  # fmt: skip
    write_frame(folder, 0, np.zeros((16, 16, 3), np.uint8), np.zeros((16, 16), np.uint8))
    (folder / "000000.png").write_bytes((folder / "images" / "000000.png").read_bytes())
    (folder / "samples.csv").write_text("frame,model,hue\n0,a,0.5\n1,b,0.25\n")
    return folder


def read_whole_configuration(path: Path) -> None:
    config = read_configuration(path)
    differences(CONFIG, config, ignore=immaterial(config))


def read_whole_record(path: Path) -> None:
    record = load_record(path.parent)
    assert "/" not in record.loss
    assert (path.parent / record.name).parent == path.parent


def read_frame(path: Path) -> None:
    target = path.parent / "images" / path.name
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(path.read_bytes())
    if is_frame_whole(path.parent, 0, 16, thorough=True):  # then it can be decoded
        Image.open(target).load()


READERS = {
    "run.json": read_whole_record,
    "config.yaml": read_whole_configuration,
    "metrics.csv": read_rows,
    "header.json": read_header,
    "a.safetensors": load_tensors,
    "last.ckpt": read_checkpoint,
    "set.json": lambda path: stored(path.parent),
    "000000.png": read_frame,
    "samples.csv": number_of_rows,
}


@pytest.mark.parametrize("name", READERS)
@FUZZ
@given(data=st.data())
def test_a_damaged_file_is_read_or_named(name: str, folder: Path, tmp_path: Path, data) -> None:
    if name == "000000.png":
        write_frame(tmp_path, 0, np.zeros((16, 16, 3), np.uint8), np.zeros((16, 16), np.uint8))
    content = data.draw(damaged((folder / name).read_bytes()))
    check_own_errors(tmp_path / name, content, READERS[name])


@FUZZ
@given(data=st.data())
def test_a_network_is_loaded_or_the_configuration_is_named(folder, tmp_path, data) -> None:
    content = data.draw(damaged((folder / "config.yaml").read_bytes()))
    (tmp_path / "run.json").write_bytes((folder / "run.json").read_bytes())
    (tmp_path / "weights.safetensors").write_bytes((folder / "a.safetensors").read_bytes())
    record, network = load_record(tmp_path), torch.nn.Linear(1, 1)
    check_own_errors(
        tmp_path / "config.yaml",
        content,
        lambda path: load_run(record, network),
        "weights.safetensors",  # which do not fit the network
    )


def test_sound_files_are_read(folder: Path) -> None:
    for name, read in READERS.items():
        read(folder / name)


@pytest.mark.parametrize(
    "entry",
    [
        {"durations": {"train": float("inf")}}, {"durations": {"train": float("nan")}},
        {"durations": {"train": 10**400}}, {"metrics": {"test/map_at_r": 10**400}},
        {"fold": 2**63}, {"seed": 10**30},
    ],
    ids=str,
)  # fmt: skip
def test_numbers_that_no_table_holds_are_no_record(entry, folder, tmp_path) -> None:
    content = json.loads((folder / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps(content | entry))
    with pytest.raises(ValueError, match=rf"run\.json is not a run's record: {next(iter(entry))}"):
        load_record(tmp_path)


def test_a_number_that_no_seed_takes_is_no_configuration(tmp_path) -> None:
    (tmp_path / "config.yaml").write_text(f"seed: {2**63}")
    with pytest.raises(ValueError, match=r"config\.yaml is not a run's configuration: .* 63 bits"):
        read_configuration(tmp_path / "config.yaml")


def test_a_level_that_does_not_say_of_which_epoch_is_none(tmp_path) -> None:
    for epoch, value in (("first", "0.5"), ("1", "much"), ("2", "0.25")):
        about = {"epoch": epoch, MONITOR: value}
        save_tensors({"a": torch.ones(1)}, tmp_path / f"epoch{epoch}.safetensors", about)
    assert [(level.epoch, level.value) for level in kept_levels(tmp_path)] == [(2, 0.25)]


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("run.json", lambda path: load_record(path.parent)),
        ("config.yaml", read_configuration),
        ("metrics.csv", read_rows),
        ("epoch1.safetensors", lambda path: kept_levels(path.parent)),
        ("weights.safetensors", load_tensors),
    ],
)
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(name, read, tmp_path) -> None:
    def late(*_: object) -> None:
        raise TimeoutError("it waits")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(10)
    os.mkfifo(tmp_path / name)
    try:
        with suppress(FileNotFoundError):
            assert not read(tmp_path / name)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
