"""The whole comparison: both steps of the study for all networks, as tidy tables."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors import SafetensorError
from torch import Tensor

from lossprint.data.probe import ProbeSet
from lossprint.probing import (
    ImagesDone,
    embeddings_key,
    map_rows,
    maps_key,
    probe_embeddings,
    probe_maps,
    probe_properties,
)
from lossprint.studies.contrasts import COLUMNS as CONTRAST_COLUMNS
from lossprint.studies.contrasts import adjusted, family_contrast, loss_contrast
from lossprint.studies.embedding_similarity import (
    similarity_by_loss,
    similarity_of_pairs,
    similarity_table,
)
from lossprint.studies.family_tests import property_families
from lossprint.studies.galleries import galleries
from lossprint.studies.intervals import by_loss
from lossprint.studies.interventions import intervention_table
from lossprint.studies.map_agreement import (
    agreement_by_loss,
    agreement_of_pairs,
    agreement_table,
    disagreement_by_image,
)
from lossprint.studies.property_clustering import property_table
from lossprint.studies.retrieval import curves_table, retrieval_table
from lossprint.studies.saliency_shares import share_table
from lossprint.studies.settings import StudySettings
from lossprint.studies.subjects import Subject, runs_table

Progress = Callable[[str, int, int], None]
"""Told what is under way, and how many of how many steps are done."""

UNUSABLE = (ValueError, OSError, SafetensorError, RuntimeError, ArithmeticError)


@dataclass(frozen=True)
class Analysis:
    """What a comparison computed.

    Attributes:
        tables: by name, see `lossprint.reports.evidence` for what they hold.
        galleries: fields of each gallery.
        subjects: the networks that took part.
    """

    tables: dict[str, pd.DataFrame]
    galleries: list[Mapping[str, Any]]
    subjects: list[Subject] = field(default_factory=list)


def analyse(
    subjects: Sequence[Subject],
    probe: ProbeSet,
    settings: StudySettings,
    *,
    interventions: ProbeSet | None = None,
    skipped: pd.DataFrame | None = None,
    progress: Progress = lambda text, done, total: None,
) -> Analysis:
    """Compare networks: compute what is missing, read what is there.

    A network whose maps or embeddings cannot be computed is left out and named in the table
    `skipped`; the others are compared.

    Args:
        subjects: networks, controls among them.
        probe: images on which all are compared.
        settings: how much is looked at.
        interventions: scenes re-rendered with one property changed, see `ProbeSet`.
        skipped: `run, part, reason` of runs that were left out before.
        progress: told of each step.

    Raises:
        ValueError: none of the networks can be used.
    """
    left_out = [] if skipped is None else [skipped]
    used: list[Subject] = []
    files: list[Path] = []
    embeddings: list[Tensor] = []
    values: list[dict[str, float]] = []
    steps = len(subjects) + 3
    for done, subject in enumerate(subjects):
        images = _step(progress, subject, done, steps)
        images("maps", 0, len(map_rows(probe, settings.maps)))
        try:
            found = (
                probe_maps(subject, probe, settings.maps, images),
                probe_embeddings(subject, probe, images),
                probe_properties(subject, probe, settings.properties),
            )
        except UNUSABLE as error:
            left_out.append(_left_out(subject, error))
            continue
        used.append(subject)
        for kept, value in zip((files, embeddings, values), found, strict=True):
            kept.append(value)  # type: ignore[attr-defined]
    if not used:
        reasons = "; ".join(pd.concat(left_out)["reason"]) if left_out else "there are none"
        raise ValueError(f"no run can be analysed: {reasons}")

    progress("pairs of runs", len(subjects), steps)
    agreement = agreement_of_pairs(
        used, [maps_key(subject, probe, settings.maps) for subject in used], files
    )
    similarity = similarity_of_pairs(
        used,
        [embeddings_key(subject, probe) for subject in used],
        embeddings,
        neighbors=min(settings.neighbors, len(probe) - 1),
    )
    properties = property_table(used, values)
    retrieval = retrieval_table(used)
    shares, share_gap = share_table(used, files, probe, map_rows(probe, settings.maps))
    moved, moved_gap = intervention_table(
        used, interventions, lambda subject: _step(progress, subject, len(subjects), steps)
    )
    left_out += [share_gap, moved_gap]

    progress("statistics", len(subjects) + 1, steps)
    agreements = agreement_table(used, agreement)
    similarities = similarity_table(used, similarity)
    frames = probe.properties.index[: len(map_rows(probe, settings.maps))]
    disagreement = disagreement_by_image(used, agreement, list(frames))
    tables = {
        "runs": runs_table(used),
        "retrieval": retrieval,
        "retrieval_by_loss": by_loss(retrieval, "metric"),
        "agreement": agreements,
        "agreement_by_loss": agreement_by_loss(used, agreement),
        "similarity": similarities,
        "similarity_by_loss": similarity_by_loss(similarities),
        "properties": properties,
        "properties_by_loss": by_loss(properties, "property"),
        "property_families": property_families(properties, seed=settings.seed),
        "shares_by_loss": by_loss(shares, "region", "area"),
        "interventions_by_loss": by_loss(moved, "property", "reference"),
        "contrasts": contrasts(agreements, similarities, retrieval, settings),
        "disagreement": disagreement,
        "curves": curves_table(used),
        "skipped": pd.concat(left_out, ignore_index=True),
    }
    progress("galleries", len(subjects) + 2, steps)
    pictures = galleries(
        disagreement, used, files, probe, images=len(frames), count=settings.gallery
    )
    progress("done", steps, steps)
    return Analysis(tables, pictures, used)


def _step(progress: Progress, subject: Subject, done: int, steps: int) -> ImagesDone:
    """Tell of the images within one network's step."""
    return lambda what, images, of: progress(
        f"{what} of {subject.run}: {images:,}/{of:,} images", done, steps
    )


