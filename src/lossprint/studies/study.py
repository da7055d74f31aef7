"""What a piece of evidence is computed from, and what it owes: see CONTRIBUTING.md."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
from torch import Tensor

from lossprint.data.probe import ProbeSet
from lossprint.probing import (
    ImagesDone,
    embeddings_key,
    map_rows,
    maps_key,
    probe_embeddings,
    probe_maps,
)
from lossprint.studies.matching import MatchedNetwork
from lossprint.studies.networks import Network
from lossprint.studies.settings import StudySettings

Tables = Mapping[str, tuple[str, ...]]
"""Columns by the name of the table."""

DESIGN = "model"
"""The property that a network was trained to tell apart, where a probe set names it: renders of one
design are no independent images."""

Results = Mapping[str, pd.DataFrame | np.ndarray]
"""Tables and arrays by name."""


class Piece(Protocol):
    """A module of this package, or anything with these two names.

    `TABLES` names the tables it makes with their columns; `compute` returns every one of them,
    without rows where there is nothing to say. It may return arrays under further names (pictures
    for the report), and a table `skipped` of what could not be computed, see
    `lossprint.studies.columns.skipped`.
    """

    TABLES: Tables

    def compute(self, study: "Study", /) -> Results: ...


class Study:
    """Networks and what is known of them; tables are computed when they are first asked for.

    Args:
        networks: L of them; controls have the family "control".
        probe: images on which all are compared.
        settings: how much is looked at.
        pieces: of evidence. One may ask for the tables of another, in whatever order they stand.
        intervention_scenes: scenes re-rendered with one property changed, see `ProbeSet`; None
            where there are none.
        matched: the networks of runs at equal retrieval, where they are to be compared too.
        on_progress: called with what is under way.

    Raises:
        ValueError: two pieces make a table of the same name.
    """

    def __init__(
        self,
        networks: Sequence[Network],
        probe: ProbeSet,
        settings: StudySettings,
        pieces: Sequence[Piece] = (),
        *,
        intervention_scenes: ProbeSet | None = None,
        matched: Sequence[MatchedNetwork] = (),
        on_progress: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.networks = list(networks)
        self.probe = probe
        self.settings = settings
        self.intervention_scenes = intervention_scenes
        self.matched = matched
        self.on_progress = on_progress
        self.tables: dict[str, pd.DataFrame] = {}
        self.arrays: dict[str, np.ndarray] = {}
        self.skipped: list[pd.DataFrame] = []
        self._under_way: dict[str, Piece] = {}
        self._makers: dict[str, Piece] = {}
        for piece in pieces:
            for name in piece.TABLES:
                if name in self._makers or name == "skipped":
                    raise ValueError(f"two pieces of evidence make a table {name!r}")
                self._makers[name] = piece

    @property
    def map_rows(self) -> range:
        """The probe images that have maps: the first ones."""
        return map_rows(self.probe, self.settings.maps)

    def designs(self, images: int | None = None) -> np.ndarray | None:
        """A number for the design that each of the first images shows, or of all probe images.

        None: the set names no designs.
        """
        found = self.probe.properties.get(DESIGN)
        if found is None:
            return None
        codes = pd.factorize(found)[0]
        codes = np.where(codes >= 0, codes, -1 - np.arange(len(codes)))  # unknown: each its own
        return codes[:images]

    @cached_property
    def map_keys(self) -> list[str]:
        """Of what each network's maps depend on."""
        return [maps_key(network, self.probe, self.settings.maps) for network in self.networks]

    @cached_property
    def maps(self) -> list[Path]:
        """For each network the file of its maps [N, H, W]; see `read_maps`."""
        return [
            probe_maps(network, self.probe, self.settings.maps, self.on_images(network))
            for network in self.networks
        ]

    @cached_property
    def embeddings_keys(self) -> list[str]:
        """Of what each network's embeddings depend on."""
        return [embeddings_key(network, self.probe) for network in self.networks]

    @cached_property
    def embeddings(self) -> list[Tensor]:
        """Each network's embeddings of the probe images, [N, D] float32, not normalized."""
        return [
            probe_embeddings(network, self.probe, self.on_images(network))
            for network in self.networks
        ]

    def on_images(self, network: Network) -> ImagesDone:
        """Reports the images that are done of one network as progress."""
        return lambda what, done, total: self.on_progress(
            f"{what} of {network.name}: {done:,}/{total:,} images"
        )

    def table(self, name: str) -> pd.DataFrame:
        """A table by its name, computed first if it is not there yet.

        Raises:
            ValueError: no piece of this study makes it, or it is needed to make itself.
        """
        if name not in self.tables:
            if name not in self._makers:
                known = ", ".join(self._makers) or "none"
                raise ValueError(f"no piece of evidence makes a table {name!r}; there are: {known}")
            piece = self._makers[name]
            if any(piece is other for other in self._under_way.values()):
                raise ValueError(f"evidence in a circle: {' → '.join([*self._under_way, name])}")
            self._under_way[name] = piece
            self._take(piece)
            del self._under_way[name]
        return self.tables[name]

    def _take(self, piece: Piece) -> None:
        self.on_progress(", ".join(piece.TABLES))
        results = dict(piece.compute(self))
        gaps = results.pop("skipped", None)
        if isinstance(gaps, pd.DataFrame):
            self.skipped.append(gaps)
        for name, columns in piece.TABLES.items():
            table = results.pop(name, None)
            if not isinstance(table, pd.DataFrame):
                raise TypeError(f"the evidence for {name!r} returned no table of this name")
            if missing := [column for column in columns if column not in table.columns]:
                raise ValueError(
                    f"table {name!r} lacks the column(s) {', '.join(missing)}; it needs "
                    f"{', '.join(columns)}"
                )
            self.tables[name] = table
        for name, array in results.items():
            if not isinstance(array, np.ndarray):
                raise TypeError(f"table {name!r} is not among {', '.join(piece.TABLES)}")
            self.arrays[name] = array
