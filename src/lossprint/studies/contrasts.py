"""Do losses, and families, differ by more than trainings of one loss do, by how much, and which?"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossprint.metrics import (
    LossContrast,
    family_contrast,
    image_groups,
    jackknife_values,
    loss_contrast,
    mean_over_images,
    training_corrected,
    unusable_runs,
)
from lossprint.metrics.statistics import holm
from lossprint.studies.columns import LOSS, LOSS_PAIR, RUN, empty, skipped, together
from lossprint.studies.embedding_similarity import compared_pairs
from lossprint.studies.map_agreement import agreement_of_pairs, correlation_left_out
from lossprint.studies.pairs import are_trained, replicates
from lossprint.studies.settings import StudySettings
from lossprint.studies.study import Results, Study, Tables

LEADING = ("correlation", "cka")
"""Measures whose contrasts of losses are the two questions asked in advance."""

COLUMNS = (
    *("measure", "contrast", "replicates", "losses", "seeds", "within", "between"),
    *("between_low", "between_high"),
    *("share", "share_low", "share_high", "rho", "rho_low", "rho_high", "rho_untrained"),
    "detectable_rho",
    *("statistic", "p", "smallest_p", "tests", "p_adjusted"),
)

TABLES: Tables = {
    # `contrast` is "loss" or "family"; `seeds` the fewest replicates that a loss has; `p_adjusted`
    # is corrected for the `tests` it stands among: the leading ones, or the rest. Where no loss
    # was trained twice, `between` of the leading measures has an interval over images.
    # `rho_untrained`: mean ρ of trained losses with untrained networks, for the leading measures:
    # how far from 1 a ρ can be expected to lie where training changes no more than here.
    "contrasts": COLUMNS,
    # Mean ρ of each loss with the others, and the p of its standing out.
    "odd_losses": ("measure", *LOSS, "rho", "p"),
    # ρ of every two losses by the leading measures, NaN where training noise is not known.
    "corrected_by_loss": (*LOSS_PAIR, *LEADING),
}


def compute(study: Study) -> Results:
    """Contrast the maps and embeddings of a study's networks."""
    lineages = {
        network.loss: f"{network.family}: {network.lineage or network.loss}"
        for network in study.networks
    }
    agreement, similarity = study.table("agreement"), study.table("similarity")
    once = len(agreement) and not replicates(agreement)
    fewer_images = _fewer_images(study) if once else {}
    collapsed = collapsed_runs(study)
    return contrasts(agreement, similarity, lineages, collapsed, study.settings, fewer_images)


def _fewer_images(study: Study) -> dict[str, NDArray[np.float64]]:
    """Likeness of pairs without each group of images, [P, G], by the leading measures."""
    pairs = agreement_of_pairs(study.networks, study.map_keys, study.maps)
    images = len(study.map_rows)
    groups = image_groups(images, study.designs(images))
    similar = [found["cka_left_out"].numpy() for found in compared_pairs(study).values()]
    return {"correlation": correlation_left_out(pairs, groups), "cka": np.array(similar)}


def collapsed_runs(study: Study) -> set[str]:
    """Names of the runs whose embeddings are collapsed."""
    geometry = study.table("geometry")
    return set(geometry.loc[geometry["collapsed"].astype(bool), "run"])


def contrasts(
    agreement: pd.DataFrame,
    similarity: pd.DataFrame,
    lineages: Mapping[str, str],
    collapsed: set[str],
    settings: StudySettings,
    fewer_images: Mapping[str, NDArray[np.float64]] | None = None,
) -> dict[str, pd.DataFrame]:
    """Contrast losses and families by every measure of likeness; none without two trained losses.

    Maps are alike by their correlation or by 1 − divergence / log 2, embeddings by debiased CKA or
    by the share of neighbours in common.

    Args:
        agreement, similarity: pairs of runs.
        lineages: of each loss; close variants of a loss are one unit where families are contrasted.
        collapsed: names of runs whose embeddings are collapsed; they are left out.
        settings: draws and seed.
        fewer_images: likeness of the pairs without each group of images, [P, G], by measure.

    Returns:
        The tables of this study, and `skipped`: runs that are left out, with the reason.
    """
    options = {"draws": settings.draws, "seed": settings.seed}
    rows, odd, rho, gaps = [], [], {}, []
    for pairs, measure, what in (
        (agreement, "correlation", "maps"),
        (similarity, "cka", "embeddings"),
        (_alike(agreement), "likeness", "maps"),
        (similarity, "neighbor_overlap", "embeddings"),
    ):
        runs = ComparedRuns.of(pairs, measure)
        if runs is None:
            continue
        if measure in LEADING:
            gaps += left_out(runs, what, collapsed)
        runs = runs.usable(collapsed)
        if len(runs.families) < 2:
            continue
        name = "divergence" if measure == "likeness" else measure
        found = loss_contrast(*runs.labelled, stratum=runs.strata, **options)
        rows.append(_loss_row(name, runs, found))
        if fewer_images and measure in fewer_images:
            low, high = _between_over_images(pairs, measure, fewer_images[measure], runs.names)
            rows[-1] |= {"between_low": low, "between_high": high}
        if measure in LEADING:
            rows[-1]["rho_untrained"] = _rho_untrained(pairs, measure, runs)
            odd += [
                [measure, loss, runs.families[loss], value, p]
                for loss, value, p in zip(found.losses, found.rho_of, found.p_of, strict=True)
            ]
            rho[measure] = _by_pair(runs, found)
        if len({*runs.families.values()}) > 1:
            family = family_contrast(
                *runs.labelled,
                family=runs.families,
                lineage={loss: lineages.get(loss, loss) for loss in runs.families},
                stratum=runs.strata,
                **options,
            )
            tested = {key: getattr(family, key) for key in ("statistic", "p", "smallest_p")}
            rows.append(_row(name, "family", runs) | tested)
    return {
        "contrasts": adjusted(pd.DataFrame(rows, columns=list(COLUMNS[:-2]))),
        "odd_losses": pd.DataFrame(odd, columns=list(TABLES["odd_losses"])),
        "corrected_by_loss": _corrected(rho),
        "skipped": together(gaps),
    }


