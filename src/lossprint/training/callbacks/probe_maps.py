"""While it trains: what the embedding looks at in the probe images."""

from dataclasses import replace
from pathlib import Path
from typing import Unpack

import pytorch_lightning as pl
import torch
from torch import Tensor

from lossprint.data.probe import ProbeSet
from lossprint.files import whole_file
from lossprint.metrics import fisher_mean
from lossprint.probing import (
    KeptNetwork,
    LoadedNetwork,
    MapSettings,
    Network,
    area_shares,
    make_maps,
    map_rows,
    probe_maps,
    read_maps,
    saliency_shares,
    weights_file_key,
)
from lossprint.probing.network import Preprocess
from lossprint.probing.settings import at_least
from lossprint.runs.record import load_record
from lossprint.saliency import map_agreement
from lossprint.saliency.preparation import Precision
from lossprint.training.callbacks.probe_callback import ProbeCallback, Where
from lossprint.training.map_strip import map_strip


class ProbeMaps(ProbeCallback):
    """Makes saliency maps of probe images, now and then in a fit and of the final weights.

    Logs `map_r/initial`, the correlation with the maps of the weights that the fit
    started from, `map_r/reference` where a reference run is named, and where the
    probe set has masks `share/<region>`, with the final ones
    `untrained/share/<region>` and `untrained/area/<region>`, the share of pixels,
    which is chance. Correlations are averaged over images through Fisher's z.

    A strip of images, maps and overlays lies in `saliency/epoch<n>-step<n>.png` of the folder, the
    final one in `saliency.png`. Final maps are kept, float16, where any later analysis looks.

    Args:
        probe, preprocessing, where: see `ProbeCallback`.
        images: of the probe set that final maps are made of, the first ones; None for all.
        watched: of these, how many are looked at in between.
        shown: of these, how many the strip shows.
        samples, noise_level, percentile, precision, seed: see `lossprint.saliency.saliency_maps`.
        reference: folder of a finished run of this package whose kept maps to compare with.

    Raises:
        ValueError: an option has a value that is not valid.
        FileNotFoundError: the reference run keeps no maps of these images and parameters.
    """

    def __init__(
        self,
        probe: ProbeSet,
        preprocessing: Preprocess,
        *,
        images: int | None = 48,
        watched: int = 16,
        shown: int = 8,
        samples: int = 12,
        noise_level: float = 0.15,
        percentile: float = 99.0,
        precision: Precision = "exact",
        seed: int = 0,
        reference: Path | str | None = None,
        **where: Unpack[Where],
    ) -> None:
        super().__init__(probe, preprocessing, **where)
        at_least(1, watched=watched, shown=shown)
        self.settings = MapSettings(images, samples, noise_level, percentile, precision, seed)
        self.rows = map_rows(probe, self.settings)
        self.watched, self.shown = min(watched, len(self.rows)), shown
        self._first: Tensor | None = None
        self._reference: Tensor | None = None
        if reference is not None:
            record = load_record(Path(reference))
            key, cache = weights_file_key(record.weights_file), record.analysis_folder
            self._reference = self._kept(KeptNetwork(key, record.distance, cache))

    def look_first(self, network: Network, trainer: pl.Trainer) -> None:
        self._first = self._kept(network)

    def look(self, network: LoadedNetwork, trainer: pl.Trainer) -> dict[str, float]:
        settings = replace(self.settings, images=self.watched)
        maps = make_maps(*network.load(), self.probe, settings, self.distance)
        name = f"epoch{trainer.current_epoch:04d}-step{trainer.global_step:06d}.png"
        self._draw(maps, Path("saliency") / name, trainer)
        return self._metrics(maps)

    def look_last(self, network: LoadedNetwork, trainer: pl.Trainer) -> dict[str, float]:
        maps = self._kept(network)
        self._draw(maps, Path("saliency.png"), trainer)
        areas = area_shares(self.probe, len(maps))
        chance = {f"untrained/area/{name}": value for name, value in areas.items()}
        first = {} if self._first is None else self._shares("untrained/share", self._first)
        return self._metrics(maps) | first | chance

    def _kept(self, network: Network) -> Tensor:
        return read_maps(probe_maps(network, self.probe, self.settings), self.rows)

    def _metrics(self, maps: Tensor) -> dict[str, float]:
        metrics = self._shares("share", maps)
        for name, other in (("initial", self._first), ("reference", self._reference)):
            if other is not None:
                pair = torch.stack([maps, other[: len(maps)]])
                correlation = map_agreement(pair).correlation[0, 1]
                metrics[f"map_r/{name}"] = float(fisher_mean(correlation))
        return metrics

    def _shares(self, prefix: str, maps: Tensor) -> dict[str, float]:
        shares = saliency_shares(maps, self.probe)
        return {f"{prefix}/{name}": float(share.nanmean()) for name, share in shares.items()}

    def _draw(self, maps: Tensor, name: Path, trainer: pl.Trainer) -> None:
        if trainer.is_global_zero:
            shown = min(self.shown, len(maps))
            strip = map_strip(self.probe.pixels(range(shown)), maps[:shown])
            with whole_file(self.folder / name) as temporary:
                strip.save(temporary)
            self.tracker.log_images({"probe/saliency": strip}, epoch=trainer.current_epoch)
