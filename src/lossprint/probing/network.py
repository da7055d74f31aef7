"""What is probed: a network, what it expects of its input, and where its results are kept."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Protocol, Self

import safetensors.torch
import torch
from torch import Tensor, nn

from lossprint.data.probe import ProbeSet
from lossprint.data.transforms import Preprocessing
from lossprint.models.checkpoints import weights_of
from lossprint.runs.cache import KEY_LENGTH, content_key
from lossprint.tensor_files import load_tensors

Preprocess = Callable[[Tensor], Tensor]
"""uint8 RGB [N, 3, H, W] to the network's input."""

Load = Callable[[], tuple[nn.Module, Preprocess]]


class Network(Protocol):
    """A network whose results are kept.

    Attributes:
        weights_key: content of its weights, see `weights_key`; results are kept under it.
        distance: that its embeddings are compared in; saliency differentiates it.
        cache: folder of its results.
        load: gives images [N, 3, H, W] → embeddings [N, D] on the device it shall compute on, and
            what it expects of its input; called only where a result is missing.
    """

    @property
    def weights_key(self) -> str: ...
    @property
    def distance(self) -> str: ...
    @property
    def cache(self) -> Path: ...
    @property
    def load(self) -> Load: ...


@dataclass(frozen=True, eq=False)
class LoadedNetwork:
    """A `Network` that is in memory already: it is asked where it is, and stays as it is."""

    model: nn.Module
    preprocessing: Preprocess
    distance: str
    cache: Path
    weights_key: str

    @classmethod
    def of(
        cls,
        model: nn.Module,
        preprocessing: Preprocess,
        probe: ProbeSet,
        *,
        distance: str,
        cache: Path,
    ) -> Self:
        """The network as it is now: its key is of today's weights, and of its preprocessing.

        With a `Preprocessing` it is the key of a run's weights file, since a run has but one;
        what any other function does is told by what it makes of the first probe image.
        """
        key = weights_key(model)
        if not isinstance(preprocessing, Preprocessing):
            key = content_key(key, preprocessing(probe.pixels(range(1))))
        return cls(model, preprocessing, distance, cache, key)

    @property
    def load(self) -> Load:
        return lambda: (self.model, self.preprocessing)


@dataclass(frozen=True, eq=False)
class KeptNetwork:
    """A `Network` that is not there any more: what is not kept cannot be made."""

    weights_key: str
    distance: str
    cache: Path

    def load(self) -> NoReturn:
        raise FileNotFoundError(
            f"{self.cache} keeps no such result of the network with weights {self.weights_key}"
        )


def weights_key(model: nn.Module) -> str:
    """Of a network's weights; `weights_file_key` of the file that they are saved as."""
    return _state_key(weights_of(model))


def weights_file_key(path: Path | str) -> str:
    """Of the weights that a safetensors file holds, whatever is written beside them.

    Raises:
        FileNotFoundError, ValueError: see `lossprint.tensor_files.load_tensors`.
    """
    return _state_key(load_tensors(path))


def _state_key(state: Mapping[str, Tensor]) -> str:
    return hashlib.sha256(safetensors.torch.save(dict(state))).hexdigest()[:KEY_LENGTH]


def fastest_device() -> torch.device:
    """The GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
