import dataclasses

import pytest
import torch

from lossprint.runs.record import RunRecord
from lossprint.studies.comparability import incompatibilities, training_differences
from lossprint.studies.networks import networks_of_runs
from lossprint.tensor_files import save_tensors

CONFIG = {
    "model": {"name": "resnet18", "embedding_size": 128},
    "probe": {"folder": "data/probe", "size": 64},
    "optimizer": {"lr": 0.001},
    "loss": {"name": "triplet"},
}


def record(root, loss="triplet", *, status="finished", weights=True, sweep="sweep", **changes):
    found = RunRecord(
        folder=root / sweep / loss / "fold0-seed0",
        loss=loss,
        family="ranking",
        distance="lp",
        fold=0,
        seed=0,
        data_fingerprint=changes.pop("data_fingerprint", "d0"),
    ).begin({**CONFIG, "loss": {"name": loss}, **changes})
    if weights:
        save_tensors({loss: torch.ones(1)}, found.weights_file)
    if status == "finished":
        return found.finish({"test/map_at_r": 0.3}, {})
    return found.fail(ValueError("no more room")) if status == "failed" else found


def load(found):
    return found.loss


def test_finished_runs_with_weights_become_networks(tmp_path):
    made, skipped = networks_of_runs([record(tmp_path), record(tmp_path, "arcface")], load)
    assert skipped.empty
    assert [network.name for network in made] == ["triplet/fold0-seed0", "arcface/fold0-seed0"]
    assert [network.load() for network in made] == ["triplet", "arcface"]
    assert made[0].weights_key != made[1].weights_key
    assert made[0].cache == tmp_path / "sweep" / "triplet" / "fold0-seed0" / "analysis"
    assert [network.run.folder for network in made] == [
        tmp_path / "sweep" / network.loss / "fold0-seed0" for network in made
    ]


def test_runs_of_several_sweeps_are_told_apart(tmp_path):
    made, _ = networks_of_runs([record(tmp_path), record(tmp_path, sweep="other")], load)
    assert [n.name for n in made] == ["sweep/triplet/fold0-seed0", "other/triplet/fold0-seed0"]


def test_sweeps_of_one_name_in_two_places_are_told_apart(tmp_path):
    made, _ = networks_of_runs([record(tmp_path / "here"), record(tmp_path / "there")], load)
    assert [network.name for network in made] == [
        "here/sweep/triplet/fold0-seed0",
        "there/sweep/triplet/fold0-seed0",
    ]


@pytest.mark.parametrize(
    ("status", "weights", "reason"),
    [
        ("failed", True, "it failed (ValueError: no more room); train it again"),
        ("running", True, "it is not finished; the command that started it continues it"),
        ("finished", False, "weights.safetensors is missing; train it again with force=true"),
    ],
)
def test_runs_that_cannot_be_used_are_named_with_what_to_do(tmp_path, status, weights, reason):
    bad = record(tmp_path, "arcface", status=status, weights=weights)
    made, skipped = networks_of_runs([record(tmp_path), bad], load)
    assert [network.loss for network in made] == ["triplet"]
    assert skipped["run"].tolist() == ["arcface/fold0-seed0"]
    assert reason in skipped["reason"][0]


def test_a_run_of_an_unknown_distance_is_named(tmp_path):
    strange = dataclasses.replace(record(tmp_path), distance="elo")
    made, skipped = networks_of_runs([strange], load)
    assert not made
    assert skipped["reason"][0].startswith(f"{strange.folder}: its distance 'elo' is unknown")


def test_runs_that_differ_in_the_loss_alone_are_comparable(tmp_path):
    pair = [record(tmp_path), record(tmp_path, "arcface")]
    assert incompatibilities(pair) == []
    assert training_differences(pair) == []
    assert incompatibilities([]) == []


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"model": {"name": "resnet50", "embedding_size": 128}}, "model.name: resnet18 → resnet50"),
        ({"probe": {"folder": "data/probe", "size": 96}}, "probe.size: 64 → 96"),
        ({"probe": {"folder": "my/own", "size": 64}}, "probe.folder: data/probe → my/own"),
        ({"data_fingerprint": "d1"}, "data: d0 → d1"),
    ],
)
def test_what_differs_is_said(tmp_path, changes, difference):
    (found,) = incompatibilities([record(tmp_path), record(tmp_path, "arcface", **changes)])
    assert found == (
        f"sweep/arcface-fold0-seed0 differs from sweep/triplet-fold0-seed0 in {difference}"
    )


def test_a_rendered_probe_set_may_lie_anywhere(tmp_path):
    here, there = (
        {"probe": {"folder": f"{place}/probe", "size": 64, "render": {"count": 240, "seed": 1}}}
        for place in ("data", "/scratch")
    )
    assert incompatibilities([record(tmp_path, **here), record(tmp_path, "arcface", **there)]) == []
    there["probe"]["render"]["seed"] = 2
    (found,) = incompatibilities([record(tmp_path, **here), record(tmp_path, "margin", **there)])
    assert found.endswith("in probe.render.seed: 1 → 2")


def test_another_training_is_a_warning_and_stops_nothing(tmp_path):
    pair = [record(tmp_path), record(tmp_path, "arcface", optimizer={"lr": 0.01})]
    assert incompatibilities(pair) == []
    assert "optimizer.lr: 0.001 → 0.01" in training_differences(pair)[0]
