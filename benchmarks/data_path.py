"""Images per second of loading and augmenting at 227 px: the warm store against the usual path.

    python benchmarks/data_path.py

Both paths give the reality check's training batches (short side 256, random resized crop 227,
flip, Caffe's or ImageNet's normalization) as float32 [32, 3, 227, 227]:

- usual: torchvision's ImageFolder, PIL transforms and a DataLoader with a worker per core;
- store: the memory-mapped store, decoded beforehand, crops of a whole batch.

They are timed in turns in one process, on JPEG photos of Cars196's size that are made for it, by
the wall clock with all cores, and by processor time on one core (which other work on the machine
does not blur).
"""

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from publishing import add_output, publish
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from lossprint.data.augment import RandomResizedCrop, crop_and_resize
from lossprint.data.index import ImageIndex
from lossprint.data.store import ImageStore, open_store
from lossprint.data.transforms import Preprocessing

BATCH, SHORT_SIDE, SIZE = 32, 256, 227
RATIO = (0.75, 1.33)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def make_photos(folder: Path, count: int) -> None:
    """JPEG files with the detail of photos, around Cars196's mean size of 700 x 483 px."""
    generator = np.random.default_rng(0)
    for number in range(count):
        height, width = generator.integers(380, 590), generator.integers(550, 850)
        noise = generator.normal(size=(height, width, 3))
        octaves = sum(gaussian_filter(noise, (s, s, 0)) * s for s in (1, 3, 9, 27))
        pixels = np.clip(128 + 60 * octaves / octaves.std(), 0, 255).astype(np.uint8)
        path = folder / f"{number % 8}" / f"{number:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, quality=90)


def usual_batches(folder: Path, workers: int) -> Iterator[Tensor]:
    """What a training script usually does."""
    transform = v2.Compose(
        [
            v2.Resize(SHORT_SIDE),
            v2.RandomResizedCrop(SIZE, scale=(0.16, 1.0), ratio=RATIO),
            v2.RandomHorizontalFlip(),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )
    loader = DataLoader(
        ImageFolder(folder, transform),
        batch_size=BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    while True:
        for images, _ in loader:
            yield images


def store_batches(store: ImageStore) -> Iterator[Tensor]:
    """The same batches from the store."""
    view = RandomResizedCrop(SIZE, scale=(0.16, 1.0), ratio=RATIO)
    preprocessing = Preprocessing(MEAN, STD)
    generator = torch.Generator().manual_seed(0)
    while True:
        rows = torch.randperm(len(store), generator=generator)[:BATCH]
        crops = view.draw(store.sizes[rows], generator)
        yield preprocessing(crop_and_resize(store.images(rows), crops, SIZE))


def rate(batches: Iterator[Tensor], seconds: float) -> float:
    """Images per second over about `seconds`."""
    start, count = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - start) < seconds:
        count += len(next(batches))
    return count / elapsed


def processor_milliseconds(batches: Iterator[Tensor], count: int) -> float:
    """Processor time of an image, of this process alone."""
    next(batches)
    start = time.process_time()
    for _ in range(count):
        next(batches)
    return 1000 * (time.process_time() - start) / (count * BATCH)


def measure(photos: Path, store: ImageStore, rounds: int, seconds: float) -> dict[str, list[float]]:
    """Rates per round (`usual`, `store`) and processor times (`usual_cpu`, `store_cpu`)."""
    workers = os.cpu_count() or 1
    results: dict[str, list[float]] = {"usual": [], "store": [], "usual_cpu": [], "store_cpu": []}
    usual, ours = usual_batches(photos, workers), store_batches(store)
    for batches in (usual, ours):
        assert next(batches).shape == (BATCH, 3, SIZE, SIZE)
    for _ in range(rounds):
        results["usual"].append(rate(usual, seconds))
        results["store"].append(rate(ours, seconds))
    usual.close()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for _ in range(rounds):
        results["usual_cpu"].append(processor_milliseconds(usual_batches(photos, 0), 2))
        results["store_cpu"].append(processor_milliseconds(store_batches(store), 10))
    torch.set_num_threads(threads)
    return results


def report(results: dict[str, list[float]], photos: int) -> str:
    """The figures as Markdown."""
    middle = {name: statistics.median(values) for name, values in results.items()}
    ratios = [b / a for a, b in zip(results["usual"], results["store"], strict=True)]
    return "\n".join(
        [
            "# Loading and augmenting at 227 px",
            "",
            f"`python benchmarks/data_path.py`, {photos} JPEG photos of about 700 x 483 px, "
            f"batches of {BATCH}, {os.cpu_count()} cores ({platform.machine()}), load average "
            f"{os.getloadavg()[0]:.1f} over the last minute (the two paths make up to 2 of it), "
            f"torch {torch.__version__}. Medians of rounds in turns.",
            "",
            "| path | images/s, all cores | processor ms per image, one core |",
            "|---|---|---|",
            f"| ImageFolder, PIL, DataLoader | {middle['usual']:.0f} | {middle['usual_cpu']:.2f} |",
            f"| warm store, batch augmentation | {middle['store']:.0f} | "
            f"{middle['store_cpu']:.2f} |",
            f"| ratio | {statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f}) | "
            f"{middle['usual_cpu'] / middle['store_cpu']:.1f} |",
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of a path in a round")
    add_output(parser)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        photos = Path(temporary) / "photos"
        make_photos(photos, arguments.photos)
        files = [path.relative_to(photos).as_posix() for path in sorted(photos.rglob("*.jpg"))]
        folders = sorted({file.partition("/")[0] for file in files})
        labels = np.array([folders.index(file.partition("/")[0]) for file in files])
        index = ImageIndex(photos, tuple(files), labels, tuple(folders))
        store = open_store(Path(temporary) / "decoded", index, SHORT_SIDE)
        results = measure(photos, store, arguments.rounds, arguments.seconds)
    publish(report(results, arguments.photos), arguments.output)


if __name__ == "__main__":
    main()
