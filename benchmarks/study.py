"""The study as it stands in the documentation: reports, its page's numbers, what a shortcut did.

    python train.py experiment=rendered_study
    python train.py experiment=rendered_shortcut
    python benchmarks/study.py outputs/analysis/rendered_study [outputs/analysis/rendered_shortcut]

Publishes the comparisons (see sample_report.py) and writes every number that `index.md` cites anew
(see `filled`). With the second world also `shortcut.csv`, `shortcut_losses.csv` and `shortcut.png`:
each measure of the networks of one world beside those of the other. Networks of one loss and seed
begin with the same weights and see the same batches of the same scenes but for the paint, so their
differences are taken in pairs.
"""

import argparse
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sample_report import publish

from lossprint.files import whole_file
from lossprint.metrics.intervals import mean_over_images

PAINT, DESIGN = "color_hue", "model"
KEYS = ["loss", "family", "seed"]
COLUMNS = ["measure", "loss", "family", "seeds", "plain", "shortcut", "difference", "low", "high"]
SHOWN = {  # drawn, with the labels of their axes
    "NR-Prec of paint": "clusters by paint (NR-Prec)",
    "displacement by paint": "moved by new paint\n(1: as far as by another car)",
    "MAP@R": "MAP@R on unseen designs",
}
DRAWS = 100_000
CITED = re.compile(
    r"[-−]?\d[\d.,]*(?P<citation><!--=(?P<table>[^|>]+)\|(?P<rows>[^|>]*)\|(?P<column>[^|>]+)"
    r"\|(?P<format>[^|>]+)-->)"
)


def filled(text: str, folder: Path) -> str:
    """A page whose cited numbers are those of their tables.

    A number is cited by a comment after it: the table's file below `folder`, the one row that has
    these values, the column, and how it is written (percent without the sign):
    `0.96<!--=report/tables/contrasts.csv|measure=correlation&contrast=loss|rho|.2f-->`.

    Raises:
        FileNotFoundError: there is no such table.
        ValueError: not one row has the values, or the table has no such column.
    """

    def number(cited: re.Match[str]) -> str:
        table = pd.read_csv(folder / cited["table"])
        rows = table
        for condition in filter(None, cited["rows"].split("&")):
            column, _, value = condition.partition("=")
            if column not in table:
                raise ValueError(f"{cited['table']} has no column {column!r}")
            rows = rows[rows[column].astype(str) == value]
        if len(rows) != 1 or cited["column"] not in table:
            raise ValueError(f"{cited['citation']} names {len(rows)} rows, or no column")
        value = format(rows[cited["column"]].item(), cited["format"]).rstrip("%")
        return value + cited["citation"]

    return CITED.sub(number, text)


def measures(tables: Path) -> pd.DataFrame:
    """`measure, loss, family, seed, value` of a comparison's trained networks."""

    def rows(name: str, table: str, **wanted: str) -> pd.DataFrame:
        found = pd.read_csv(tables / f"{table}.csv")
        for column, value in wanted.items():
            found = found[found[column] == value]
        return found.assign(measure=name)

    every = pd.concat(
        [
            rows("NR-Prec of paint", "properties", property=PAINT),
            rows("NR-Prec of car model", "properties", property=DESIGN),
            rows("displacement by paint", "interventions", property=PAINT, reference="two designs"),
            rows("saliency on the car", "shares", region="car"),
            rows("MAP@R", "retrieval", metric="map_at_r"),
        ]
    )
    trained = every[every["family"] != "control"]
    return trained[["measure", *KEYS, "value"]].reset_index(drop=True)


def pairs(plain: pd.DataFrame, shortcut: pd.DataFrame) -> pd.DataFrame:
    """Networks that are in both worlds: `value_plain`, `value_shortcut` and their `difference`.

    Raises:
        ValueError: no loss and seed is in both.
    """
    both = plain.merge(shortcut, on=["measure", *KEYS], suffixes=("_plain", "_shortcut"))
    if both.empty:
        raise ValueError("no loss was trained with the same seed in both worlds")
    return both.assign(difference=both["value_shortcut"] - both["value_plain"])


