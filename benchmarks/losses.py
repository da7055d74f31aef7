"""How every loss does on unseen designs: a table of finished runs.

    python train.py -m seed=0,1,2 'loss=glob(*)'          # or fewer; they continue where they were
    python benchmarks/losses.py outputs/rendered-efficientnet_lite0 [--output FILE.md]

MAP@R, P@1 and effective rank are of the test, designs that neither trained nor validated; with
several seeds, their mean and standard deviation. `× start` is MAP@R over that of the network that
training began from: the same backbone below the same random layer.
"""

import argparse
import statistics
from collections import defaultdict
from pathlib import Path

from publishing import add_output, publish

from lossprint.runs.record import RunRecord, load_record
from lossprint.training.losses import STUDY_LOSSES

COLUMNS = {
    "MAP@R": "test/map_at_r",
    "P@1": "test/precision_at_1",
    "effective rank": "test/effective_rank",
}


def finished_runs(sweep: Path) -> dict[str, list[RunRecord]]:
    """The finished runs of a sweep by loss: those of the study first, in its order."""
    found = defaultdict(list)
    for file in sorted(sweep.glob("*/*/run.json")):
        record = load_record(file.parent)
        if record.status == "finished":
            found[record.loss].append(record)
    order = [*STUDY_LOSSES, "untrained"]
    rank = {loss: number for number, loss in enumerate(order)}
    return {loss: found[loss] for loss in sorted(found, key=lambda n: (rank.get(n, 99), n))}


def cell(records: list[RunRecord], key: str) -> str:
    """Mean ± standard deviation over runs; the value alone of a single one.

    >>> from types import SimpleNamespace as Run
    >>> cell([Run(metrics={"a": 0.25}), Run(metrics={"a": 0.35})], "a")
    '0.300 ± 0.071'
    """
    values = [record.metrics[key] for record in records]
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{spread}"


def report(runs: dict[str, list[RunRecord]]) -> list[str]:
    lines = [
        "# Every loss on unseen designs",
        "",
        f"| loss | family | seeds | {' | '.join(COLUMNS)} | × start | minutes a run |",
        "|---|---|---:|" + "---:|" * (len(COLUMNS) + 2),
    ]
    for loss, records in runs.items():
        start = statistics.mean(r.metrics["untrained/map_at_r"] for r in records)
        factor = statistics.mean(r.metrics["test/map_at_r"] for r in records) / start
        minutes = statistics.mean(sum(r.durations.values()) for r in records) / 60
        cells = [cell(records, key) for key in COLUMNS.values()]
        collapsed = sum(bool(r.collapsed) for r in records)
        note = f" ({collapsed} collapsed)" if collapsed and records[0].family != "control" else ""
        lines.append(
            f"| {loss}{note} | {records[0].family} | {len(records)} | {' | '.join(cells)} "
            f"| {factor:.1f} | {minutes:.1f} |"
        )
    return [*lines, "", "Minutes are wall time, on however busy a machine."]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("sweep", type=Path, help="folder of the runs, outputs/<sweep>")
    add_output(parser)
    arguments = parser.parse_args()
    runs = finished_runs(arguments.sweep)
    if not runs:
        parser.error(f"{arguments.sweep} holds no finished run")
    publish("\n".join(report(runs)), arguments.output)


if __name__ == "__main__":
    main()
