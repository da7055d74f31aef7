"""While it trains: which properties of the probe images the embedding clusters by."""

import shutil
from pathlib import Path

import pandas as pd
import pytorch_lightning as pl
from torch import Tensor

from lossprint.files import whole_file
from lossprint.metrics import normalized_r_precision
from lossprint.metrics.properties import Variance
from lossprint.models.embedding import embed, embed_in_parts
from lossprint.probing import LoadedNetwork, embeddings_key, weights_key
from lossprint.runs.cache import content_key, load_or_compute
from lossprint.training.callbacks.context import ProbeContext
from lossprint.training.module import MetricLearning
from lossprint.training.progress import shown_images

TABLE = "probe_properties.csv"
PREFIX = "probe/nr_precision"
SHOWN = "Embedding the probe set"


class ProbeProperties(pl.Callback):
    """Measures the probe set's NR-Prec per property, every few epochs and with the final weights.

    Logs `probe/nr_precision/<property>` in the epochs it measures and with the final test, and
    `untrained/nr_precision/<property>` with the test of the initial weights. The final embeddings
    are kept in the run's `analysis/` as any later analysis looks for them, and
    `probe_properties.csv` (property, untrained, trained) lies in the run's folder.

    Args:
        context: the probe set and how the model sees it.
        every: epochs between measurements; the first is after this many. It measures with the
            validation, so where that is rarer, with the next one.
        images: how many of the probe images an epoch looks at, the first ones; None for all.
            The final measurement looks at all.
        batch_size: images at once.
        normalize, max_neighbors, variance: see `lossprint.metrics.normalized_r_precision`.

    Raises:
        ValueError: `every` or `images` is below what can be measured.
    """

    def __init__(
        self,
        context: ProbeContext,
        *,
        every: int = 5,
        images: int | None = 2000,
        batch_size: int = 256,
        normalize: bool = True,
        max_neighbors: int | None = None,
        variance: Variance = "binomial",
    ) -> None:
        if every < 1:
            raise ValueError(f"every is {every}: it must be at least 1 epoch")
        if images is not None and images < 3:
            raise ValueError(f"images is {images}: it must be at least 3, or null for all")
        self.context = context
        self.every = every
        self.images = images
        self.batch_size = batch_size
        self.normalize = normalize
        self.max_neighbors = max_neighbors
        self.variance: Variance = variance
        self._untrained: dict[str, float] = {}

    def on_validation_epoch_end(  # type: ignore[override]  # it measures embedders only
        self, trainer: pl.Trainer, pl_module: MetricLearning
    ) -> None:
        done = trainer.current_epoch + 1
        since = done - (trainer.check_val_every_n_epoch or 1)
        if trainer.sanity_checking or done // self.every == since // self.every:
            return
        count = min(len(self.context.probe), self.images or len(self.context.probe))
        starts = range(0, count, self.batch_size)
        batches = (
            self._batch(range(first, min(first + self.batch_size, count)), pl_module)
            for first in starts
        )
        with shown_images(trainer, SHOWN, count) as progress:
            embeddings = embed(pl_module.embedder, batches, progress=progress)
        values = self._values(embeddings, pl_module)
        pl_module.log_dict({f"{PREFIX}/{name}": value for name, value in values.items()})

    def on_test_epoch_end(  # type: ignore[override]
        self, trainer: pl.Trainer, pl_module: MetricLearning
    ) -> None:
        if pl_module.test_prefix == "untrained":
            initial = content_key("untrained", pl_module.embedder.state_dict(), self._fingerprint)
            self._untrained = self._values(self._embed_all(trainer, pl_module, initial), pl_module)
            prefix, values = "untrained/nr_precision", self._untrained
        else:
            prefix, values = (
                PREFIX,
                self._values(self._final_embeddings(trainer, pl_module), pl_module),
            )
            if trainer.is_global_zero:
                self._write(values)
        pl_module.log_dict({f"{prefix}/{name}": value for name, value in values.items()})

    @property
    def _fingerprint(self) -> str:
        return self.context.probe.fingerprint

    def _batch(self, rows: range, pl_module: MetricLearning) -> Tensor:
        # Bytes are moved, and made floats where the model is.
        return self.context.preprocessing(self.context.probe.pixels(rows).to(pl_module.device))

    def _embed_all(self, trainer: pl.Trainer, pl_module: MetricLearning, key: str) -> Tensor:
        parts = self.context.folder / "analysis" / f"embeddings-{key}.parts"
        count = len(self.context.probe)
        with shown_images(trainer, SHOWN, count) as progress:
            embeddings = embed_in_parts(
                pl_module.embedder,
                lambda rows: self._batch(rows, pl_module),
                count,
                parts,
                batch_size=self.batch_size,
                progress=progress,
            )
        shutil.rmtree(parts)
        return embeddings

    def _final_embeddings(self, trainer: pl.Trainer, pl_module: MetricLearning) -> Tensor:
        """Embeddings with the weights that were just written, kept under what they depend on."""
        network = LoadedNetwork(
            pl_module.embedder,
            self.context.preprocessing,
            self.context.distance,
            self.context.folder / "analysis",
            weights_key(pl_module.embedder),
        )
        key = embeddings_key(network, self.context.probe)
        result = load_or_compute(
            self.context.folder / "analysis",
            "embeddings",
            key,
            lambda: {"embeddings": self._embed_all(trainer, pl_module, key)},
        )
        return result["embeddings"]

    def _values(self, embeddings: Tensor, pl_module: MetricLearning) -> dict[str, float]:
        # Ties are settled in float64, which not every accelerator has.
        device = pl_module.device if pl_module.device.type == "cuda" else "cpu"
        properties = self.context.probe.properties.iloc[: len(embeddings)]
        return normalized_r_precision(
            embeddings,
            {str(name): properties[name] for name in properties},
            normalize=self.normalize,
            max_neighbors=self.max_neighbors,
            variance=self.variance,
            device=device,
        )

    def _write(self, trained: dict[str, float]) -> None:
        table = pd.DataFrame(
            {
                "property": list(trained),
                "untrained": [self._untrained.get(name) for name in trained],
                "trained": list(trained.values()),
            }
        )
        with whole_file(Path(self.context.folder) / TABLE) as temporary:
            table.to_csv(temporary, index=False)
        self.context.tracker.log_table("probe/nr_precision", table)