def by_loss(both: pd.DataFrame) -> pd.DataFrame:
    """COLUMNS: means over seeds; the 95 % interval is that of the difference (Student's t).

    The last row of each measure is over all losses, each being one draw of its family of losses.
    """
    rows: list[list[object]] = []
    for measure, found in both.groupby("measure", sort=False):
        for (loss, family), of_loss in found.groupby(["loss", "family"], sort=False):
            rows.append([measure, loss, family, *_means(of_loss, of_loss["difference"])])
        means = found.groupby("loss")["difference"].mean()
        rows.append([measure, "all", "", *_means(found, means)])
    return pd.DataFrame(rows, columns=COLUMNS)


def _means(found: pd.DataFrame, differences: pd.Series) -> Iterator[object]:
    yield found["seed"].nunique()
    yield found["value_plain"].mean()
    yield found["value_shortcut"].mean()
    yield from mean_over_images(differences.to_numpy())


def losses_differ(both: pd.DataFrame, *, draws: int = DRAWS, seed: int = 0) -> pd.DataFrame:
    """Whether losses take the shortcut unequally far: `measure, losses, seeds, spread, p`.

    `spread` is the standard deviation over losses of the mean difference between the worlds. Under
    the null hypothesis a seed's differences may change losses: p is the share of so relabelled
    tables with at least that spread, the observed one among them.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for measure, found in both.groupby("measure", sort=False):
        table = found.pivot(index="loss", columns="seed", values="difference").to_numpy()
        observed = table.mean(1).std(ddof=1)
        drawn = rng.permuted(np.broadcast_to(table, (draws, *table.shape)), axis=1)
        spreads = drawn.mean(2).std(1, ddof=1)
        p = (1 + np.sum(spreads >= observed * (1 - 1e-12))) / (1 + draws)
        rows.append([measure, *table.shape, observed, p])
    return pd.DataFrame(rows, columns=["measure", "losses", "seeds", "spread", "p"])


def figure(both: pd.DataFrame) -> Figure:
    """Every network of both worlds: a line from the plain world to the one with the shortcut."""
    drawn, axes = plt.subplots(1, len(SHOWN), figsize=(9, 3.2), layout="constrained")
    losses = list(dict.fromkeys(both["loss"]))
    colors = dict(zip(losses, plt.get_cmap("tab10").colors, strict=False))  # type: ignore[attr-defined]
    for axis, (measure, label) in zip(axes, SHOWN.items(), strict=True):
        for row in both[both["measure"] == measure].itertuples():
            values = [row.value_plain, row.value_shortcut]
            axis.plot([0, 1], values, "o-", color=colors[row.loss], alpha=0.7, markersize=4)
        axis.set_xticks([0, 1], ["independent\npaint", "paint tells\nthe design"])
        axis.set_xlim(-0.3, 1.3)
        axis.set_title(label, fontsize=9)
        axis.spines[["top", "right"]].set_visible(False)
    handles = [plt.Line2D([], [], color=colors[loss], marker="o", label=loss) for loss in losses]
    drawn.legend(handles=handles, loc="outside right center", frameon=False, fontsize=8)
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("study", type=Path, help="its comparison, outputs/analysis/rendered_study")
    parser.add_argument("shortcut", type=Path, nargs="?", help="that of rendered_shortcut")
    parser.add_argument("--output", type=Path, default=Path("docs/study"))
    arguments = parser.parse_args()
    output, page = arguments.output, arguments.output / "index.md"
    try:
        publish(arguments.study, output / "report")
        shutil.copyfile(arguments.study / "figures" / "ladder.png", output / "ladder.png")
        if arguments.shortcut:
            publish(arguments.shortcut, output / "shortcut_report")
            write_shortcut(arguments.study / "tables", arguments.shortcut / "tables", output)
        text = filled(page.read_text(encoding="utf-8"), output)
    except FileNotFoundError as error:
        parser.error(f"{error.filename} is not there: train and compare first, see --help")
    except ValueError as error:
        parser.error(str(error))
    with whole_file(page) as temporary:
        temporary.write_text(text, encoding="utf-8")
    size = sum(file.stat().st_size for file in output.rglob("*") if file.is_file())
    print(f"{output}: {size / 1e6:.1f} MB")


def write_shortcut(plain: Path, shortcut: Path, output: Path) -> None:
    """The tables and the figure of two comparisons, given their tables."""
    both = pairs(measures(plain), measures(shortcut))
    by_loss(both).to_csv(output / "shortcut.csv", index=False, float_format="%.4f")
    losses_differ(both).to_csv(output / "shortcut_losses.csv", index=False, float_format="%.4g")
    figure(both).savefig(output / "shortcut.png", dpi=150)


if __name__ == "__main__":
    main()
