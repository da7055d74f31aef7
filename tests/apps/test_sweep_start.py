"""What a multirun is known to fail of is told before its first job."""

import subprocess
import sys
from pathlib import Path

import pytest
from hydra import initialize_config_dir

from lossprint.apps.sweep_start import check_sweep
from tests.small_world import overrides

ROOT = Path(__file__).parents[2]


def check(*words: str) -> None:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        check_sweep(list(words))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["model=resnet18,resnet50"],
            r"model=resnet50 differs in model\.name: resnet18 → resnet50",
        ),
        (["data.render.seed=0,1"], r"data\.render\.seed=1 differs in data\.render\.seed: 0 → 1"),
        (["probe=folder", "probe.folder=a,b"], r"probe\.folder=b differs in probe\.folder: a → b"),
        (["data=image_folder", "data.source.root=a,b"], r"data\.source\.root: a → b"),
    ],
)
def test_a_comparison_that_would_be_refused_is_refused_before(words, told):
    with pytest.raises(ValueError, match=f"would not be comparable: .*{told}.*allow_mixed=true"):
        check("loss=triplet,arcface", *words)


@pytest.mark.parametrize(
    "words",
    [
        ["loss=triplet,arcface", "fold=range(0,2)"],
        ["loss=triplet,arcface", "model.embedding_size=64,128", "analyze=false"],
        ["loss=triplet", "model=resnet18,resnet50"],  # one loss: there is no comparison
        ["loss=glob(tri*)", "optimizer.lr=1e-3,1e-4", "data.workers=0,1"],
        ["loss=triplet", "optimizer.lr=1e-3,0.001", "sweep=once"],
    ],
)
def test_sweeps_that_can_be_made_are_made(words):
    check(*words)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["loss=triplet,arcface", "fold=0,7"], r"^fold=7: fold=7 must be a whole number"),
        (
            ["loss=triplet,circle", "hyperparameters=published"],
            r"^loss=circle: .*'circle' has no published",
        ),
        (["optimizer.lr=1e-3,big"], r"^optimizer\.lr=big: optimizer\.lr='big' must be a number"),
        (["seed=0,1", "+typo=3"], r"^unknown typo"),
        (
            ["loss=triplet", "seed=0,1", "optimizer.lr=1e-3,3e-4", "sweep=rates"],
            r"^optimizer\.lr=0\.0003 would be trained into outputs/rates/triplet/fold0-seed0, .*"
            r"sweep is named by what is overridden",
        ),
    ],
)
def test_a_job_that_cannot_run_is_named_by_its_words(words, told):
    with pytest.raises(ValueError, match=told):
        check(*words)


def test_hyperparameters_set_by_hand_are_those_that_are_checked():
    with pytest.raises(ValueError, match=r"loss\.optimizer\.lr=-1 must be a number greater than 0"):
        check("loss=arcface", "hyperparameters=published", "loss.optimizer.lr=-1")


def test_the_command_trains_nothing_then(small_world, tmp_path):
    """Nor does it with a loss of the user's own, whose file lies where Hydra is told to look."""
    own = tmp_path / "conf" / "loss" / "own.yaml"
    own.parent.mkdir(parents=True)
    triplet = (ROOT / "conf" / "loss" / "triplet.yaml").read_text()
    own.write_text(triplet.replace("name: triplet", "name: own"))
    words = [*overrides(small_world), f"output_root={tmp_path}", "analyze=true"]
    words.append(f"hydra.searchpath=[file://{tmp_path}/conf]")
    command = [sys.executable, str(ROOT / "train.py"), "-m", *words, "loss=triplet,own"]
    result = subprocess.run(
        [*command, "model.freeze_batchnorm=true,false"], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 2
    (line,) = result.stdout.splitlines()
    assert line.startswith("error: these runs would not be comparable: model.freeze_batchnorm=")
    assert not list(tmp_path.rglob("run.json"))
