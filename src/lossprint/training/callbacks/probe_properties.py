"""While it trains: which properties of the probe images the embedding clusters by."""

from typing import Unpack

import pandas as pd
import pytorch_lightning as pl

from lossprint.data.probe import ProbeSet
from lossprint.files import whole_file
from lossprint.metrics.properties import Variance
from lossprint.probing import (
    LoadedNetwork,
    Network,
    PropertySettings,
    make_embeddings,
    make_properties,
    probe_properties,
    properties_maximum,
)
from lossprint.probing.network import Preprocess
from lossprint.probing.settings import at_least
from lossprint.training.callbacks.probe_callback import ProbeCallback, Where
from lossprint.training.progress import shown_images

TABLE = "probe_properties.csv"


class ProbeProperties(ProbeCallback):
    """Measures the probe set's NR-Prec per property, now and then in a fit and with final weights.

    Logs `nr/<property>`, and with the final weights also
    `untrained/nr/<property>`, of the weights that the fit started from, and `nr_share/<property>`,
    the share of what is possible at most. The table
    `probe_properties.csv` (property, untrained, trained) lies in the folder. Final embeddings and
    values are kept where any later analysis looks.

    Args:
        probe, preprocessing, where: see `ProbeCallback`.
        images: how many of the probe images are looked at in between, the first ones; None for
            all. With initial and final weights it looks at all.
        batch_size: images at once.
        normalize, max_neighbors, variance: see `lossprint.metrics.normalized_r_precision`; what
            chance gives has standard deviation 1 unless the variance is "binomial", as published.

    Raises:
        ValueError: an option has a value that is not valid.
    """

    def __init__(
        self,
        probe: ProbeSet,
        preprocessing: Preprocess,
        *,
        images: int | None = 2000,
        batch_size: int = 256,
        normalize: bool = True,
        max_neighbors: int | None = None,
        variance: Variance = "hypergeometric",
        **where: Unpack[Where],
    ) -> None:
        super().__init__(probe, preprocessing, **where)
        at_least(3, images=images)
        at_least(1, batch_size=batch_size)
        self.images, self.batch_size = images, batch_size
        self.settings = PropertySettings(normalize, max_neighbors, variance)
        self._untrained: dict[str, float] = {}

    def look_first(self, network: Network, trainer: pl.Trainer) -> None:
        self._untrained = self._kept(network, trainer)

    def look(self, network: LoadedNetwork, trainer: pl.Trainer) -> dict[str, float]:
        with shown_images(trainer) as progress:
            embeddings = make_embeddings(
                *network.load(), self.probe, self.images, progress, batch_size=self.batch_size
            )
        return _named("nr", make_properties(embeddings, self.probe, self.settings))

    def look_last(self, network: LoadedNetwork, trainer: pl.Trainer) -> dict[str, float]:
        trained = self._kept(network, trainer)
        if trainer.is_global_zero:
            untrained = pd.Series(self._untrained, index=list(trained), dtype=float)
            table = pd.DataFrame({"untrained": untrained, "trained": pd.Series(trained)})
            table = table.rename_axis("property").reset_index()
            with whole_file(self.folder / TABLE) as temporary:
                table.to_csv(temporary, index=False)
        largest = properties_maximum(self.probe, self.settings)
        shares = {name: value / largest[name] for name, value in trained.items()}
        return (
            _named("nr", trained)
            | _named("nr_share", shares)
            | _named("untrained/nr", self._untrained)
        )

    def _kept(self, network: Network, trainer: pl.Trainer) -> dict[str, float]:
        with shown_images(trainer) as progress:
            return probe_properties(
                network, self.probe, self.settings, progress, batch_size=self.batch_size
            )


def _named(prefix: str, values: dict[str, float]) -> dict[str, float]:
    return {f"{prefix}/{name}": value for name, value in values.items()}
