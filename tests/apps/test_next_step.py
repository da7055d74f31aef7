"""The command that a training ends with is valid, keeps what was typed, and would decide."""

import shlex
from math import factorial
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from lossprint.apps.next_step import LEVEL, QUESTIONS, next_command
from lossprint.apps.sweep import show_what_next
from lossprint.metrics.between_losses import seeds_needed
from lossprint.runs.record import RunRecord, run_folder


def run(loss: str, seed: int = 0, family: str = "ranking", collapsed: bool = False) -> RunRecord:
    folder = run_folder("outputs", "first", loss, 0, seed)
    return RunRecord(
        folder, loss, family, "lp", 0, seed, "abc", status="finished", collapsed=collapsed
    )


def ask(overrides: list[str], runs: list[RunRecord]) -> str | None:
    """Of runs that are compared by their losses."""
    return next_command(overrides, runs, [run.loss for run in runs])


def words(command: str | None) -> list[str]:
    assert command is not None
    python, script, multirun, *overrides = shlex.split(command)
    assert (python, script, multirun) == ("python", "train.py", "-m")
    return overrides


@pytest.mark.parametrize("losses", range(2, 16))
def test_so_many_seeds_allow_a_p_that_survives_the_correction(losses: int):
    def least(seeds: int) -> float:
        return QUESTIONS / factorial(losses) ** (seeds - 1)

    seeds = seeds_needed(losses, LEVEL / QUESTIONS)
    assert least(seeds) <= LEVEL
    assert seeds == 3 or least(seeds - 1) > LEVEL


def test_one_run_is_to_be_compared_with_other_losses():
    overrides = ["loss=proxy_nca", "model=resnet50", "data.source.root=/my images"]
    assert words(ask(overrides, [run("proxy_nca")])) == [
        "model=resnet50",
        "data.source.root=/my images",
        "loss=proxy_nca,triplet,contrastive,arcface",
        "seed=0,1,2",
    ]


def test_the_seeds_that_are_there_are_kept():
    assert words(ask(["seed=7"], [run("triplet", 7)]))[-1] == "seed=7,8,9"
    two = [run("a", 3), run("b", 3), run("a", 5), run("b", 5)]
    assert words(ask([], two)) == ["loss=a,b", "seed=3,4,5,6,7,8,9"]


def test_nothing_is_lacking_where_the_seeds_suffice():
    enough = [run(loss, seed) for loss in "abcd" for seed in range(3)]
    assert ask([], enough) is None
    two_seeds = [record for record in enough if record.seed < 2]
    assert words(ask([], two_seeds))[-1] == "seed=0,1,2"


def test_more_of_what_is_collapsed_decides_nothing():
    bad = [run("a", collapsed=True), run("b", collapsed=True)]
    assert ask([], bad) is None
    assert ask([], [run("triplet", collapsed=True)]) is None
    good = [run("c"), run("d"), run("e")]
    assert words(ask([], [*bad, *good])) == ["loss=c,d,e", "seed=0,1,2,3"]


def test_a_control_is_no_loss_to_compare():
    control = run("untrained", family="control")
    (losses, _) = words(ask(["loss=untrained"], [control]))
    assert losses == "loss=triplet,contrastive,arcface,normalized_softmax"


def shown(records: list[RunRecord], failed: int = 0) -> str:
    typed = SimpleNamespace(hydra=["hydra.mode=MULTIRUN", "hydra/launcher=slurm"], task=["fold=1"])
    console = Console(record=True, width=40)
    show_what_next(records, SimpleNamespace(overrides=typed), console, failed=failed)
    return console.export_text()


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunRecord:
    monkeypatch.chdir(tmp_path)
    record = run("triplet")
    record.folder.mkdir(parents=True)
    record.config_file.write_text("loss: {name: triplet}")
    return record


def test_it_is_one_line_that_can_be_pasted(trained: RunRecord):
    assert shown([trained]).splitlines() == [
        "next      python train.py -m hydra/launcher=slurm fold=1 "
        "loss=triplet,contrastive,arcface,normalized_softmax seed=0,1,2"
    ]


def test_what_failed_comes_first(trained: RunRecord):
    assert "the same command again" in shown([trained], failed=1)


def test_values_of_one_loss_are_compared_with_each_other():
    pair = [run("triplet"), run("triplet")]
    typed = ["loss=triplet", "loss.criterion.margin=0.1,0.2"]
    names = ["triplet, margin 0.1", "triplet, margin 0.2"]
    seven = ",".join(map(str, range(7)))
    assert words(next_command(typed, pair, names)) == [typed[1], typed[0], f"seed={seven}"]
    enough = [run("triplet", seed) for seed in range(7)]
    assert next_command(typed, enough * 2, [name for name in names for _ in range(7)]) is None
