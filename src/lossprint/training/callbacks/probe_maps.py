"""While it trains: what the embedding looks at in the probe images."""

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from lossprint.files import whole_file
from lossprint.metrics.fisher import fisher_mean
from lossprint.probing import (
    LoadedNetwork,
    MapSettings,
    make_maps,
    maps_key,
    probe_maps,
    read_maps,
    weights_key,
)
from lossprint.runs.cache import cache_file, file_key
from lossprint.runs.record import load_record
from lossprint.saliency import map_agreement, region_shares
from lossprint.saliency.preparation import Precision
from lossprint.training.callbacks.context import ProbeContext
from lossprint.training.map_strip import map_strip

PICTURES = "saliency"
FINAL_PICTURE = "saliency.png"


class ProbeMaps(pl.Callback):
    """Makes saliency maps of probe images, every few epochs and with the final weights.

    Logs `probe/map_agreement/initial`, the correlation with the maps of the run's own initial
    weights, `probe/map_agreement/reference` where a reference run is named, and
    `probe/saliency_share/<region>` where the probe set has masks; with the test of the initial
    weights `untrained/saliency_share/<region>` and `untrained/area_share/<region>`, the share of
    pixels, which is chance. Correlations are averaged over images through Fisher's z.

    A strip of images, maps and overlays lies in `saliency/epoch<n>.png` of the run's folder, the
    final one in `saliency.png`. The final maps are kept in `analysis/`, float16, under the key
    that any later analysis looks for.

    Args:
        context: the probe set and how the model sees it.
        every: epochs between measurements; the first is after this many. It measures with the
            validation, so where that is rarer, with the next one.
        images: of the probe set that the final maps are made of, the first ones; None for all.
        watched: of these, how many an epoch looks at.
        shown: of these, how many the strip shows.
        samples, noise_level, percentile, precision, seed: see `lossprint.saliency.saliency_maps`.
        reference: folder of a finished run whose kept maps to compare with.

    Raises:
        ValueError: a number below 1, or a reference run without maps of these images and
            parameters.
    """

    def __init__(
        self,
        context: ProbeContext,
        *,
        every: int = 5,
        images: int | None = 48,
        watched: int = 16,
        shown: int = 8,
        samples: int = 12,
        noise_level: float = 0.15,
        percentile: float = 99.0,
        precision: Precision = "exact",
        seed: int = 0,
        reference: str | None = None,
    ) -> None:
        numbers = {"every": every, "images": images, "watched": watched, "shown": shown}
        for name, number in {**numbers, "samples": samples}.items():
            if number is not None and number < 1:
                raise ValueError(f"{name} is {number}: it must be at least 1")
        self.context = context
        self.every = every
        self.count = min(images or len(context.probe), len(context.probe))
        self.watched = min(watched, self.count)
        self.shown = shown
        self.settings = MapSettings(self.count, samples, noise_level, percentile, precision, seed)
        self._initial: Tensor | None = None
        self._reference = None if reference is None else self._kept_maps(Path(reference))

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Not at the end of the epoch: metrics logged there come up once more an epoch later.
        epoch = trainer.current_epoch
        since = epoch + 1 - (trainer.check_val_every_n_epoch or 1)
        if trainer.sanity_checking or (epoch + 1) // self.every == since // self.every:
            return
        maps = self._maps(pl_module, self.watched)
        pl_module.log_dict(self._metrics("probe", maps))
        if trainer.is_global_zero:
            self._draw(maps, f"{PICTURES}/epoch{epoch:04d}.png", epoch)

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if pl_module.test_prefix == "untrained":
            self._initial = self._maps(pl_module, self.count)
            metrics = self._shares("untrained", self._initial)
            pl_module.log_dict(metrics | self._chance("untrained"))
            return
        network = LoadedNetwork(
            cast(nn.Module, pl_module.embedder),
            self.context.preprocessing,
            self.context.distance,
            self.context.folder / "analysis",
            weights_key(cast(nn.Module, pl_module.embedder)),
        )
        maps = read_maps(probe_maps(network, self.context.probe, self.settings), range(self.count))
        pl_module.log_dict(self._metrics("probe", maps))
        if trainer.is_global_zero:
            self._draw(maps, FINAL_PICTURE, None)

    def _maps(self, pl_module: pl.LightningModule, count: int) -> Tensor:
        """Of the first probe images, [count, H, W] on the CPU, made on the training device."""
        return make_maps(
            cast(nn.Module, pl_module.embedder),
            self.context.preprocessing,
            self.context.probe,
            replace(self.settings, images=count),
            self.context.distance,
        )

    def _metrics(self, prefix: str, maps: Tensor) -> dict[str, float]:
        metrics = self._shares(prefix, maps)
        for name, other in (("initial", self._initial), ("reference", self._reference)):
            if other is not None:
                pair = torch.stack([maps, other[: len(maps)].float()])
                correlation = map_agreement(pair).correlation[0, 1]
                metrics[f"{prefix}/map_agreement/{name}"] = float(fisher_mean(correlation))
        return metrics

    def _shares(self, prefix: str, maps: Tensor) -> dict[str, float]:
        """Mean over the images whose maps are not zero everywhere."""
        if self.context.probe.masks is None:
            return {}
        shares = region_shares(maps, self.context.probe.masks[: len(maps)])
        return {
            f"{prefix}/saliency_share/{name}": float(share.saliency.nanmean())
            for name, share in shares.items()
        }

    def _chance(self, prefix: str) -> dict[str, float]:
        if self.context.probe.masks is None:
            return {}
        masks = self.context.probe.masks[: self.count]
        shares = region_shares(torch.ones(masks.shape), masks)
        return {
            f"{prefix}/area_share/{name}": float(share.area.mean())
            for name, share in shares.items()
        }

    def _draw(self, maps: Tensor, name: str, epoch: int | None) -> None:
        shown = min(self.shown, len(maps))
        strip = map_strip(self.context.probe.pixels(range(shown)), maps[:shown])
        with whole_file(self.context.folder / name) as temporary:
            strip.save(temporary)
        self.context.tracker.log_images({"probe/saliency": strip}, epoch=epoch)

    def _kept_maps(self, run: Path) -> Tensor:
        record = load_record(run)
        network = LoadedNetwork(
            nn.Identity(),
            self.context.preprocessing,
            record.distance,
            record.analysis_folder,
            file_key(record.weights_file),
        )
        key = maps_key(network, self.context.probe, self.settings)
        path = cache_file(record.analysis_folder, "maps", key)
        if not path.is_file():
            raise ValueError(
                f"reference run {run} keeps no maps of the first {self.count} images of probe set "
                f"{self.context.probe.name} with {self.settings}: {path.name} is missing in "
                f"{path.parent}"
            )
        return read_maps(path, range(self.count))
