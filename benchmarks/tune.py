"""Hyperparameters of losses, each searched with the same budget, on validation designs.

    python benchmarks/tune.py [--losses triplet,arcface] [--root outputs] [--output FILE.md]

What a fair comparison of losses asks for is equal care, not equal numbers: each loss has a grid of
the same number of points in hyperparameters of its own (the constants of its criterion, the
learning rate of its weights), and each point is one training of STEPS steps, otherwise the default
one: backbone, its learning rate, images, batches and schedule are the same for all. Only MAP@R on
the validation designs chooses; the unseen designs are not looked at. A trial is an ordinary run
below `<root>/tuning/`: one that is finished is not trained again, one that was cut off continues.
Several processes may share the losses between them; the last one writes everybody's table.
"""

import argparse
import itertools
import math
from pathlib import Path

import pandas as pd
from hydra import compose, initialize_config_dir
from publishing import add_output, publish
from rich.console import Console

from lossprint.apps.training import train
from lossprint.runs.record import load_record, run_folder

CONF = Path(__file__).parents[1] / "conf"
STEPS, TRIALS = 75, 4
TRIALS_FOLDER = "tuning"

Grid = dict[str, list[float]]

# Learning rates of class vectors are searched coarsely, they matter by orders of magnitude; scales,
# temperatures and margins around what papers and the library use.
GRIDS: dict[str, Grid] = {
    "contrastive": {"criterion.pos_margin": [0.0, 0.2], "criterion.neg_margin": [0.6, 1.0]},
    "triplet": {"criterion.margin": [0.05, 0.1, 0.2, 0.4]},
    "ntxent": {"criterion.temperature": [0.03, 0.07, 0.15, 0.3]},
    "margin": {"criterion.margin": [0.1, 0.2], "criterion.beta": [0.8, 1.2]},
    "margin_per_class": {"criterion.margin": [0.1, 0.2], "criterion.beta": [0.8, 1.2]},
    "fastap": {"criterion.num_bins": [5, 10, 20, 40]},
    "snr_contrastive": {"criterion.pos_margin": [0.0, 0.2], "criterion.neg_margin": [0.6, 1.0]},
    "multi_similarity": {"criterion.beta": [10.0, 50.0], "criterion.base": [0.3, 0.6]},
    "multi_similarity_miner": {"criterion.beta": [10.0, 50.0], "criterion.base": [0.3, 0.6]},
    "proxy_nca": {"criterion.softmax_scale": [4.0, 12.0], "optimizer.lr": [1e-2, 1e-1]},
    "normalized_softmax": {"criterion.temperature": [0.05, 0.15], "optimizer.lr": [1e-2, 1e-1]},
    "cosface": {"criterion.scale": [8.0, 24.0], "optimizer.lr": [1e-2, 1e-1]},
    "arcface": {"criterion.scale": [8.0, 24.0], "optimizer.lr": [1e-2, 1e-1]},
    "soft_triple": {"criterion.la": [8.0, 20.0], "optimizer.lr": [1e-2, 1e-1]},
    "angular": {"criterion.alpha": [30.0, 36.0, 40.0, 45.0]},
    "supcon": {"criterion.temperature": [0.03, 0.07, 0.15, 0.3]},
    "proxy_anchor": {"criterion.alpha": [12.0, 32.0], "optimizer.lr": [1e-2, 1e-1]},
}


def points(grid: Grid) -> list[dict[str, float]]:
    """Every combination of a grid's values.

    >>> points({"a": [1, 2], "b": [3]})
    [{'a': 1, 'b': 3}, {'a': 2, 'b': 3}]
    """
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def sweep(point: dict[str, float]) -> str:
    """Names a point: `<name>-<value>+…`."""
    return "+".join(f"{name.split('.')[-1]}-{value:g}" for name, value in point.items())


def run_trial(loss: str, point: dict[str, float], root: Path, console: Console) -> None:
    settings = [f"loss.{name}={value}" for name, value in point.items()]
    config = compose(
        "train",
        [
            f"loss={loss}", *settings, f"sampler.batches={STEPS}", "trainer.max_epochs=1",
            "callbacks=retrieval", "~callbacks.progress", "logger=none", "analyze=false",
            f"output_root={root / TRIALS_FOLDER}", f"sweep={sweep(point)}",
        ],
    )  # fmt: skip
    try:
        train(config, console)
    except ArithmeticError as error:  # the loss became NaN; that is a result, too
        console.print(f"{loss} {point}: {error}")


def results(root: Path) -> pd.DataFrame:
    """One row for every trial that has ended, losses in the order of the grids."""
    rows = []
    for loss, grid in GRIDS.items():
        for point in points(grid):
            folder = run_folder(root / TRIALS_FOLDER, sweep(point), loss, 0, 0)
            record = load_record(folder) if (folder / "run.json").is_file() else None
            if record is None or record.status == "running":
                continue
            text = ", ".join(f"{name} {value:g}" for name, value in point.items())
            value = record.metrics.get("val/map_at_r", math.nan)
            rows.append({"loss": loss, "hyperparameters": text, "validation MAP@R": value})
    return pd.DataFrame(rows, columns=["loss", "hyperparameters", "validation MAP@R"])


def report(table: pd.DataFrame) -> list[str]:
    """The table in Markdown: a row a loss, its points from best to worst."""
    lines = [
        "# Hyperparameters searched",
        "",
        f"{TRIALS} trainings of {STEPS} steps for each loss, seed 0, chosen by MAP@R on the "
        "validation designs. The best stands in `conf/loss/`.",
        "",
        "| loss | best | MAP@R | the others |",
        "|---|---|---:|---|",
    ]
    for loss, rows in table.groupby("loss", sort=False):
        ordered = rows.sort_values("validation MAP@R", ascending=False).to_dict("records")
        best, *others = ordered
        rest = "; ".join(f"{r['hyperparameters']}: {r['validation MAP@R']:.3f}" for r in others)
        lines.append(
            f"| {loss} | {best['hyperparameters']} | {best['validation MAP@R']:.3f} | {rest} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--losses", default=",".join(GRIDS), help="which to search now")
    parser.add_argument("--root", type=Path, default=Path("outputs"), help="of the trials' runs")
    add_output(parser)
    arguments = parser.parse_args()
    unknown = set(arguments.losses.split(",")) - set(GRIDS)
    if unknown:
        parser.error(f"no grid for {', '.join(sorted(unknown))}; there is: {', '.join(GRIDS)}")
    assert all(len(points(grid)) == TRIALS for grid in GRIDS.values()), "budgets differ"
    console = Console()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        for loss in arguments.losses.split(","):
            for point in points(GRIDS[loss]):
                run_trial(loss, point, arguments.root, console)
    table = results(arguments.root)
    publish("\n".join(report(table)), arguments.output)
    if arguments.output is not None:
        table.to_csv(arguments.output.with_suffix(".csv"), index=False, float_format="%.4f")


if __name__ == "__main__":
    main()
