"""While it trains: what the embedding looks at in the probe images."""

from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from lossprint.files import whole_file
from lossprint.metrics.fisher import fisher_mean
from lossprint.runs.cache import cache_file, content_key, file_key, load_or_compute
from lossprint.runs.record import load_record
from lossprint.saliency import map_agreement, region_shares, saliency_maps
from lossprint.saliency.preparation import Precision
from lossprint.training.callbacks.context import ProbeContext
from lossprint.training.map_strip import map_strip

PICTURES = "saliency"
FINAL_PICTURE = "saliency.png"
IMAGES_AT_ONCE = 32


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
        self.parameters: dict[str, Any] = {
            "images": self.count,
            "samples": samples,
            "noise_level": noise_level,
            "percentile": percentile,
            "precision": precision,
            "seed": seed,
        }
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
        folder = self.context.folder
        key = self._key(file_key(folder / "weights.safetensors"), self.context.distance)
        kept = load_or_compute(
            folder / "analysis",
            "maps",
            key,
            lambda: {"maps": self._maps(pl_module, self.count).half()},
        )
        maps = kept["maps"].float()
        pl_module.log_dict(self._metrics("probe", maps))
        if trainer.is_global_zero:
            self._draw(maps, FINAL_PICTURE, None)

    def _maps(self, pl_module: pl.LightningModule, count: int) -> Tensor:
        """Of the first probe images, [count, H, W] on the CPU, made on the training device."""
        probe, device = self.context.probe, pl_module.device
        black = torch.zeros(1, 3, probe.size, probe.size, dtype=torch.uint8, device=device)
        settings = {name: value for name, value in self.parameters.items() if name != "images"}
        found = []
        for start in range(0, count, IMAGES_AT_ONCE):
            rows = range(start, min(start + IMAGES_AT_ONCE, count))
            maps = saliency_maps(
                cast(nn.Module, pl_module.embedder),
                self.context.preprocessing(probe.pixels(rows).to(device)),
                distance=self.context.distance,
                baseline=self.context.preprocessing(black)[0],
                image_ids=[probe.files[row] for row in rows],
                **settings,
            )
            found.append(maps.cpu())
        return torch.cat(found)

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

    def _key(self, weights: str, distance: str) -> str:
        """Of what maps depend on, as `lossprint.studies.probe_features.maps_key` names it."""
        fingerprint = self.context.probe.fingerprint
        return content_key("maps", weights, distance, fingerprint, self.parameters)

    def _kept_maps(self, run: Path) -> Tensor:
        record = load_record(run)
        key = self._key(file_key(record.weights_file), record.distance)
        path = cache_file(record.analysis_folder, "maps", key)
        if not path.is_file():
            raise ValueError(
                f"reference run {run} keeps no maps of the first {self.count} images of probe set "
                f"{self.context.probe.name} with {self.parameters}: {path.name} is missing in "
                f"{path.parent}"
            )
        return load_file(path)["maps"]
