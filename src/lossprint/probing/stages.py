"""What a network computes on the way: spatial means of its stages' outputs."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from lossprint.data.probe import ProbeSet
from lossprint.models.embedding import device_of, embed
from lossprint.probing.network import Network, Preprocess
from lossprint.probing.progress import ImagesDone, untold
from lossprint.runs.cache import content_key, load_or_compute

BATCH = 256
"""Images at once."""

TRUNK_SHARE = 0.9
"""A part that holds this much of the weights is looked into, instead of being one stage."""


def stage_features_key(network: Network, probe: ProbeSet, images: int | None = None) -> str:
    """Of what stage features depend on: weights and images."""
    count = len(range(len(probe))[:images])
    return content_key("stages", network.weights_key, probe.fingerprint, count)


def probe_stage_features(
    network: Network,
    probe: ProbeSet,
    images: int | None = None,
    progress: ImagesDone = untold,
) -> dict[str, Tensor]:
    """Load or compute a network's stage features of the first images; see `make_stage_features`.

    Stages come in the order in which an image passes them.
    """

    def compute() -> dict[str, Tensor]:
        found = make_stage_features(*network.load(), probe, images, progress)
        # A safetensors file sorts by name; numbers keep the order.
        return {f"{place:04d} {name}": values for place, (name, values) in enumerate(found.items())}

    key = stage_features_key(network, probe, images)
    kept = load_or_compute(network.cache, "stages", key, compute)
    return {name.partition(" ")[2]: kept[name] for name in sorted(kept)}


def make_stage_features(
    model: nn.Module,
    preprocessing: Preprocess,
    probe: ProbeSet,
    images: int | None = None,
    progress: ImagesDone = untold,
) -> dict[str, Tensor]:
    """Mean over positions of what each stage gives for the first probe images; nothing is kept.

    Returns:
        [N, C] float32 on the CPU for each of `stages`, and `embedding` [N, D], which comes last.
    """
    rows, device = range(len(probe))[:images], device_of(model)

    def batch(chosen: range) -> Tensor:
        return preprocessing(probe.pixels(chosen).to(device))

    watched = stages(model, batch(rows[:1]))
    latest: dict[str, Tensor] = {}
    found: dict[str, list[Tensor]] = {name: [] for name in watched}

    def note(name: str, output: Tensor) -> None:
        # The mean is taken at once: a later layer may write into the stage's output.
        latest[name] = _mean(output).cpu()

    def collect(module: nn.Module, inputs: Any, output: Any) -> None:
        for name, parts in found.items():
            parts.append(latest[name])

    with ExitStack() as hooks:
        for name, module in watched.items():
            handle = module.register_forward_hook(
                lambda module, inputs, output, name=name: note(name, output)
            )
            hooks.callback(handle.remove)
        hooks.callback(model.register_forward_hook(collect).remove)
        embeddings = embed(
            model,
            (batch(rows[start : start + BATCH]) for start in range(0, len(rows), BATCH)),
            progress=lambda done: progress("stages", done, len(rows)),
        )
    return {name: torch.cat(parts) for name, parts in found.items()} | {"embedding": embeddings}


def stages(model: nn.Module, images: Tensor) -> dict[str, nn.Module]:
    """The stages of a network by name, in the order in which an image passes them.

    They are those that the network names itself, as timm's models do in `feature_info`; else the
    parts of its trunk that hold weights and give maps [N, C, H, W] or tokens [N, T, C]. The trunk
    is found by looking into whatever part holds nine tenths of all such weights.

    Args:
        model: any network.
        images: [1, 3, H, W] that it takes, to see what its parts give.

    Raises:
        ValueError: no part of the network gives maps or tokens.
    """
    for module in model.modules():
        info = getattr(module, "feature_info", None)
        if info:
            names = [entry["module"] for entry in _entries(info)]
            return {name: module.get_submodule(name) for name in dict.fromkeys(names)}
    spatial = _spatial_outputs(model, images)
    found = dict(_parts("", model, spatial))
    while found:
        sizes = {name: _weights(module) for name, module in found.items()}
        largest = max(sizes, key=sizes.__getitem__)
        inside = dict(_parts(f"{largest}.", found[largest], spatial))
        if not inside or sizes[largest] < TRUNK_SHARE * sum(sizes.values()):
            break
        found = inside
    if not found:
        raise ValueError(
            f"{type(model).__name__} has no stages: no part of it gives maps [N, C, H, W] or "
            "tokens [N, T, C]"
        )
    return found


def _entries(info: Any) -> list[Mapping[str, Any]]:
    return list(info) if isinstance(info, list | tuple) else list(info.info)


def _parts(
    prefix: str, module: nn.Module, spatial: set[nn.Module]
) -> Iterator[tuple[str, nn.Module]]:
    """Parts with weights that give maps or tokens; what pools, or only lists, is looked into."""
    for name, child in module.named_children():
        if child not in spatial:
            yield from _parts(f"{prefix}{name}.", child, spatial)
        elif _weights(child):
            yield f"{prefix}{name}", child


def _spatial_outputs(model: nn.Module, images: Tensor) -> set[nn.Module]:
    """The parts of a network that give maps or tokens."""
    found: set[nn.Module] = set()

    def note(module: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.ndim in (3, 4):
            found.add(module)

    with ExitStack() as hooks:
        for module in model.modules():
            hooks.callback(module.register_forward_hook(note).remove)
        embed(model, [images])
    return found


def _weights(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def _mean(output: Tensor) -> Tensor:
    """Over positions: [N, C, H, W], [N, H, W, C] or [N, T, C] to [N, C] float32."""
    output = output.detach().float()
    if output.ndim == 3:
        return output.mean(1)
    height, width, last = output.shape[1:]
    # Swin transformers keep channels last; views are square.
    return output.mean((1, 2)) if height == width != last else output.mean((2, 3))
