"""Against training noise: do losses, and families, differ by more than trainings of one loss do?"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from lossprint.metrics.between_losses import seeds_needed
from lossprint.reports import figures
from lossprint.reports.evidence import Evidence
from lossprint.reports.findings import Finding, Verdict
from lossprint.reports.section import Column, Drawing, PrintedTable, Section
from lossprint.reports.style import readable
from lossprint.reports.tables import (
    number,
    pair_table,
    probability,
    with_image_interval,
    with_interval,
)
from lossprint.reports.wording import listing, p_value, sentence

LEADING = {"correlation": ("maps", "r"), "cka": ("embeddings", "CKA")}
"""What is compared by each leading measure, and the measure's name."""

_MEASURES = {
    "correlation": "maps, by correlation",
    "cka": "embeddings, by CKA",
    "divergence": "maps, by divergence",
    "neighbor_overlap": "embeddings, by neighbours",
}
_NAMED = 4  # losses that a sentence lists
_WEIGHTS = {"correlation": 10.0, "cka": 8.0}


def drawings(evidence: Evidence) -> Iterable[Drawing]:
    """Every pair of runs, by what the two share."""
    for name, measure, noun, called in (
        ("agreement", "correlation", "map", "correlation"),
        ("similarity", "cka", "embedding", "CKA"),
    ):
        if not evidence[name].empty:
            title = f"Pairs of runs: {noun} {called}"
            yield Drawing(
                f"{noun}_{measure}_distributions",
                f"Each point is a pair of runs, by what the two share: {noun} {called}.",
                figures.pair_distributions(evidence[name], measure, title=title),
            )


def tables(evidence: Evidence) -> Iterable[PrintedTable]:
    """One row per contrast, and ρ of every two losses."""
    contrasts = evidence["contrasts"]
    if contrasts.empty:
        return
    rows = [
        {
            "compared": _MEASURES[row["measure"]],
            "groups": {"loss": "losses", "family": "families"}[row["contrast"]],
            "two trainings of one": number(row["within"], 3),
            "two losses": with_image_interval(
                row["between"], row["between_low"], row["between_high"]
            ),
            "ρ": with_interval(row["rho"], row["rho_low"], row["rho_high"]),
            "the losses' share": with_interval(row["share"], row["share_low"], row["share_high"]),
            "ρ, trained and untrained": number(row["rho_untrained"], 3),
            "p": probability(row["p"]),
            "p, Holm": f"{probability(row['p_adjusted'])} of {row['tests']}",
            "least p possible": probability(row["smallest_p"]),
            "detectable ρ": number(row["detectable_rho"], 3),
        }
        for _, row in contrasts.iterrows()
    ]
    yield PrintedTable(
        "within_and_between",
        "Losses and families against the noise of training. ρ: how alike two losses are, 1 where "
        "they differ by training noise alone; the losses' share: of the disagreement of two "
        "losses, what is not there between two trainings of one; detectable ρ: what these numbers "
        "of losses and trainings show with 80 % power",
        pd.DataFrame(rows),
    )
    corrected = evidence["corrected_by_loss"]
    for measure, (noun, _) in LEADING.items():
        if not corrected.empty and corrected[measure].notna().any():
            caption = f"ρ of every two losses, {noun}: likeness corrected for training noise"
            yield PrintedTable(f"corrected_{noun}", caption, pair_table(corrected, measure))
    odd = evidence["odd_losses"]
    if not odd.empty and odd["rho"].notna().any():
        cells = odd.dropna(subset=["rho"]).assign(
            compared=lambda x: x["measure"].map(lambda m: LEADING[m][0]),
            **{"mean ρ with the others": lambda x: x["rho"].map(lambda v: number(v, 3))},
            **{"p of standing out": lambda x: x["p"].map(probability)},
        )
        yield PrintedTable(
            "losses_that_stand_out",
            "Each loss against the others; p corrected for their number",
            cells[["compared", "loss", "mean ρ with the others", "p of standing out"]],
        )


def leading_rows(contrasts: pd.DataFrame) -> list[pd.Series]:
    """Of a table of contrasts, which may be empty, those of the leading questions."""
    rows = (row for _, row in contrasts.iterrows())
    return [row for row in rows if row["contrast"] == "loss" and row["measure"] in LEADING]


