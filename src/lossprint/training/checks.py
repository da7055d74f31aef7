"""What can be wrong with a configuration, found before anything is rendered or trained.

Everything here takes plain containers and raises ValueError naming the entry, its value and what
would be valid.
"""

import inspect
import math
from collections.abc import Mapping
from typing import Any

from lossprint.data.decoding import check_interpolation

OWN_TRAINER_KEYS = ("compile",)


def check_whole_number(name: str, value: Any, low: int, high: int | None = None) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or value < low or (high is not None and value > high):
        limits = f"of at least {low}" if high is None else f"from {low} to {high}"
        raise ValueError(f"{name}={value!r} must be a whole number {limits}")


def check_number(name: str, value: Any, low: float, *, open_below: bool = False) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < low or (open_below and value == low):
        bound = "greater than" if open_below else "at least"
        raise ValueError(f"{name}={value!r} must be a number {bound} {low:g}")


def check_flag(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise ValueError(f"{name}={value!r} must be true or false")


def check_keys(where: str, given: Mapping[str, Any], valid: tuple[str, ...] | list[str]) -> None:
    unknown = [key for key in given if key not in valid]
    if unknown:
        raise ValueError(f"unknown {where}{unknown[0]}; valid are {', '.join(sorted(valid))}")


def check_run(config: Mapping[str, Any]) -> None:
    """Check everything of a training's configuration that needs no data.

    Losses, models and data sets check their own entries when they are built.
    """
    check_whole_number("seed", config["seed"], 0, 2**31 - 1)
    check_whole_number("folds", config["folds"], 2)
    check_whole_number("fold", config["fold"], 0, config["folds"] - 1)
    check_flag("force", config["force"])
    check_flag("analyze", config["analyze"])
    check_flag("keep_checkpoints", config["keep_checkpoints"])
    if config["keep_levels"] != 0:
        check_whole_number("keep_levels", config["keep_levels"], 2)
    sampler, trainer = config["sampler"], config["trainer"]
    check_keys("sampler.", sampler, ["classes_per_batch", "samples_per_class", "batches"])
    check_whole_number("sampler.classes_per_batch", sampler["classes_per_batch"], 1)
    check_whole_number("sampler.samples_per_class", sampler["samples_per_class"], 1)
    if sampler["batches"] is not None:
        check_whole_number("sampler.batches", sampler["batches"], 1)
    # Imported here: what reads configurations has to be light, and this takes seconds.
    import pytorch_lightning as pl

    accepted = [name for name in inspect.signature(pl.Trainer).parameters if name != "self"]
    check_keys("trainer.", trainer, [*accepted, *OWN_TRAINER_KEYS])
    check_whole_number("trainer.max_epochs", trainer["max_epochs"], 1)
    check_whole_number("trainer.check_val_every_n_epoch", trainer["check_val_every_n_epoch"], 1)
    check_flag("trainer.compile", trainer["compile"])
    for name in ("lr", "embedding_lr_factor"):
        check_number(f"optimizer.{name}", config["optimizer"].get(name), 0, open_below=True)
    check_whole_number("model.embedding_size", config["model"]["embedding_size"], 1)
    if config["model"].get("interpolation") is not None:
        check_interpolation("model.interpolation", config["model"]["interpolation"])
    check_whole_number("data.size", config["data"]["size"], 16, 4096)
    for section in ("data", "probe"):
        size, short_side = config[section]["size"], config[section]["short_side"]
        if short_side < size:
            raise ValueError(
                f"{section}.short_side={short_side} is less than {section}.size={size}: images "
                f"would be made small and enlarged again; {section}.short_side={size}"
            )


def check_enough_classes(training_classes: int, classes_per_batch: int) -> None:
    if training_classes < classes_per_batch:
        raise ValueError(
            f"sampler.classes_per_batch={classes_per_batch}, but the fold trains on "
            f"{training_classes} classes"
        )
