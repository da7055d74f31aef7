"""What takes time, on one device, each beside the peak that the device reaches in this process.

    python benchmarks/gpu.py --device cuda [--output FILE.md]

Peaks are measured: multiplications of large square matrices in float32 as it is computed by default
and in float16, and copies of a large block within the device's memory. Operations of networks are
counted by PyTorch, those of NR-Prec are the products of all pairs of embeddings. Weights are
random, which changes no timing. On a processor everything is small: that shows that it runs.
"""

import argparse
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from publishing import add_output, publish
from pytorch_metric_learning.losses import TripletMarginLoss
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from lossprint.data.augment import RandomResizedCrop, crop_and_resize
from lossprint.data.transforms import Preprocessing
from lossprint.metrics import property_precision
from lossprint.models.embedder import build_embedder
from lossprint.saliency import saliency_maps
from lossprint.training.losses import loss_value

PROPERTIES, DIMENSIONS = 11, 128


@dataclass(frozen=True)
class Sizes:
    """How much of each: of a GPU, or reduced so that a processor gets through."""

    matrix: int
    copied: int
    image: int
    samples: int
    images: int
    embeddings: tuple[int, ...]
    batch: int


LARGE = Sizes(8192, 2**31, 227, 50, 8, (20_000, 100_000), 32)
SMALL = Sizes(512, 2**24, 64, 4, 1, (2_000,), 8)


class Clock:
    """Seconds of work on a device: the fastest of a few rounds, after one that does not count."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def seconds(self, work: Callable[[], Any], rounds: int = 3) -> float:
        times = []
        for _ in range(rounds + 1):
            start = self._now()
            work()
            times.append(self._now() - start)
        return min(times[1:])


def operations(work: Callable[[], Any]) -> int:
    """Floating-point operations of networks in some work."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def peaks(clock: Clock, sizes: Sizes) -> dict[str, float]:
    """Operations a second in float32 and float16, and bytes a second."""
    found = {}
    for name, dtype in (("float32", torch.float32), ("float16", torch.float16)):
        if name == "float16" and clock.device.type == "cpu":
            continue
        a = torch.randn(sizes.matrix, sizes.matrix, device=clock.device, dtype=dtype)
        b = torch.randn_like(a)
        seconds = clock.seconds(lambda a=a, b=b: a @ b)
        found[name] = 2 * sizes.matrix**3 / seconds
    block = torch.zeros(sizes.copied, dtype=torch.uint8, device=clock.device)
    target = torch.empty_like(block)
    # A copy reads and writes.
    found["bytes"] = 2 * sizes.copied / clock.seconds(lambda: target.copy_(block))
    return found


def saliency_rows(clock: Clock, sizes: Sizes, peak: dict[str, float]) -> Iterator[str]:
    for name in ("bn_inception", "resnet50"):
        model = build_embedder(name, pretrained=False, seed=0).eval().to(clock.device)
        images = torch.randn(sizes.images, 3, sizes.image, sizes.image, device=clock.device)
        black = torch.zeros_like(images[0])
        for precision in ("exact", "fast"):
            if precision == "fast" and clock.device.type == "cpu":
                continue

            def work(model=model, images=images, black=black, precision=precision) -> Tensor:
                return saliency_maps(
                    model, images, distance="lp", baseline=black, samples=sizes.samples,
                    precision=precision,
                )  # fmt: skip

            seconds = clock.seconds(work, rounds=1)
            one = images[:1].clone().requires_grad_()
            count = operations(lambda model=model, one=one: model(one).sum().backward())
            done = count * sizes.samples * sizes.images
            ceiling = peak["float32" if precision == "exact" else "float16"]
            yield (
                f"| saliency, {name}, {sizes.image} px × {sizes.samples}, {precision} | "
                f"{seconds / sizes.images:.3f} s an image | {share(done / seconds, ceiling)} |"
            )