def verdict(contrast: pd.Series, alpha: float) -> Verdict:
    """What a row of the contrasts lets one say at the level `alpha`."""
    # The least p must survive the correction, and a statistic that is not finite decides nothing.
    if not contrast["smallest_p"] * contrast["tests"] <= alpha or not np.isfinite(contrast["p"]):
        return Verdict.UNDECIDABLE
    return Verdict.DIFFERENT if contrast["p_adjusted"] <= alpha else Verdict.NOT_SHOWN


def standing_out(evidence: Evidence, measure: str) -> list[tuple[str, float]]:
    """Losses that stand out by a measure, with their mean ρ with the others, the oddest first."""
    odd = evidence["odd_losses"]
    if odd.empty:
        return []
    found = odd[(odd["measure"] == measure) & (odd["p"] <= evidence.alpha)].sort_values("rho")
    return list(zip(found["loss"], found["rho"].astype(float), strict=True))


def those_standing_out(odd: list[tuple[str, float]], losses: int) -> str:
    """`triplet (ρ = 0.90) stands out`, or how many do, where there are many."""
    named = [f"{readable(loss)} (ρ = {rho:.2f})" for loss, rho in odd]
    if len(odd) == losses:
        return f"every loss stands out, most {named[0]}"
    if len(odd) > _NAMED:
        return f"{len(odd)} of {losses} losses stand out, most {listing(named[:_NAMED])}"
    return f"{listing(named)} stand{'s' if len(odd) == 1 else ''} out"


def contrasted_losses(evidence: Evidence) -> list[str]:
    """The trained losses of which a network takes part in the contrasts: one not collapsed."""
    geometry = evidence["geometry"]
    if geometry.empty:
        return evidence.trained_losses()
    lost = geometry["collapsed"].astype(bool).groupby(geometry["loss"]).all()
    return [loss for loss in evidence.trained_losses() if not lost.get(loss, False)]


def deciding_words(evidence: Evidence) -> str | None:
    """What to add to the command of these runs so that both leading questions can be decided.

    Losses whose networks are all collapsed take no part. None where no training decides them.
    """
    runs, losses = evidence["runs"], contrasted_losses(evidence)
    trained = runs[runs["loss"].isin(losses)] if not runs.empty else runs
    if len(losses) < 2 or trained.empty or not (trained["source"] == "training").all():
        return None
    known = {int(seed) for seed in trained["seed"]}
    lacking = max(0, seeds_needed(len(losses), evidence.alpha / len(LEADING)) - len(known))
    more = [seed for seed in range(len(known) + lacking) if seed not in known][:lacking]
    words = f"seed={','.join(map(str, sorted([*known, *more])))}"
    if len(losses) < len(evidence.trained_losses()):
        words = f"loss={','.join(sorted(set(trained['config'])))} {words}"
    return words


def findings(evidence: Evidence) -> Iterable[Finding]:
    """One finding for each question that is decided, and one for all that are not."""
    contrasts = evidence["contrasts"]
    if contrasts.empty:
        return
    undecided: list[str] = []
    for _, row in contrasts.iterrows():
        found = verdict(row, evidence.alpha)
        if found is Verdict.UNDECIDABLE:
            undecided.append(_question(row))
        elif row["contrast"] == "loss" and row["measure"] in LEADING:
            yield _leading(evidence, row, found)
        elif found is Verdict.DIFFERENT:
            yield _secondary(row)
    if undecided:
        leading = {_question(row) for row in leading_rows(contrasts)}
        questions = [q for q in undecided if q in leading] or undecided
        text = f"With these runs it is not decided whether {listing(questions)} differ."
        words = deciding_words(evidence)
        if words is not None and any(q in leading for q in undecided):
            text += f" This decides it: the command of these runs with {words}"
        elif questions is undecided:
            text += " More losses of further lineages decide it."
        yield Finding("not decided", Verdict.UNDECIDABLE, text, 5.5)


def _question(row: pd.Series) -> str:
    groups = "losses" if row["contrast"] == "loss" else "families"
    if row["measure"] in LEADING:
        return f"the {LEADING[row['measure']][0]} of the {groups}"
    return f"the {_MEASURES[row['measure']].replace(', by ', ' of the ' + groups + ', by ')},"


