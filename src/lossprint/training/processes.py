"""Several processes for one run, one a device: how many there are and what they cannot do."""

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.strategies import DDPStrategy
from pytorch_lightning.utilities import rank_zero_only
from torch import nn

from lossprint.data.sampler import check_shares

STRATEGIES = ("auto", "ddp")
PATIENCE = timedelta(hours=12)
"""How long processes wait for the first one, which alone measures the probe set."""


def is_first_process() -> bool:
    """Whether this process is the first, or the only one, of those that train a run."""
    return getattr(rank_zero_only, "rank", 0) == 0  # Lightning sets it on the function


def number_of_processes(trainer: Mapping[str, Any]) -> int:
    """How many processes a run has, by the section `trainer`.

    Raises:
        ValueError: there are no such devices, or a strategy that this project does not train with.
    """
    if trainer.get("strategy", "auto") not in STRATEGIES:
        raise ValueError(
            f"trainer.strategy={trainer['strategy']!r} must be one of {', '.join(STRATEGIES)}: "
            "spawned and forked processes cannot take over a run's callbacks, and sharded or "
            "pipelined ones do not hold all weights, which the probe set is measured with"
        )
    if trainer["devices"] in (1, "1") and trainer.get("num_nodes", 1) in (1, "1"):
        return 1
    names = ("accelerator", "devices", "num_nodes", "strategy")
    try:
        planned = pl.Trainer(
            **{name: trainer[name] for name in names if name in trainer},
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
    except (MisconfigurationException, ValueError, TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"trainer.devices={trainer['devices']!r}: {reason}") from error
    return planned.world_size


def check_processes(config: Mapping[str, Any], *, multirun: bool) -> None:
    """Raise unless the processes that a configuration asks for can train as one would.

    Args:
        config: of a training, in plain containers.
        multirun: whether it is one job of several.

    Raises:
        ValueError: as `number_of_processes`; a batch that they cannot share equally; a multirun in
            which each would have to start the others.
    """
    trainer = config["trainer"]
    processes = number_of_processes(trainer)
    if processes == 1:
        return
    sampler = config["sampler"]
    check_shares(sampler["classes_per_batch"], sampler["samples_per_class"], processes)
    if multirun and not _started_from_outside(processes):
        raise ValueError(
            f"trainer.devices={trainer['devices']!r} cannot go with --multirun: Lightning would "
            "start the whole sweep again in every process. Use trainer.devices=1 (one run a GPU, "
            "e.g. with hydra/launcher=submitit_slurm); or let SLURM start the processes, with "
            f"hydra.launcher.tasks_per_node={processes}; or train one loss at a time"
        )


def _started_from_outside(processes: int) -> bool:
    """Whether SLURM or torchrun has started all processes of this run."""
    started = (os.environ.get(name) for name in ("SLURM_NTASKS", "WORLD_SIZE"))
    return str(processes) in started


def check_batchnorm(network: nn.Module, *, processes: int, device_type: str) -> None:
    """Raise if BatchNorm would have other statistics in each process, and cannot share them.

    Raises:
        ValueError: BatchNorm learns statistics, in several processes on processors.
    """
    if processes > 1 and device_type == "cpu" and _learns_statistics(network):
        raise ValueError(
            "model.freeze_batchnorm=false cannot go with several processes on processors: each "
            "would normalize by its own share of the batch, and SyncBatchNorm needs GPUs. Use "
            "model.freeze_batchnorm=true or trainer.devices=1"
        )


def _learns_statistics(network: nn.Module) -> bool:
    return any(
        isinstance(module, nn.modules.batchnorm._BatchNorm) and module.training
        for module in network.modules()
    )


def strategy_for(network: nn.Module, processes: int, asked: str) -> dict[str, Any]:
    """Arguments of Lightning's trainer by which so many processes train as one would.

    Args:
        network: whose BatchNorm shares its statistics between processes unless it is frozen.
        processes: of the run.
        asked: the strategy of the configuration; DDP of one process is for trying it.
    """
    if processes == 1 and asked != "ddp":
        return {"strategy": asked}
    return {
        # A loss may use none of its own weights in a step.
        "strategy": DDPStrategy(find_unused_parameters=True, timeout=PATIENCE),
        "sync_batchnorm": _learns_statistics(network) and torch.cuda.is_available(),
    }