def contrasts(
    agreement: pd.DataFrame,
    similarity: pd.DataFrame,
    retrieval: pd.DataFrame,
    settings: StudySettings,
) -> pd.DataFrame:
    """Contrast losses and families by every measure of likeness; none without two trained losses.

    The retrieval of two runs is unlike by the difference of their first metric.
    """
    options = {"draws": settings.draws, "seed": settings.seed}
    rows = []
    for pairs, measure, alike in (
        (agreement, "correlation", 1),
        (agreement, "divergence", -1),
        (similarity, "cka", 1),
        (similarity, "neighbor_overlap", 1),
        (_retrieval_pairs(agreement, retrieval), "retrieval", -1),
    ):
        trained = pairs[(pairs["family_a"] != "control") & (pairs["family_b"] != "control")]
        if len({*trained["loss_a"], *trained["loss_b"]}) < 2:
            continue
        rows.append(loss_contrast(pairs, measure, alike=alike, **options))
        if len({*trained["family_a"], *trained["family_b"]}) > 1:
            rows.append(family_contrast(pairs, measure, alike=alike, **options))
    return adjusted(pd.DataFrame(rows, columns=CONTRAST_COLUMNS))


def _retrieval_pairs(pairs: pd.DataFrame, retrieval: pd.DataFrame) -> pd.DataFrame:
    if retrieval.empty:
        return pairs.iloc[:0].assign(retrieval=[])
    first = retrieval[retrieval["metric"] == retrieval["metric"].iloc[0]]
    value = first.set_index("run")["value"].astype(float)
    apart = (pairs["run_a"].map(value) - pairs["run_b"].map(value)).abs()
    return pairs.assign(retrieval=apart)[apart.notna()]


def _left_out(subject: Subject, error: Exception) -> pd.DataFrame:
    reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return pd.DataFrame([{"run": subject.run, "part": "the whole run", "reason": reason}])
