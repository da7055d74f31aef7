"""From a run on disk to the network it trained."""

from pathlib import Path

import torch
from torch import nn

from lossprint.data.transforms import Preprocessing
from lossprint.models.archives import read_state_dict
from lossprint.models.checkpoints import load_weights
from lossprint.models.embedder import build_embedder
from lossprint.runs.record import RunRecord


def load_run(
    record: RunRecord, network: nn.Module | None = None, *, weights_file: Path | None = None
) -> tuple[nn.Module, Preprocessing]:
    """The network of a run's best epoch, in eval mode, and what it expects of its input.

    Args:
        record: of a finished run.
        network: its architecture, which gets the weights in place; None builds the embedder that
            its configuration names.
        weights_file: of another epoch of the run, in place of the best one's.

    Raises:
        FileNotFoundError: the run has no weights or no configuration.
        ValueError: its weights do not fit its configuration.
    """
    weights_file = weights_file or record.weights_file
    if not weights_file.is_file():
        raise FileNotFoundError(f"{weights_file} is missing; train the run again with force=true")
    try:
        model = record.config()["model"]
        if network is None:
            network = build_embedder(
                model["name"],
                pretrained=False,
                embedding_size=model["embedding_size"],
                freeze_batchnorm=model["freeze_batchnorm"],
                seed=record.seed,
            ).to(memory_format=torch.channels_last)  # as it was trained
        preprocessing = Preprocessing(**model["preprocessing"])
        preprocessing(torch.zeros(3, 1, 1, dtype=torch.uint8))
    except (KeyError, TypeError, AttributeError, RuntimeError, OverflowError) as error:
        raise ValueError(f"{record.config_file} describes no model: {error!r}") from error
    except ValueError as error:
        raise ValueError(f"{record.config_file}: {error}") from error
    load_weights(network, read_state_dict(weights_file), source=weights_file)
    return network.eval(), preprocessing
