"""What callbacks that look at a probe set share: when they look, at what, and where it goes."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypedDict, TypeVar, cast

import pytorch_lightning as pl
from pytorch_lightning.utilities import rank_zero_warn
from torch import nn

from lossprint.data.probe import ProbeSet
from lossprint.probing import KeptNetwork, LoadedNetwork, Network
from lossprint.probing.network import Preprocess
from lossprint.probing.settings import at_least, one_of
from lossprint.runs.tracker import Tracker
from lossprint.saliency.distances import DISTANCES
from lossprint.training.callbacks.trainer_tracker import TrainerTracker

Measured = TypeVar("Measured")


def _by_the_first(trainer: pl.Trainer, measure: Callable[[], Measured]) -> Measured:
    """What the first of several processes measures, told to all: the others wait for it.

    They hold the same weights, so that a second measurement would say the same.
    """
    measured = measure() if trainer.is_global_zero else None
    return cast(Measured, trainer.strategy.broadcast(measured))


class Where(TypedDict, total=False):
    """Options of `ProbeCallback`, which says what they mean."""

    embedder: Callable[[Any], nn.Module] | None
    distance: str
    folder: Path | str | None
    initial_folder: Path | str | None
    tracker: Tracker | None
    every_n_validations: int | None
    every_n_steps: int | None
    final: Literal["fit", "test"]


class ProbeCallback(pl.Callback):
    """Looks at a probe set with the embedder of any LightningModule.

    It looks at the initial weights when a fit starts, now and then during it, and at the final
    weights; what it computes of initial and final weights is kept by content.

    Args:
        probe: the images and what is known of them.
        preprocessing: from uint8 RGB [N, 3, S, S] to the embedder's input.
        embedder: gives the part of the module that makes embeddings [N, D] of images; by default
            the module's attribute `embedder`.
        distance: in which embeddings are compared: lp, lp_squared, cosine, dot or snr.
        folder: of pictures and tables, and in `analysis` of kept results; by default the trainer's.
        initial_folder: keeps the results of initial weights, which several fits may share; by
            default they are with the others.
        tracker: takes pictures besides the folder; by default the trainer's loggers.
        every_n_validations: it looks with every so many validations of a fit; None: with none.
        every_n_steps: it looks after every so many optimizer steps.
        final: the weights after the "fit" are final ones, and those of any test; or those of a
            "test" alone, which saves time where a test follows every fit.

    Raises:
        ValueError: an option has a value that is not valid, or the module has no such part.
    """

    def __init__(
        self,
        probe: ProbeSet,
        preprocessing: Preprocess,
        *,
        embedder: Callable[[Any], nn.Module] | None = None,
        distance: str = "cosine",
        folder: Path | str | None = None,
        initial_folder: Path | str | None = None,
        tracker: Tracker | None = None,
        every_n_validations: int | None = 1,
        every_n_steps: int | None = None,
        final: Literal["fit", "test"] = "fit",
    ) -> None:
        at_least(1, every_n_validations=every_n_validations, every_n_steps=every_n_steps)
        one_of(tuple(DISTANCES), distance=distance)
        one_of(("fit", "test"), final=final)
        self.probe, self.preprocessing, self.distance = probe, preprocessing, distance
        self.embedder, self.final = embedder, final
        self._folder, self._initial_folder, self._tracker = folder, initial_folder, tracker
        self.every_n_validations, self.every_n_steps = every_n_validations, every_n_steps
        self._validations = self._step = 0
        self._initial: tuple[str, str] | None = None  # key of the weights, folder of the results

    @abstractmethod
    def look_first(self, network: Network, trainer: pl.Trainer) -> None:
        """Look at the weights that training starts from; a continued one has their results."""

    @abstractmethod
    def look(self, network: LoadedNetwork, trainer: pl.Trainer) -> dict[str, float]:
        """Measure passing weights."""

    @abstractmethod
    def look_last(self, network: LoadedNetwork, trainer: pl.Trainer) -> dict[str, float]:
        """Measure final weights."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self.folder = Path(self._folder or trainer.log_dir or trainer.default_root_dir)
        self.tracker = self._tracker or TrainerTracker(trainer)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        _by_the_first(trainer, lambda: self._look_first(trainer, pl_module))

    def _look_first(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        network: Network = self._network(pl_module)
        if self._initial is None:
            self._initial = network.weights_key, str(network.cache)
        key, folder = self._initial
        if key != network.weights_key:  # a continued training has no initial weights any more
            network = KeptNetwork(key, self.distance, Path(folder))
        try:
            self.look_first(network, trainer)
        except FileNotFoundError as error:
            rank_zero_warn(f"{type(self).__name__} compares with no initial weights: {error}")

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Not at the end of the epoch: metrics logged there come up once more an epoch later.
        if self.every_n_validations is None or trainer.sanity_checking or trainer.state.fn != "fit":
            return
        self._validations += 1
        if self._validations % self.every_n_validations == 0:
            pl_module.log_dict(self._look(trainer, pl_module))

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *batch: Any
    ) -> None:
        before, self._step = self._step, trainer.global_step
        if self.every_n_steps and self._step // self.every_n_steps > before // self.every_n_steps:
            metrics = self._look(trainer, pl_module)
            pl_module.log_dict(metrics, logger=False)
            self._to_loggers(trainer, metrics)  # which Lightning tells of some steps only

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.final == "fit":
            self._to_loggers(trainer, self._look_last(trainer, pl_module))

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        pl_module.log_dict(self._look_last(trainer, pl_module))

    def _look(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, float]:
        return _by_the_first(trainer, lambda: self.look(self._network(pl_module), trainer))

    def _look_last(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, float]:
        return _by_the_first(trainer, lambda: self.look_last(self._network(pl_module), trainer))

    def state_dict(self) -> dict[str, Any]:
        return {"initial": self._initial, "validations": self._validations, "step": self._step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._initial = state_dict["initial"]
        self._validations, self._step = state_dict["validations"], state_dict["step"]

    def _network(self, pl_module: pl.LightningModule) -> LoadedNetwork:
        model = getattr(pl_module, "embedder", None)
        if self.embedder is not None:
            model = self.embedder(pl_module)
        if not isinstance(model, nn.Module):
            raise ValueError(
                f"{type(self).__name__} needs the part of {type(pl_module).__name__} that makes "
                "embeddings, e.g. embedder=lambda module: module.backbone"
            )
        # Weights that no fit has begun to change are initial ones.
        place = self._initial_folder if self._initial is None else None
        return LoadedNetwork.of(
            model,
            self.preprocessing,
            self.probe,
            distance=self.distance,
            cache=Path(place or self.folder / "analysis"),
        )

    @staticmethod
    def _to_loggers(trainer: pl.Trainer, metrics: Mapping[str, float]) -> None:
        for logger in trainer.loggers:
            logger.log_metrics(dict(metrics), step=trainer.global_step)
