"""A comparison of networks that are at hand, without a configuration."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from torch import nn

from lossprint.apps.evidence import EVIDENCE
from lossprint.apps.methods import parameters
from lossprint.data.probe import ProbeSet
from lossprint.probing import LoadedNetwork, MapSettings
from lossprint.probing.network import Preprocess
from lossprint.probing.settings import one_of
from lossprint.reports.evidence import Evidence
from lossprint.reports.report import Report, write_report
from lossprint.runs.record import FAMILIES
from lossprint.saliency.distances import DISTANCES
from lossprint.studies.analysis import Analysis, OnProgress, analyse
from lossprint.studies.networks import Network
from lossprint.studies.settings import StudySettings

QUICK = StudySettings(name="quick", maps=MapSettings(images=48, samples=12))


@dataclass(frozen=True)
class Comparison:
    """What comparing networks found.

    Attributes:
        tables: by name, e.g. "agreement", "properties" and "similarity"; `skipped` names what could
            not be compared, with the reason.
        report: its answer, findings and files, `report.page` among them; None without a folder.
    """

    tables: Mapping[str, pd.DataFrame]
    report: Report | None


def compare(
    networks: Mapping[str, nn.Module | Sequence[nn.Module]],
    probe: ProbeSet,
    preprocessing: Preprocess,
    *,
    distance: str | Mapping[str, str] = "cosine",
    families: Mapping[str, str] = {},
    study: StudySettings = QUICK,
    folder: Path | str | None = None,
    on_progress: OnProgress = lambda text, done, total: None,
) -> Comparison:
    """Compare what networks look at in the probe images, and what they cluster them by.

    Args:
        networks: for each loss (or whatever tells them apart) the network it trained, images
            [N, 3, S, S] → embeddings [N, D], or several that differ in their seed: with two of
            each it is tested whether losses differ by more than trainings do. They are used where
            they are and stay as they are.
        probe: images on which all are compared.
        preprocessing: from uint8 RGB [N, 3, S, S] to the networks' input.
        distance: in which embeddings are compared, of all networks or by name.
        families: "ranking", "classification" or "control" by name; "ranking" where it is not told.
        study: how much is looked at.
        folder: gets the report, and what is computed of each network, which the next comparison
            there finds; None makes tables alone and keeps nothing.
        on_progress: called at each step.

    Raises:
        ValueError: there is no network that can be compared, something in `networks` is none, or a
            family or distance is unknown.
    """
    if folder is None:
        with TemporaryDirectory() as kept:
            made = _networks(networks, probe, preprocessing, distance, families, Path(kept))
            return Comparison(_analysed(made, probe, study, on_progress).tables, None)
    folder = Path(folder)
    made = _networks(networks, probe, preprocessing, distance, families, folder / "kept")
    analysis = _analysed(made, probe, study, on_progress)
    report = write_report(
        folder,
        Evidence(analysis.tables, analysis.arrays, study.described()),
        [piece.section for piece in EVIDENCE],
        title="Losses compared",
        subtitle=f"{len(networks)} losses, {len(made)} networks, {len(probe)} probe images",
        methods=parameters(analysis.networks, probe, study, []),
    )
    return Comparison(analysis.tables, report)


def _analysed(
    networks: list[Network], probe: ProbeSet, study: StudySettings, on_progress: OnProgress
) -> Analysis:
    pieces = [piece.study for piece in EVIDENCE]
    return analyse(networks, probe, study, pieces, on_progress=on_progress)


def _networks(
    networks: Mapping[str, nn.Module | Sequence[nn.Module]],
    probe: ProbeSet,
    preprocessing: Preprocess,
    distance: str | Mapping[str, str],
    families: Mapping[str, str],
    cache: Path,
) -> list[Network]:
    made = []
    for name, seed, model in _each(networks):
        own = distance if isinstance(distance, str) else distance.get(name, "cosine")
        one_of(tuple(DISTANCES), distance=own)
        family = families.get(name, "ranking")
        one_of(FAMILIES, family=family)
        network = LoadedNetwork.of(model, preprocessing, probe, distance=own, cache=cache)
        made.append(
            Network(
                name=f"{name}/seed{seed}",
                loss=name,
                family=family,
                distance=own,
                fold=0,
                seed=seed,
                weights_key=network.weights_key,
                cache=cache,
                load=network.load,
            )
        )
    return made


def _each(
    networks: Mapping[str, nn.Module | Sequence[nn.Module]],
) -> Iterator[tuple[str, int, nn.Module]]:
    if not isinstance(networks, Mapping) or not networks:
        raise ValueError('networks must map names to networks, e.g. {"triplet": network}')
    for name, of_name in networks.items():
        models = [of_name] if isinstance(of_name, nn.Module) else list(of_name)
        for seed, model in enumerate(models):
            if not isinstance(model, nn.Module):
                kind = type(model).__name__
                raise ValueError(f"networks[{name!r}] is a {kind}, not a torch.nn.Module")
            yield name, seed, model