def against_noise(
    pairs: pd.DataFrame, measure: str, collapsed: set[str], settings: StudySettings
) -> dict[str, object] | None:
    """The contrast of losses by any other likeness of pairs of runs, as the leading ones are made.

    Args: as for `contrasts`, with a table of pairs that has the column `measure`.

    Returns:
        A row of the table `contrasts`; None without two losses.
    """
    runs = ComparedRuns.of(pairs, measure)
    if runs is None or len((runs := runs.usable(collapsed)).families) < 2:
        return None
    options = {"draws": settings.draws, "seed": settings.seed}
    return _loss_row(measure, runs, loss_contrast(*runs.labelled, stratum=runs.strata, **options))


@dataclass(frozen=True)
class ComparedRuns:
    """The runs of a table of pairs, and how alike they are.

    Attributes:
        likeness: [R, R], NaN where a pair is missing, 1 on the diagonal.
        table: [R rows] with the columns `RUN`.
        varying: "seed", "fold" or "", see `lossprint.studies.pairs.replicates`.
    """

    likeness: NDArray[np.float64]
    table: pd.DataFrame
    varying: str

    @classmethod
    def of(cls, pairs: pd.DataFrame, measure: str, *, controls: bool = False) -> Self | None:
        """Without controls, unless they are asked for; None where there are no two runs."""
        chosen = pairs if controls else pairs[are_trained(pairs)]
        if chosen.empty:
            return None
        sides = [
            chosen[[f"{column}_{side}" for column in RUN]].set_axis(RUN, axis="columns")
            for side in "ab"
        ]
        runs = pd.concat(sides).drop_duplicates("run")
        place = {run: position for position, run in enumerate(runs["run"])}
        likeness = np.full((len(runs), len(runs)), np.nan)
        np.fill_diagonal(likeness, 1.0)
        a, b = chosen["run_a"].map(place).to_numpy(int), chosen["run_b"].map(place).to_numpy(int)
        likeness[a, b] = likeness[b, a] = chosen[measure].to_numpy(float)
        return cls(likeness, runs, replicates(pairs))

    @property
    def names(self) -> list[str]:
        """[R]."""
        return self.table["run"].tolist()

    @property
    def families(self) -> dict[str, str]:
        """By loss."""
        return dict(zip(self.table["loss"], self.table["family"], strict=True))

    @property
    def replicate(self) -> pd.Series:
        """[R] the seed, or the fold where the trainings of a loss differ in that alone."""
        return self.table["fold" if self.varying == "fold" else "seed"]

    @property
    def strata(self) -> NDArray:
        """[R] what keeps runs apart: the fold, where seeds differ."""
        return self.table["fold"].to_numpy() * (self.varying != "fold")

    @property
    def labelled(self) -> tuple[NDArray[np.float64], NDArray, NDArray]:
        """Likeness, loss and replicate, as the statistics take them."""
        return self.likeness, self.table["loss"].to_numpy(str), self.replicate.to_numpy()

    @property
    def fewest(self) -> int:
        """Replicates of the loss that has the fewest."""
        return int(self.replicate.groupby(self.table["loss"]).nunique().min())

    def without(self, names: Collection[str]) -> "ComparedRuns":
        """The same without the runs of these names."""
        kept = ~self.table["run"].isin(names).to_numpy()
        return replace(self, likeness=self.likeness[np.ix_(kept, kept)], table=self.table[kept])

    def usable(self, collapsed: set[str]) -> "ComparedRuns":
        """The same without collapsed runs and those whose likeness is not finite."""
        runs = self.without(collapsed)
        return runs.without([runs.names[row] for row in unusable_runs(runs.likeness)])