def precision_rows(clock: Clock, sizes: Sizes, peak: dict[str, float]) -> Iterator[str]:
    rng = np.random.default_rng(0)
    for count in sizes.embeddings:
        embeddings = rng.standard_normal((count, DIMENSIONS), dtype=np.float32)
        labels = {str(n): rng.integers(0, 4 + 2 * n, count) for n in range(PROPERTIES)}
        start = time.perf_counter()
        property_precision(embeddings, labels, device=clock.device)
        seconds = time.perf_counter() - start
        done = 2 * count**2 * DIMENSIONS
        yield (
            f"| NR-Prec, N = {count:,}, {PROPERTIES} properties | {seconds:.1f} s | "
            f"{share(done / seconds, peak['float32'])} |"
        )


def training_rows(clock: Clock, sizes: Sizes, peak: dict[str, float]) -> Iterator[str]:
    model = build_embedder(
        "resnet50", pretrained=False, freeze_batchnorm=True, seed=0
    ).to(clock.device)  # fmt: skip
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    images = torch.randn(sizes.batch, 3, sizes.image, sizes.image, device=clock.device)
    labels = torch.arange(sizes.batch, device=clock.device) // 4

    def step() -> None:
        optimizer.zero_grad()
        loss_value(TripletMarginLoss(), None, model(images), labels).backward()
        optimizer.step()

    seconds = clock.seconds(step)
    done = operations(step)
    yield (
        f"| training step, ResNet-50, {sizes.batch} images | {seconds * 1e3:.0f} ms | "
        f"{share(done / seconds, peak['float32'])} |"
    )


def loader_rows(clock: Clock, sizes: Sizes, peak: dict[str, float]) -> Iterator[str]:
    height = sizes.image + 29
    images = [
        torch.randint(0, 256, (height, height + 40, 3), dtype=torch.uint8, device=clock.device)
        for _ in range(sizes.batch)
    ]
    view, preprocessing = RandomResizedCrop(sizes.image), Preprocessing()
    shapes = torch.tensor([image.shape[:2] for image in images])
    generator = torch.Generator().manual_seed(0)

    def load() -> Tensor:
        return preprocessing(crop_and_resize(images, view.draw(shapes, generator), view.size))

    seconds = clock.seconds(load)
    # Bytes are read once and floats written once.
    moved = sum(image.numel() for image in images) + sizes.batch * 3 * sizes.image**2 * 4
    yield (
        f"| crops and flips from the store, {sizes.image} px | "
        f"{sizes.batch / seconds:,.0f} images a second | {share(moved / seconds, peak['bytes'])} |"
    )


def share(reached: float, ceiling: float) -> str:
    return f"{100 * reached / ceiling:.1f} %"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cuda")
    add_output(parser)
    options = parser.parse_args()
    device = torch.device(options.device)
    on_gpu = device.type == "cuda"
    sizes = LARGE if on_gpu else SMALL
    clock = Clock(device)
    name = torch.cuda.get_device_name(device) if on_gpu else platform.machine()
    peak = peaks(clock, sizes)
    measured = ", ".join(
        f"{value / 1e12:.2f} Tflop/s in {kind}" for kind, value in peak.items() if kind != "bytes"
    )
    lines = [
        f"# {name}" + ("" if on_gpu else " (no GPU: reduced, to show that it runs)"),
        "",
        f"Measured peaks: {measured}; copies {peak['bytes'] / 1e9:.0f} GB/s.",
        "",
        "| what | takes | of the peak |",
        "|---|---|---|",
    ]
    for measure in (saliency_rows, training_rows, loader_rows, precision_rows):
        for row in measure(clock, sizes, peak):
            print(row, flush=True)  # the whole takes minutes
            lines.append(row)
    lines += ["", f"PyTorch {torch.__version__}. `benchmarks/gpu.sh`"]
    publish("\n".join(lines), options.output)


if __name__ == "__main__":
    main()
