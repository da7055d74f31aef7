"""Training steps of one global batch shared by several processes on this machine's cores.

    python benchmarks/scaling.py [--processes 1,2] [--output FILE.md]

Each process has one thread, its share of 8 classes × 4 images of 64 px, a ResNet-18 with frozen
BatchNorm and the triplet loss of the whole batch, as `trainer.devices=<n>` trains. Numbers of
processes take turns, so that a busy machine slows all of them; the median of the steps counts.
Seconds of all processes together are given too: what sharing costs, on however busy a machine.
"""

import argparse
import os
import platform
import socket
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from publishing import add_output, publish
from pytorch_metric_learning.losses import TripletMarginLoss
from torch import Tensor
from torch.multiprocessing import start_processes

from lossprint.data.augment import CenterCrop, RandomResizedCrop
from lossprint.data.sampler import ClassBalancedBatches
from lossprint.data.transforms import Preprocessing
from lossprint.models.embedder import build_embedder
from lossprint.training.datamodule import ImageDataModule, Split
from lossprint.training.losses import LossSpec
from lossprint.training.module import MetricLearning
from lossprint.training.optimizers import constant
from lossprint.training.processes import strategy_for

CLASSES, SAMPLES, SIZE = 8, 4, 64


class Noise:
    """Images of noise: what they show changes no timing."""

    def images(self, rows: Any) -> list[Tensor]:
        return [torch.randint(0, 256, (SIZE, SIZE, 3), dtype=torch.uint8) for _ in rows]


class Steps(pl.Callback):
    """Wall and processor seconds of each step, the first few not counted."""

    def __init__(self) -> None:
        self.ends: list[tuple[float, float]] = []

    def on_train_batch_end(self, *_: Any) -> None:
        self.ends.append((time.perf_counter(), time.process_time()))

    def seconds(self) -> tuple[float, float]:
        steps = list(zip(self.ends[2:], self.ends[3:], strict=False))
        return (
            statistics.median(after[0] - before[0] for before, after in steps),
            statistics.median(after[1] - before[1] for before, after in steps),
        )


def train(rank: int, port: int, processes: int, steps: int, folder: Path) -> None:
    """One process of a training; writes the seconds of its steps into the folder."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "LOCAL_RANK": str(rank)}
    torch.set_num_threads(1)
    labels = torch.arange(2 * CLASSES * SAMPLES) % CLASSES
    rows = torch.arange(len(labels)), labels
    network = build_embedder("resnet18", pretrained=False, freeze_batchnorm=True, seed=0)
    module = MetricLearning(
        network,
        LossSpec("triplet", "ranking", "lp", TripletMarginLoss()),
        lambda groups: torch.optim.AdamW(groups, lr=1e-4),
        constant,
        embedding_lr=1e-4,
        seed=0,
    )
    batches = ClassBalancedBatches(
        labels, classes_per_batch=CLASSES, samples_per_class=SAMPLES, batches=steps, seed=0
    )
    data = ImageDataModule(
        Noise(),
        Split(rows, rows, rows),
        batches,
        train_view=RandomResizedCrop(SIZE),
        eval_view=CenterCrop(SIZE),
        preprocessing=Preprocessing(),
        seed=0,
    )
    measured = Steps()
    pl.Trainer(
        accelerator="cpu",
        devices=processes,
        **strategy_for(network, processes, "auto"),
        max_epochs=1,
        limit_val_batches=0,
        callbacks=[measured],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    ).fit(module, data)
    (folder / str(rank)).write_text(" ".join(map(str, measured.seconds())))


def step_seconds(processes: int, steps: int) -> tuple[float, float]:
    """Of one step: on the wall, and of all processes together."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        arguments = (port, processes, steps, Path(folder))
        start_processes(train, arguments, nprocs=processes, start_method="spawn")
        seconds = [tuple(map(float, file.read_text().split())) for file in Path(folder).iterdir()]
    return max(wall for wall, _ in seconds), sum(cpu for _, cpu in seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--processes", default="1,2")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=8)
    add_output(parser)
    options = parser.parse_args()
    counts = [int(count) for count in options.processes.split(",")]
    measured: dict[int, list[tuple[float, float]]] = {count: [] for count in counts}
    for _ in range(options.rounds):
        for count in counts:
            measured[count].append(step_seconds(count, options.steps))
    lines = [
        "# One global batch of 8 × 4 images shared by several processes",
        "",
        "| processes | a step | faster by | processor time of all | |",
        "|---|---:|---:|---:|---|",
    ]
    first = [min(column) for column in zip(*measured[counts[0]], strict=True)]
    for count in counts:
        wall, cpu = (min(column) for column in zip(*measured[count], strict=True))
        lines.append(
            f"| {count} | {wall * 1e3:.0f} ms | {first[0] / wall:.2f} × | {cpu * 1e3:.0f} ms | "
            f"{cpu / first[1]:.2f} × |"
        )
    lines += [
        "",
        f"{platform.machine()}, {os.cpu_count()} cores, load average {os.getloadavg()[1]:.1f} over "
        f"the last 5 minutes; PyTorch {torch.__version__}, gloo. ResNet-18, 64 px, one thread a "
        f"process, the faster of {options.rounds} rounds. Where the load exceeds the cores, the "
        "processor time is the figure to trust.",
        "",
        "`python benchmarks/scaling.py`",
    ]
    publish("\n".join(lines), options.output)


if __name__ == "__main__":
    main()
