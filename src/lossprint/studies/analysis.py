"""The whole comparison: every piece of evidence, computed for the networks that can be used."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError

from lossprint.data.probe import ProbeSet
from lossprint.studies.columns import skipped, together
from lossprint.studies.matching import MatchedNetwork
from lossprint.studies.networks import Network
from lossprint.studies.settings import StudySettings
from lossprint.studies.study import Piece, Study

OnProgress = Callable[[str, int, int], None]
"""Called with what is under way, how many steps are done, and of how many."""

UNUSABLE = (ValueError, OSError, SafetensorError, RuntimeError, ArithmeticError)


@dataclass(frozen=True)
class Analysis:
    """What a comparison computed.

    Attributes:
        tables: by name, those of every piece of evidence and `skipped`.
        arrays: by name; pictures for the report.
        networks: that took part.
    """

    tables: dict[str, pd.DataFrame]
    arrays: dict[str, np.ndarray]
    networks: list[Network]


def analyse(
    networks: Sequence[Network],
    probe: ProbeSet,
    settings: StudySettings,
    pieces: Sequence[Piece],
    *,
    intervention_scenes: ProbeSet | None = None,
    matched: Sequence[MatchedNetwork] = (),
    left_out: pd.DataFrame | None = None,
    on_progress: OnProgress = lambda text, done, total: None,
) -> Analysis:
    """Compare networks: compute what is missing, read what is there.

    A network whose maps or embeddings cannot be computed is left out and named in the table
    `skipped`; the others are compared.

    Args:
        networks: controls among them.
        probe: images on which all are compared.
        settings: how much is looked at.
        pieces: of evidence, see `lossprint.studies.study.Piece`.
        intervention_scenes: scenes re-rendered with one property changed, see `ProbeSet`.
        matched: networks at equal retrieval.
        left_out: `run, part, reason` of runs that were left out before.
        on_progress: called at each step.

    Raises:
        ValueError: none of the networks can be used.
    """
    gaps = [] if left_out is None else [left_out]
    used: list[Network] = []
    names = [name for piece in pieces for name in piece.TABLES]
    done, steps = 0, len(networks) + len(names)

    def on_text(text: str) -> None:
        on_progress(text, done, steps)

    for network in networks:
        try:
            _check_usable(network, probe, settings, on_text)
            used.append(network)
        except UNUSABLE as error:
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            gaps.append(skipped("the whole run", reason, run=network.name))
        done += 1
    if not used:
        reasons = "; ".join(pd.concat(gaps)["reason"]) if gaps else "there are none"
        raise ValueError(f"no run can be analysed: {reasons}")

    study = Study(
        used,
        probe,
        settings,
        pieces,
        intervention_scenes=intervention_scenes,
        matched=matched,
        on_progress=on_text,
    )
    tables = {}
    for name in names:
        tables[name] = study.table(name)
        done += 1
    gaps += study.skipped
    tables["skipped"] = together(gaps)
    on_text("done")
    return Analysis(tables, study.arrays, used)


def _check_usable(
    network: Network, probe: ProbeSet, settings: StudySettings, on_text: Callable[[str], None]
) -> None:
    """Make a network's maps and embeddings unless they are there; raise if it has none."""
    alone = Study([network], probe, settings, on_progress=on_text)
    alone.on_images(network)("maps", 0, len(alone.map_rows))
    (_,), (embeddings,) = alone.maps, alone.embeddings
    if not torch.isfinite(embeddings).all():
        raise ValueError("its embeddings are not finite")
