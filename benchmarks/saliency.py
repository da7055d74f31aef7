"""Saliency maps: this package against a plain loop and against Captum, interleaved.

    python benchmarks/saliency.py [--model bn_inception] [--images 3] [--output FILE.md]

The plain loop is the published way: one image at a time, all its noisy copies in one batch,
`backward` with the parameters' gradients on. Captum's NoiseTunnel averages over the same number of
copies, with noise of its own (it takes an absolute standard deviation and the absolute value of
each channel first), so it is a peer in speed alone. Weights are random: they change no timing.
Wall time and processor time are both given: on a shared machine the second is the steadier.
"""

import argparse
import os
import platform
import resource
import time
from collections.abc import Callable
from pathlib import Path

import captum
import torch
from captum.attr import NoiseTunnel, Saliency
from torch import Tensor, nn

from lossprint.files import whole_file
from lossprint.models.backbones import build_backbone
from lossprint.saliency import map_agreement, saliency_maps
from lossprint.saliency.normalization import clip_to_percentile
from lossprint.saliency.preparation import fast_dtype

LEVEL, PERCENTILE = 0.15, 99.0


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


def timed(function: Callable[[], Tensor]) -> tuple[float, float, Tensor]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = function()
    return time.perf_counter() - wall, time.process_time() - cpu, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="bn_inception")
    parser.add_argument("--images", type=int, default=3)
    parser.add_argument("--samples", type=int, default=50)
    parser.add_argument("--size", type=int, default=227)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()

    torch.manual_seed(0)
    backbone = build_backbone(options.model, pretrained=False)
    model = nn.Sequential(backbone, nn.Linear(backbone.num_features, 128)).eval()
    images = torch.randn(options.images, 3, options.size, options.size)
    baseline = torch.full(images.shape[1:], -2.0)
    noise = torch.randn(options.images, options.samples, *images.shape[1:])

    def ours(precision: str, n: slice) -> Tensor:
        return saliency_maps(
            model,
            images[n],
            distance="lp",
            baseline=baseline,
            noise=noise[n],
            precision=precision,
        )

    ways: dict[str, Callable[[slice], Tensor]] = {
        "plain loop": lambda n: plain_loop(model, images[n], baseline, noise[n]),
        "Captum NoiseTunnel": lambda n: noise_tunnel(model, images[n], baseline, options.samples),
        "exact": lambda n: ours("exact", n),
        "fast": lambda n: ours("fast", n),
    }
    wall, cpu = dict.fromkeys(ways, 0.0), dict.fromkeys(ways, 0.0)
    maps: dict[str, list[Tensor]] = {name: [] for name in ways}
    for number in range(options.images):
        for name, way in ways.items():
            one = slice(number, number + 1)
            seconds, processor, result = timed(lambda way=way, one=one: way(one))
            wall[name] += seconds
            cpu[name] += processor
            maps[name].append(result)
            print(f"image {number}, {name}: {seconds:.1f} s, processor {processor:.1f} s")
    correlation = map_agreement(
        torch.stack([torch.cat(part) for part in maps.values()])
    ).correlation

    rows = [
        f"| {name} | {wall[name] / options.images:.2f} s | "
        f"{wall['plain loop'] / wall[name]:.1f} × | {cpu[name] / options.images:.2f} s | "
        f"{cpu['plain loop'] / cpu[name]:.1f} × | {correlation[0, row].min():.6f} |"
        for row, name in enumerate(ways)
    ]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    lines = [
        f"# Saliency maps: {options.model}, {options.size} px, {options.samples} copies",
        "",
        "| way | wall, one image | faster by | processor, one image | less by | lowest map r |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
        f"{os.cpu_count()} cores ({torch.get_num_threads()} threads), load average "
        f"{os.getloadavg()[1]:.1f} over the last 5 minutes, "
        f"{torch.backends.cpu.get_cpu_capability()}; fast computes in "
        f"{str(fast_dtype(torch.device('cpu'))).removeprefix('torch.')} here. Python "
        f"{platform.python_version()}, PyTorch {torch.__version__}, Captum {captum.__version__}. "
        f"Peak memory of the process {peak:.1f} GiB, the plain loop's. {options.images} images, "
        "the ways taking turns on each; r is that of each map with the plain loop's.",
        "",
        f"`python benchmarks/saliency.py --model {options.model} --images {options.images} "
        f"--samples {options.samples} --size {options.size}`",
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    if options.output:
        with whole_file(options.output) as temporary:
            temporary.write_text(text)


if __name__ == "__main__":
    main()
