"""A world of coloured squares in the layout of the rendered sets: trains in seconds."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

SIZE = 32


def write_world(root: Path, *, designs: int, per_design: int, seed: int = 0) -> None:
    """Noise with a square whose place and colour tell the design; properties drawn at random."""
    generator = np.random.default_rng(seed)
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    rows = []
    for frame in range(designs * per_design):
        design = frame % designs
        pixels = generator.integers(0, 120, (SIZE, SIZE, 3), dtype=np.uint8)
        mask = np.zeros((SIZE, SIZE), dtype=np.uint8)
        top, left = 3 + 4 * (design % 5), 3 + 5 * (design // 5 % 4)
        pixels[top : top + 9, left : left + 9, design % 3] = 230
        mask[top : top + 9, left : left + 9] = 1
        mask[top + 9 : top + 11, left : left + 9] = 2
        Image.fromarray(pixels).save(root / "images" / f"{frame:06d}.png")
        Image.fromarray(mask).save(root / "masks" / f"{frame:06d}.png")
        rows.append(
            {
                "frame": frame,
                "model": f"square_{design:03d}",
                "color_hue": int(generator.integers(4)) / 4,
                "rotation_z": int(generator.integers(3)) * 30,
            }
        )
    pd.DataFrame(rows).to_csv(root / "samples.csv", index=False)


def overrides(root: Path) -> list[str]:
    """The command-line words that train on a world written to `root`/world and `root`/probe."""
    return [
        "model=timm",
        "model.name=timm:test_resnet",  # a real residual network of 0.4 million weights
        "model.pretrained=false",
        "data.render=null",
        f"data.source.root={root}/world",
        "data.source.test_classes=4",
        f"data.size={SIZE}",
        f"probe.size={SIZE}",
        "optimizer.lr=1e-3",
        "probe.render=null",
        "probe.limit=null",
        f"probe.folder={root}/probe",
        f"data_root={root}/data",
        f"output_root={root}/outputs",
        "sweep=small",
        "sampler.classes_per_batch=4",
        "sampler.batches=3",
        "trainer.max_epochs=2",
        "trainer.accelerator=cpu",
        "logger=none",
        "analyze=false",
    ]
