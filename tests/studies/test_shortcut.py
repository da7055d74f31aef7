"""A shortcut that is planted in a world is found, and none is found where there is none.

Scenes are drawn as the tool draws them; cars are boxes in the design's proportions, so that a small
network learns them in seconds.
"""

import numpy as np
import torch
from pytorch_metric_learning.losses import TripletMarginLoss
from torch import Tensor, nn

from lossprint.metrics.properties import normalized_r_precision
from lossprint.rendering.interventions import intervene
from lossprint.rendering.layout import hsv_to_linear
from lossprint.rendering.properties import complete_levels
from lossprint.rendering.sampling import Scenes, draw_scenes
from lossprint.studies.interventions import DESIGNS, displacement

SIDE, DESIGNS_TRAINED, DESIGNS_PROBED = 24, 16, 6
LEVELS = complete_levels()


def pictures(scenes: Scenes, *, first_design: int = 0) -> Tensor:
    """Boxes [N, 3, 24, 24] in [0, 1] on plain ground, in a design's proportions or nearly so."""
    images = np.empty((len(scenes), SIDE, SIDE, 3), dtype=np.float32)
    for frame in range(len(scenes)):
        scene = scenes[frame]
        design, values = first_design + scene.design, scene.properties
        blur = np.random.default_rng(scene.noise_seed).integers(-2, 3, 2)
        width, height = np.array([7 + 2 * (design % 8), 7 + 4 * (design // 8 % 4)]) + blur
        images[frame] = 0.2 + 0.5 * values["bg_color_val"]
        top, left = (SIDE - height) // 2, (SIDE - width) // 2
        paint = hsv_to_linear(*(values[f"color_{part}"] for part in ("hue", "sat", "val")))
        images[frame, top : top + height, left : left + width] = paint
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()


def trained(shortcut: dict[str, float], seed: int) -> nn.Module:
    """A small network after 150 steps of the triplet loss on a world."""
    world = draw_scenes(
        40 * DESIGNS_TRAINED, seed=seed, levels=LEVELS, designs=DESIGNS_TRAINED, balanced=True,
        shortcut=shortcut,
    )  # fmt: skip
    images, labels = pictures(world), torch.from_numpy(world.design)
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Conv2d(3, 16, 5, 2), nn.ReLU(), nn.Conv2d(16, 32, 3, 2), nn.ReLU(), nn.Flatten(),
        nn.LazyLinear(64), nn.ReLU(), nn.Linear(64, 16),
    )  # fmt: skip
    network(images[:2])
    loss, optimizer = TripletMarginLoss(margin=0.2), torch.optim.AdamW(network.parameters(), 2e-3)
    for _ in range(150):
        batch = torch.randint(len(images), (64,))
        optimizer.zero_grad()
        loss(network(images[batch]), labels[batch]).backward()
        optimizer.step()
    return network.eval()


@torch.no_grad()
def looks_at_paint(network: nn.Module) -> tuple[float, float]:
    """NR-Prec of the paint's hue on independent scenes, and how far a change of it alone moves
    an embedding, next to another design."""
    probe = draw_scenes(600, seed=9, levels=LEVELS, designs=DESIGNS_PROBED, balanced=False)
    hue = np.unique(probe.properties["color_hue"], return_inverse=True)[1]
    embeddings = network(pictures(probe, first_design=DESIGNS_TRAINED))
    clusters = normalized_r_precision(embeddings, {"color_hue": hue})["color_hue"]
    base = draw_scenes(12, seed=8, levels=LEVELS, designs=DESIGNS_PROBED, balanced=False)
    scenes, moves = intervene(base, levels=LEVELS, designs=DESIGNS_PROBED)
    moved = displacement(
        network(pictures(scenes, first_design=DESIGNS_TRAINED)),
        np.array([move.base for move in moves]),
        np.array([move.frame for move in moves]),
        np.array([move.property for move in moves]),
    )
    against_designs = {name: value for name, reference, value in moved if reference == DESIGNS}
    return clusters, against_designs["color_hue"]


def test_a_strong_shortcut_is_found_by_both_measures_and_none_without_one():
    clusters, moves = looks_at_paint(trained({"color_hue": 0.9}, seed=0))
    clusters_without, moves_without = looks_at_paint(trained({}, seed=0))
    assert clusters > 3.5 > 1 > clusters_without
    assert moves > 0.6 > 0.35 > moves_without
