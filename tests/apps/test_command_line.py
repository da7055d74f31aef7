"""What is typed wrong is answered in one line, with what would be right."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf

from lossprint.apps.command_line import arranged
from lossprint.apps.errors import told

ROOT = Path(__file__).parents[2]


def answer(config: str, words: list[str]) -> str:
    with (
        initialize_config_dir(str(ROOT / "conf"), version_base="1.3"),
        pytest.raises(HydraException) as caught,
    ):
        compose(config, words)
    return told(caught.value)


@pytest.mark.parametrize(
    ("config", "word", "text"),
    [
        ("train", "optimizer=sgd", "optimizer=sgd is unknown; valid are adamw, rmsprop"),
        ("train", "probe=foldr", "probe=foldr is unknown; valid are folder, rendered"),
        ("analyze", "study=ful", "study=ful is unknown; valid are full, paper, quick"),
        (
            "train",
            "hydra/launcher=slurm",
            "hydra/launcher=slurm is unknown; valid are basic, joblib, submitit_local, "
            "submitit_slurm",
        ),
        (
            "train",
            "loss.criterion.magrin=1",
            "unknown loss.criterion.magrin; valid are _target_, margin; "
            "+loss.criterion.magrin=… adds it",
        ),
        (
            "analyze",
            "only.los=triplet",
            "unknown only.los; valid are family, fold, loss, seed; +only.los=… adds it",
        ),
        (
            "analyze",
            "run=outputs/a",
            "unknown run; valid are allow_mixed, logger, match, name, only, output_root, probe, "
            "runs, study, trust, untrained, workspace",
        ),
        ("train", "seed.x=1", "unknown seed.x: seed has no entries"),
        (
            "train",
            "triplet",
            "'triplet' is no setting: write name=value without spaces, as loss=triplet",
        ),
        (
            "train",
            "seed =3",
            "'seed =3' is no setting: write name=value without spaces, as loss=triplet",
        ),
        (
            "train",
            "data.source.test_classes=[13,14",
            "data.source.test_classes cannot be read: a list is [a, b], a mapping {a: 1, b: 2}, "
            "and a text with characters such as ~ ( ) = in double quotes; it is [13,14",
        ),
        ("train", "~seed2", "Could not delete from config. 'seed2' does not exist."),
    ],
)
def test_mistyped_words_are_answered_with_what_is_valid(config, word, text):
    assert answer(config, [word]) == text


@pytest.mark.parametrize(
    "value", ["photos (2)", "a=b", "it's", 'the "best" one', "~me/x", "50%;x", "a,(b"]
)
def test_text_that_hydra_cannot_read_is_given_ready_to_paste(value):
    said = answer("train", ["data=image_folder", f"data.source.root={value}"])
    assert said.startswith(f"data.source.root={value} cannot be read: ")
    (pasted,) = shlex.split(said.partition("for the shell: ")[2])
    assert OverridesParser.create().parse_override(pasted).value() == value


@pytest.mark.parametrize("value", ["loss=a,b", "loss=glob(*)", "seed=range(1,3)"])
def test_several_values_without_a_multirun_name_the_flag(value):
    said = answer("train", [value])
    assert value in said
    assert "--multirun" in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("data.source.root=~/x", "/home/me/x"),
        ("models.checkpoints=[{weights: ~/a.pth, loss: ~/b}]", "/home/me/a.pth"),
        ("runs=[~/a,~/b]", "/home/me/b"),
        ("data.source.root=a~/b", None),
        ("~optimizer.lr", None),
        ("note=b~", None),
    ],
)
def test_the_home_folder_is_written_out_in_values(word, meant, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    (found,) = arranged([word])
    assert (meant or word) in found
    if meant is not None:
        assert "~" not in found
        OmegaConf.create({"x": OverridesParser.create().parse_override(found).value()})


@pytest.mark.parametrize(
    ("script", "word", "text"),
    [
        ("train.py", "loss=tripplet", "error: loss=tripplet is unknown; valid are angular, "),
        ("analyze.py", "models=checkpoints", "error: models=checkpoints is unknown; valid are ch"),
        ("render.py", "cuont=3", "error: unknown cuont; valid are count, data_root, designs, "),
    ],
)
def test_a_command_ends_with_2_and_one_line(script, word, text, tmp_path):
    result = subprocess.run(
        [sys.executable, ROOT / script, word], cwd=tmp_path, capture_output=True, text=True
    )
    assert (result.returncode, result.stderr) == (2, "")
    (line,) = result.stdout.splitlines()
    assert line.startswith(text)
    assert list(tmp_path.iterdir()) == []
