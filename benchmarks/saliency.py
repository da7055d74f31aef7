"""Saliency maps: this package against a plain loop and against Captum, interleaved.

    python benchmarks/saliency.py [--model bn_inception] [--images 8] [--output FILE.md]

The plain loop is the published way: one image at a time, all its noisy copies in one batch,
`backward` with the parameters' gradients on. Captum's NoiseTunnel averages over the same number of
copies, with noise of its own (it takes an absolute standard deviation and the absolute value of
each channel first), so it is a peer in speed alone. Weights are random, which changes no timing;
batch normalization has the statistics of the images, as after training. Every way first maps one
image that does not count; then the ways take turns on four images at a time. Wall time and
processor time are both given: on a shared machine the second is the steadier. Memory is that of a
process of its own for each way.
"""

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import captum
import torch
from captum.attr import NoiseTunnel, Saliency
from publishing import add_output, publish
from torch import Tensor, nn

from lossprint.models.backbones import build_backbone
from lossprint.saliency import map_agreement, saliency_maps
from lossprint.saliency.normalization import clip_to_percentile
from lossprint.saliency.preparation import computes_float16

LEVEL, PERCENTILE = 0.15, 99.0

TURN = 4
"""Images that a way maps before it is the next one's turn."""


def plain_loop(model: nn.Module, images: Tensor, baseline: Tensor, noise: Tensor) -> Tensor:
    """The published way, for one distance: L2 of normalized embeddings."""
    target = nn.functional.normalize(model(baseline[None])).detach()
    maps = []
    for image, draws in zip(images, noise, strict=True):
        copies = (image + LEVEL * (image.max() - image.min()) * draws).requires_grad_()
        distances = (nn.functional.normalize(model(copies)) - target).norm(dim=1)
        model.zero_grad()
        distances.mean().backward()
        maps.append(copies.grad.mean(1).abs().sum(0))
    return clip_to_percentile(torch.stack(maps), PERCENTILE)


def noise_tunnel(model: nn.Module, images: Tensor, baseline: Tensor, samples: int) -> Tensor:
    target = nn.functional.normalize(model(baseline[None])).detach()

    def score(copies: Tensor) -> Tensor:
        return (nn.functional.normalize(model(copies)) - target).norm(dim=1)

    tunnel = NoiseTunnel(Saliency(score))
    maps = [
        tunnel.attribute(
            image[None],
            nt_samples=samples,
            nt_samples_batch_size=10,
            stdevs=LEVEL * float(image.max() - image.min()),
        )
        .mean(1)
        .abs()
        for image in images
    ]
    return clip_to_percentile(torch.cat(maps).detach(), PERCENTILE)


def embedder(name: str, images: Tensor) -> nn.Module:
    """A random network whose batch normalization has the statistics of `images`."""
    torch.manual_seed(0)
    backbone = build_backbone(name, pretrained=False)
    model = nn.Sequential(backbone, nn.Linear(backbone.num_features, 128))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model.train()(images)
    return model.eval()


def ways(options: argparse.Namespace) -> dict[str, Callable[[slice], Tensor]]:
    generator = torch.Generator().manual_seed(0)
    shape = (3, options.size, options.size)
    coarse = torch.randn(options.images, 3, 12, 12, generator=generator)
    images = nn.functional.interpolate(coarse, size=shape[1:], mode="bicubic")
    baseline = torch.full(shape, -2.0)
    noise = torch.randn(options.images, options.samples, *shape, generator=generator)
    model = embedder(options.model, images)

    def ours(precision: str, n: slice) -> Tensor:
        return saliency_maps(
            model,
            images[n],
            distance="lp",
            baseline=baseline,
            noise=noise[n],
            precision=precision,
        )

    found = {
        "plain loop": lambda n: plain_loop(model, images[n], baseline, noise[n]),
        "Captum NoiseTunnel": lambda n: noise_tunnel(model, images[n], baseline, options.samples),
        "exact": lambda n: ours("exact", n),
    }
    if computes_float16(torch.device("cpu")):
        found["fast"] = lambda n: ours("fast", n)
    return found


def timed(function: Callable[[], Tensor]) -> tuple[float, float, Tensor]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = function()
    return time.perf_counter() - wall, time.process_time() - cpu, result


def peak_memory(name: str) -> float:
    """Of a process that maps two images in the way called `name`, in GiB."""
    command = [sys.executable, *sys.argv, "--alone", name]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return int(output.split()[-1]) / 2**20


def alone(way: Callable[[slice], Tensor]) -> None:
    way(slice(0, 2))
    status = Path("/proc/self/status").read_text()  # ru_maxrss would start at the parent's
    print(status.partition("VmHWM:")[2].split()[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="bn_inception")
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--samples", type=int, default=50)
    parser.add_argument("--size", type=int, default=227)
    add_output(parser)
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        return alone(ways(options)[options.alone])

    todo = ways(options)
    wall, cpu = dict.fromkeys(todo, 0.0), dict.fromkeys(todo, 0.0)
    maps: dict[str, list[Tensor]] = {name: [] for name in todo}
    for way in todo.values():
        way(slice(0, 1))
    for start in range(0, options.images, TURN):
        turn = slice(start, start + TURN)
        for name, way in todo.items():
            seconds, processor, result = timed(lambda way=way, turn=turn: way(turn))
            wall[name] += seconds
            cpu[name] += processor
            maps[name].append(result)
            print(f"images {start} …, {name}: {seconds:.1f} s, processor {processor:.1f} s")
    load = os.getloadavg()[0]
    correlation = map_agreement(
        torch.stack([torch.cat(part) for part in maps.values()])
    ).correlation

    rows = [
        f"| {name} | {wall[name] / options.images:.2f} s | "
        f"{wall['plain loop'] / wall[name]:.1f} × | {cpu[name] / options.images:.2f} s | "
        f"{cpu['plain loop'] / cpu[name]:.1f} × | {correlation[0, row].min():.6f} | "
        f"{peak_memory(name):.1f} GiB |"
        for row, name in enumerate(todo)
    ]
    lines = [
        f"# Saliency maps: {options.model}, {options.size} px, {options.samples} copies",
        "",
        "| way | wall, one image | faster by | processor, one image | less by | lowest map r "
        "| peak memory |",
        "|---|---|---|---|---|---|---|",
        *rows,
        "",
        f"{os.cpu_count()} cores ({torch.get_num_threads()} threads), load average {load:.1f} over "
        f"the last minute, {torch.backends.cpu.get_cpu_capability()}. Python "
        f"{platform.python_version()}, PyTorch {torch.__version__}, Captum {captum.__version__}. "
        f"{options.images} images after one that does not count, the ways taking turns on "
        f"{TURN} at a time; r is that of each map with the plain loop's; memory is that of a "
        "process that only maps in this way.",
        "",
        f"`python benchmarks/saliency.py --model {options.model} --images {options.images} "
        f"--samples {options.samples} --size {options.size}`",
    ]
    publish("\n".join(lines), options.output)


if __name__ == "__main__":
    main()
