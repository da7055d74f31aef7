"""Saliency maps of torchvision's classifiers and many families of timm, against a plain loop.

    python benchmarks/every_network.py [--largest 60] [--only resnet18 …] [--output FILE.md]

Networks are random, their batch normalizations with statistics, at the smallest square input that
they take. The plain loop maps one image in plain autograd, in double precision, and once more in
single precision: of a few networks, random as they are, rounding alone changes the map. Exits with
1 unless every map correlates with the first at 0.9999 or more, or as the second does.
"""

import argparse
import sys
import time
import warnings

import timm
import torch
import torchvision
from publishing import add_output, publish
from torch import Tensor, nn

from lossprint.saliency import saliency_maps

FAMILIES = [
    "resnet18",
    "resnet26",
    "resnet10t",
    "seresnet50",
    "efficientnet_b0",
    "tf_efficientnet_lite0",
    "regnety_002",
    "hrnet_w18_small",
    "vit_tiny_patch16_224",
    "swin_tiny_patch4_window7_224",
    "convnext_atto",
    "mobilenetv3_small_100",
    "densenet121",
    "mixnet_s",
    "ghostnet_100",
    "levit_128s",
    "mixer_s32_224",
    "poolformer_s12",
    "dm_nfnet_f0",
    "resmlp_12_224",
    "inception_v3",
    "xception41",
    "dla34",
    "res2net50_26w_4s",
    "resnest14d",
    "rexnet_100",
    "edgenext_xx_small",
    "mobilevit_xxs",
    "maxvit_nano_rw_256",
    "coat_lite_tiny",
    "pvt_v2_b0",
    "repvgg_a0",
    "vovnet39a",
    "fastvit_t8",
    "bat_resnext26ts",
    "crossvit_tiny_240",
    "tnt_s_patch16_224",
    "xcit_nano_12_p16_224",
    "deit_tiny_patch16_224",
    "efficientformer_l1",
    "mobileone_s0",
    "tinynet_e",
    "hardcorenas_a",
    "selecsls42b",
    "skresnet18",
    "nf_regnet_b0",
    "inception_next_atto",
    "starnet_s1",
    "repghostnet_050",
    "hgnet_tiny",
]
"""Of timm: quirks of every kind."""

SIZES = (64, 96, 128, 192, 224, 240, 256, 299)
"""Of inputs, tried from the smallest."""

IMAGES = 32
"""Of which the batch normalizations have their statistics."""

SAMPLES, LEVEL = 4, 0.15

ENOUGH = 0.9999


def networks(largest: float, only: list[str]) -> list[tuple[str, str]]:
    """Library and name of each: of torchvision's what has at most `largest` million weights."""
    found = [("timm", name) for name in FAMILIES]
    for name in torchvision.models.list_models(torchvision.models):
        weights = torchvision.models.get_model_weights(name).DEFAULT
        if weights.meta["num_params"] <= largest * 1e6:
            found.append(("torchvision", name))
    return [pair for pair in found if not only or pair[1] in only]


def build(library: str, name: str) -> nn.Module:
    torch.manual_seed(0)
    if library == "timm":
        model = timm.create_model(name, num_classes=0)
    else:
        model = torchvision.models.get_model(name, weights=None)
    return model.eval()


def trained(model: nn.Module, size: int) -> nn.Module:
    """With statistics in the batch normalizations, as after training.

    Without them some random networks give one embedding for every image, and of that no gradient
    in single precision. Of few and small ones some variances are next to nothing, as after no
    training.
    """
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model.train()(torch.randn(IMAGES, 3, size, size))
    return model.eval().requires_grad_(False)


def smallest_input(model: nn.Module) -> int:
    """In training, too, where some networks have another head."""
    for size in SIZES:
        try:
            with torch.no_grad():
                model.train()(torch.zeros(2, 3, size, size))
                model.eval()(torch.zeros(2, 3, size, size))
        except Exception:  # Each network refuses in a way of its own.
            continue
        return size
    raise ValueError(f"takes none of {SIZES}")


def plain_map(model: nn.Module, image: Tensor, black: Tensor, noise: Tensor) -> Tensor:
    """SmoothGrad of the L2 distance of normalized embeddings, not clipped."""
    target = nn.functional.normalize(model(black[None])).detach()
    # Rounded as the copies of saliency_maps are: of a few networks that bit alone changes the map.
    spread = float(LEVEL * (image.max() - image.min()))
    copies = torch.add(image, noise, alpha=spread).requires_grad_()
    (nn.functional.normalize(model(copies)) - target).norm(dim=1).sum().backward()
    total = copies.grad.mean(1).abs().sum(0)
    low, high = total.min(), total.quantile(0.99)
    # Of a network of strided 1x1 convolutions alone, most pixels have no gradient.
    scaled = (total - low) / (high - low) if high > low else (total > low).float()
    return scaled.clamp(0, 1)


def compare(library: str, name: str) -> tuple[int, float, float, str]:
    """Input size, correlation with the plain loop in double precision, the plain loop's own in
    single precision, and what was warned of."""
    model = build(library, name)
    size = smallest_input(model)
    model = trained(model, size)
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(3, size, size, generator=generator)
    noise = torch.randn(SAMPLES, 3, size, size, generator=generator)
    black = torch.full_like(image, -2)
    plain = plain_map(model, image, black, noise)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        (found,) = saliency_maps(
            model, image[None], distance="lp", baseline=black, noise=noise[None]
        )
    exact = plain_map(model.double(), image.double(), black.double(), noise.double())
    alike = torch.corrcoef(torch.stack([one.flatten().double() for one in (exact, found, plain)]))
    said = "; ".join(str(one.message) for one in told)
    return size, float(alike[0, 1]), float(alike[0, 2]), said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--largest", type=float, default=60, help="millions of weights")
    parser.add_argument("--only", nargs="*", default=[])
    add_output(parser)
    options = parser.parse_args()
    rows, failed = [], []
    for library, name in networks(options.largest, options.only):
        start = time.perf_counter()
        try:
            size, r, plain, said = compare(library, name)
        except Exception as error:
            size, r, plain = 0, float("nan"), 1.0
            said = f"{type(error).__name__}: {error}".splitlines()[0]
        if not r >= min(ENOUGH, plain):
            failed.append(name)
        rows.append(f"| {library} | {name} | {size} | {r:.6f} | {plain:.6f} | {said} |")
        print(f"{time.perf_counter() - start:.0f} s {rows[-1]}", flush=True)
    lines = [
        f"# Maps of {len(rows)} networks against a plain loop",
        "",
        "| library | network | px | map r | of the plain loop in float32 | warned of |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
        f"Random weights, batch statistics, one image, {SAMPLES} noisy copies, float32, "
        "against the plain loop in float64. "
        f"PyTorch {torch.__version__}, torchvision {torchvision.__version__}, "
        f"timm {timm.__version__}. "
        f"{len(failed)} below {ENOUGH} and the plain loop's own: {', '.join(failed) or 'none'}.",
        "",
        "`python benchmarks/every_network.py`",
    ]
    publish("\n".join(lines), options.output)
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
