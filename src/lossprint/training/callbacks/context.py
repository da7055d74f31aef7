"""What a callback that looks at the probe set is handed when the run is built."""

from dataclasses import dataclass
from pathlib import Path

from lossprint.data.probe import ProbeSet
from lossprint.data.transforms import Preprocessing
from lossprint.runs.tracker import Tracker


@dataclass(frozen=True, eq=False)
class ProbeContext:
    """The probe set and how this run's model sees it.

    A callback whose configuration says `_partial_: true` is finished by calling it with this as
    its only argument.

    Attributes:
        probe: the images and their properties.
        preprocessing: from `probe.pixels(rows)` to the embedder's input.
        distance: in which the run's loss compares embeddings.
        folder: of the run; pictures and tables go here.
        seed: of the run.
        tracker: takes pictures and tables besides the folder.
    """

    probe: ProbeSet
    preprocessing: Preprocessing
    distance: str
    folder: Path
    seed: int
    tracker: Tracker