def _leading(evidence: Evidence, row: pd.Series, found: Verdict) -> Finding:
    noun, name = LEADING[row["measure"]]
    sizes = (
        f"two trainings of one loss agree at {name} = {row['within']:.2f}, two losses at "
        f"{name} = {row['between']:.2f}; corrected for training noise losses are alike by "
        f"ρ = {with_interval(row['rho'], row['rho_low'], row['rho_high'], 2)}"
    )
    chance = f"p = {p_value(row['p_adjusted'])}, corrected for the two leading questions"
    weight = _WEIGHTS[row["measure"]]
    if found is Verdict.DIFFERENT:
        text = f"The {noun} of the losses are not all alike: {sizes} ({chance})."
        if odd := standing_out(evidence, row["measure"]):
            text += f" {sentence(those_standing_out(odd, row['losses']))} from the others."
        else:
            text += " That one loss in particular stands out is not shown."
        return Finding(f"{noun}: losses", found, text, weight + 2)
    text = f"That the {noun} of the losses differ is not shown: {sizes} ({chance})."
    if np.isfinite(row["detectable_rho"]):
        text += (
            f" A mean ρ of {row['detectable_rho']:.3f} or less would have been shown with 80 % "
            "power by as many losses and trainings."
        )
    return Finding(f"{noun}: losses", found, text, weight)


def _secondary(row: pd.Series) -> Finding:
    what = _MEASURES[row["measure"]]
    groups = "losses" if row["contrast"] == "loss" else "families"
    if row["contrast"] == "loss":
        text = (
            f"The {what}, of the losses differ too: ρ = {row['rho']:.2f} "
            f"(p = {p_value(row['p_adjusted'])}, Holm's correction over {row['tests']} tests)."
        )
    else:
        text = (
            f"The {what}, of two losses of one family are more alike than those of two families, "
            f"by a factor of {np.exp(row['statistic']):.3f}, losses' noise taken off "
            f"(p = {p_value(row['p_adjusted'])}, Holm's correction over {row['tests']} tests)."
        )
    weight = 7.5 if row["contrast"] == "family" and row["measure"] in LEADING else 3.0
    return Finding(f"{what}: {groups}", Verdict.DIFFERENT, text, weight)


def columns(evidence: Evidence) -> Iterable[Column]:
    """Mean ρ of each loss with the others."""
    odd = evidence["odd_losses"]
    for measure, (noun, _) in LEADING.items():
        known = odd[odd["measure"] == measure].dropna(subset=["rho"]) if not odd.empty else odd
        if not known.empty:
            values = dict(zip(known["loss"], known["rho"].astype(float), strict=True))
            yield Column(f"ρ with the others, {noun}", values, f"ρ {noun}")


def metrics(evidence: Evidence) -> dict[str, float]:
    """ρ and p of each contrast that has them."""
    return {
        f"contrast/{row['contrast']}/{row['measure']}/{key}": float(row[key])
        for _, row in evidence["contrasts"].iterrows()
        for key in ("rho", "statistic", "p")
        if np.isfinite(row[key])
    }


SECTION = Section(
    "noise",
    "Against the noise of training",
    drawings=drawings,
    tables=tables,
    findings=findings,
    columns=columns,
    metrics=metrics,
    methods={
        "Noise of training": "Runs of one loss that differ in the seed (or, with one seed, the "
        "fold) are compared with runs of two losses that differ likewise; pairs of one seed share "
        "initial weights and do not count. If a run is signal and training noise of its own, the "
        "likeness of two runs is √(a b) ρ; the logarithm of ρ is that of the mean likeness of two "
        "losses less the mean of those of either with itself. p from permuting losses within each "
        "seed and fold, and families among lineages of losses; intervals from leaving out one run "
        "at a time, from three trainings of each loss on. Which losses stand out: by their median "
        "ρ, corrected for their number by the largest under the same permutations. Maps by "
        "correlation and embeddings by debiased CKA are the two leading questions, corrected by "
        "Holm for each other; all else is secondary, corrected by Holm among itself.",
    },
)
