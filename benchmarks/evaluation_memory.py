"""Peak memory of what follows a training's test: it does not grow with the test images' pixels.

    python benchmarks/evaluation_memory.py [--images 5000 60000] [--output FILE.md]

Synthetic images, made when they are asked for, stand in for a store; the embeddings are random.
Each number of images runs in a process of its own, which draws the gallery and then takes the
metrics of the test. What remains proportional is the embeddings, 128 numbers an image, and copies
of them in double precision.
"""

import argparse
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

import torch
from publishing import add_output, publish
from torch import Tensor

from lossprint.apps.training import draw_gallery
from lossprint.data.augment import CenterCrop, RandomResizedCrop
from lossprint.data.sampler import ClassBalancedBatches
from lossprint.data.transforms import Preprocessing
from lossprint.training.datamodule import ImageDataModule, Split
from lossprint.training.module import MetricLearning, embedding_metrics

DIMENSIONS, SIZE, PER_CLASS = 128, 227, 5


class MadeImages:
    """Images [32, 32, 3] of one grey value each, made at every access."""

    def images(self, rows: Sequence[int] | Tensor) -> list[Tensor]:
        return [torch.full((32, 32, 3), int(row) % 256, dtype=torch.uint8) for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, nargs="+", default=[5000, 60000])
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    add_output(parser)
    options = parser.parse_args()
    if options.measure is not None:
        print(peak(options.measure))
        return
    lines = [
        "# Peak memory of what follows a test",
        "",
        "| test images | imported, embeddings there | besides, gallery drawn | metrics taken |",
        "|---:|---:|---:|---:|",
    ]
    for count in options.images:
        before, *after = measured(count)
        besides = " | ".join(f"{peak - before:.0f} MB" for peak in after)
        lines.append(f"| {count:,} | {before:.0f} MB | {besides} |")
    lines += [
        "",
        "Synthetic images; the embeddings are 128 float32 an image. Crops of 60,000 at 227 px",
        f"would be 9 GB. {platform.machine()}, {os.cpu_count()} cores.",
        "",
        "`python benchmarks/evaluation_memory.py`",
    ]
    publish("\n".join(lines), options.output)


def measured(count: int) -> list[float]:
    command = [sys.executable, __file__, "--measure", str(count)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [float(peak) for peak in printed.split()]


def peak(count: int) -> str:
    """Peak memory in MB before a gallery of so many test images is drawn, after, and at the end."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(count) // PER_CLASS
    part = (torch.arange(count), labels)
    data = ImageDataModule(
        MadeImages(),
        Split(train=part, validation=part, test=part),
        ClassBalancedBatches(labels[:100], seed=0),
        train_view=RandomResizedCrop(SIZE),
        eval_view=CenterCrop(SIZE),
        preprocessing=Preprocessing(),
        seed=0,
    )
    module = SimpleNamespace(
        test_labels=labels, test_embeddings=torch.randn(count, DIMENSIONS, generator=generator)
    )
    before = resident()
    draw_gallery(cast(MetricLearning, module), data)
    drawn = resident()
    embedding_metrics(module.test_embeddings, labels)
    return f"{before} {drawn} {resident()}"


def resident() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