def left_out(runs: ComparedRuns, what: str, collapsed: set[str]) -> list[pd.DataFrame]:
    """Rows of `skipped` for the runs that take no part in a contrast, and why."""
    remaining = runs.without(collapsed)
    constant = [remaining.names[row] for row in unusable_runs(remaining.likeness)]
    part = f"the contrast of {what}"
    return [
        *(
            skipped(part, "its embeddings are collapsed: they use few directions", run=run)
            for run in runs.names
            if run in collapsed
        ),
        *(
            skipped(part, f"its {what} are constant or zero: like no other", run=r)
            for r in constant
        ),
    ]


def _alike(agreement: pd.DataFrame) -> pd.DataFrame:
    """Likeness by divergence: 1 where two maps are one, 0 where they share nothing."""
    return agreement.assign(likeness=1 - agreement["divergence"].astype(float) / np.log(2))


def _row(measure: str, contrast: str, runs: ComparedRuns) -> dict[str, object]:
    return dict.fromkeys(COLUMNS[:-2], np.nan) | {
        "measure": measure,
        "contrast": contrast,
        "replicates": runs.varying or "seed",
        "losses": len(runs.families),
        "seeds": runs.fewest,
    }


def _loss_row(measure: str, runs: ComparedRuns, found: LossContrast) -> dict[str, object]:
    between = found.between
    if not np.isfinite(between):
        # Without a second training of a loss, what can be said is how alike losses are.
        losses = runs.labelled[1]
        apart = losses[:, None] != losses
        between = float(np.mean(runs.likeness[apart]))
    same = (
        *("within", "share", "share_low", "share_high"),
        *("detectable_rho", "statistic", "p", "smallest_p"),
    )
    return _row(measure, "loss", runs) | {
        **{name: getattr(found, name) for name in same},
        "between": between,
        "rho": found.mean_rho,
        "rho_low": found.mean_rho_low,
        "rho_high": found.mean_rho_high,
    }


def _rho_untrained(pairs: pd.DataFrame, measure: str, trained: ComparedRuns) -> float:
    """Geometric mean of ρ of the losses with the control; NaN without two trainings of each."""
    runs = ComparedRuns.of(pairs, measure, controls=True)
    if runs is None:
        return float("nan")
    table = runs.table
    runs = runs.without({*table.loc[table["family"] != "control", "run"]} - {*trained.names})
    control = np.array([runs.families[loss] == "control" for loss in np.unique(runs.labelled[1])])
    rho = training_corrected(*runs.labelled, stratum=runs.strata)[control][:, ~control]
    known = rho[np.isfinite(rho)]
    return float(np.exp(np.log(known).mean())) if len(known) else float("nan")


def _between_over_images(
    pairs: pd.DataFrame, measure: str, left_out: NDArray[np.float64], names: Sequence[str]
) -> tuple[float, float]:
    """Interval of the mean likeness of two losses, of runs of these names, over images."""
    chosen = (
        pairs["run_a"].isin(names)
        & pairs["run_b"].isin(names)
        & (pairs["loss_a"] != pairs["loss_b"])
    ).to_numpy()
    whole = pairs.loc[chosen, measure].to_numpy(float).mean()
    _, low, high = mean_over_images(jackknife_values(whole, left_out[chosen].mean(0)))
    return low, high


def _by_pair(runs: ComparedRuns, found: LossContrast) -> pd.Series:
    """ρ of every two losses, by the columns `LOSS_PAIR`."""
    rows = {
        (a, runs.families[a], b, runs.families[b]): found.rho[i, j]
        for i, a in enumerate(found.losses)
        for j, b in enumerate(found.losses[: i + 1])
    }
    return pd.Series(rows, dtype=float).rename_axis(list(LOSS_PAIR))


def _corrected(rho: Mapping[str, pd.Series]) -> pd.DataFrame:
    if not rho:
        return empty(TABLES["corrected_by_loss"])
    return pd.DataFrame({measure: rho.get(measure) for measure in LEADING}).reset_index()


def adjusted(contrasts: pd.DataFrame) -> pd.DataFrame:
    """Add `tests` and `p_adjusted`, by Holm: over the leading questions, and over all others."""
    leading = contrasts["measure"].isin(LEADING) & (contrasts["contrast"] == "loss")
    p = contrasts["p"].astype(float)
    tests, corrected = pd.Series(0, contrasts.index), p.copy()
    for group in (leading, ~leading):
        tests[group] = int(p[group].notna().sum())
        corrected[group] = holm(p[group].to_numpy())
    return contrasts.assign(tests=tests.clip(lower=1), p_adjusted=corrected)
