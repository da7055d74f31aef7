"""Memory of one process over many trainings, as a multirun makes them: it stays flat.

    OMP_NUM_THREADS=1 python -m benchmarks.multirun_memory [--runs 100] [--output FILE.md]

Trains a tiny network on a tiny world with one seed after the other, each with its checkpoints, its
test, its gallery and the maps and NR-Prec of its probe set, and notes the resident memory as each
run ends. Ends with 1 if the last one's is more than a twentieth above the tenth's.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.kills import NETWORK, command
from benchmarks.publishing import add_output, publish
from hydra.experimental.callback import Callback
from tests.small_world import overrides, write_world

SETTLED, ALLOWED = 10, 1.05  # after so many runs it may grow by so much


class Memory(Callback):
    """Appends the resident memory, in MB, to a file whenever a run of a multirun has ended."""

    def __init__(self, file: str) -> None:
        self.file = Path(file)

    def on_job_end(self, **_: Any) -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        with self.file.open("a") as file:
            file.write(f"{pages * os.sysconf('SC_PAGE_SIZE') / 1e6}\n")


def resident(runs: int) -> list[float]:
    """Memory of this process in MB as each of so many runs ended."""
    with tempfile.TemporaryDirectory() as folder:
        root, file = Path(folder), Path(folder) / "resident"
        write_world(root / "world", designs=16, per_design=4)
        write_world(root / "probe", designs=6, per_design=2, seed=1)
        memory = "+hydra.callbacks.memory"
        command(
            "train.py", "-m", *overrides(root), *NETWORK, "trainer.max_epochs=1",
            "callbacks=quiet", "callbacks.maps.samples=2", f"seed=range(0,{runs})",
            f"{memory}._target_=benchmarks.multirun_memory.Memory", f"{memory}.file={file}",
        )  # fmt: skip
        return [float(line) for line in file.read_text().splitlines()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=100)
    add_output(parser)
    options = parser.parse_args()
    if options.runs <= SETTLED:
        parser.error(f"--runs {options.runs}: more than {SETTLED}, which the last is compared with")
    started = time.monotonic()
    used = resident(options.runs)
    shown = sorted({1, SETTLED, *range(25, options.runs, 25), options.runs})
    lines = [
        "# Memory of one process over many trainings",
        "",
        "| runs ended | resident |",
        "|---:|---:|",
        *(f"| {run} | {used[run - 1]:.0f} MB |" for run in shown),
        "",
        f"The last has {used[-1] / used[SETTLED - 1]:.3f} × of what run {SETTLED} had. A tiny "
        "network for one epoch each, with maps and NR-Prec of its probe set; "
        f"{(time.monotonic() - started) / 60:.0f} minutes. `python -m benchmarks.multirun_memory`",
    ]
    publish("\n".join(lines), options.output)
    return int(used[-1] > ALLOWED * used[SETTLED - 1])


if __name__ == "__main__":
    sys.exit(main())
