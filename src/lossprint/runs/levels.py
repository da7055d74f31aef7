"""A network's states at several levels of validation: runs compare at one that all reach."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from lossprint.runs.record import MONITOR
from lossprint.tensor_files import read_about, save_tensors

FEWEST = 2
"""States to keep: that of the lowest level and that of the highest."""


@dataclass(frozen=True)
class Level:
    """A state that was kept.

    Attributes:
        epoch: after which it was validated.
        value: its validation MAP@R.
        weights_file: of the embedder, safetensors.
    """

    epoch: int
    value: float
    weights_file: Path


def kept_levels(folder: Path | str) -> list[Level]:
    """The states in a folder, by epoch; none where it is not there. Unreadable files are no states.

    Args:
        folder: see `keep_level`.
    """
    levels = []
    for path in Path(folder).glob("epoch*.safetensors"):
        about = read_about(path)
        with suppress(KeyError, ValueError):
            levels.append(Level(int(about["epoch"]), float(about[MONITOR]), path))
    return sorted(levels, key=lambda level: level.epoch)


def keep_level(
    weights: Mapping[str, Tensor], folder: Path | str, *, epoch: int, value: float, at_most: int
) -> None:
    """Keep a state beside those of other levels, `at_most` of them: see `spread_out`.

    Args:
        weights: of the embedder, by name.
        folder: of the states of one run.
        epoch, value: see `Level`.
        at_most: at least two.
    """
    path = Path(folder) / f"epoch{epoch:04d}.safetensors"
    save_tensors(weights, path, {"epoch": str(epoch), MONITOR: repr(value)})
    levels = kept_levels(folder)
    kept = spread_out([level.value for level in levels], at_most)
    for place, level in enumerate(levels):
        if place not in kept:
            level.weights_file.unlink()


def spread_out(values: Sequence[float], at_most: int) -> set[int]:
    """Places of values that lie apart: again and again one goes whose two neighbours are nearest.

    The lowest and the highest stay.

    Example:
        >>> sorted(spread_out([0.1, 0.11, 0.5, 0.3], at_most=3))
        [0, 2, 3]
    """
    kept = sorted(range(len(values)), key=lambda place: values[place])
    while len(kept) > max(at_most, FEWEST):
        gaps = [
            values[after] - values[before] for before, after in zip(kept, kept[2:], strict=False)
        ]
        del kept[1 + gaps.index(min(gaps))]
    return set(kept)
