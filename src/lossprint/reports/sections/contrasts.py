"""Against the noise floor: do losses, and families, differ by more than runs of one loss do?"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from lossprint.reports import figures
from lossprint.reports.evidence import Evidence
from lossprint.reports.findings import Finding, Verdict
from lossprint.reports.section import Drawing, PrintedTable, Section
from lossprint.reports.tables import number, probability, with_interval
from lossprint.reports.wording import count, p_value, sentence

_MEASURES = {
    "correlation": ("saliency maps", "r = {:.2f}", "map correlation"),
    "cka": ("embeddings", "CKA = {:.2f}", "linear CKA"),
    "divergence": ("saliency maps", "divergence {:.3f}", "Jensen–Shannon divergence"),
    "neighbor_overlap": ("embeddings", "{:.0%} of neighbours shared", "neighbour overlap"),
    "retrieval": ("retrieval metrics", "{:.3f} apart", "difference in retrieval"),
}
"""What is compared, a value of it in words, and what it is called."""

_DISTANCES = ("retrieval", "divergence")
_LEADING = {"correlation": 10.0, "cka": 8.0, "retrieval": 6.0}


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
    """Within against between, one row per measure and contrast."""
    if evidence["contrasts"].empty:
        return
    rows = [
        {
            "measure": row["measure"],
            "groups": {"loss": "losses", "family": "families"}[row["contrast"]],
            "within": f"{number(row['within'], 3)} ({int(row['within_pairs'])} pairs)",
            "between": f"{number(row['between'], 3)} ({int(row['between_pairs'])} pairs)",
            "difference": with_interval(row["difference"], row["low"], row["high"]),
            "p": probability(row["p"]),
            "p, Holm": probability(row["p_adjusted"]) if row["tests"] > 1 else "",
            "least p possible": probability(row["smallest_p"]),
        }
        for _, row in evidence["contrasts"].iterrows()
    ]
    yield PrintedTable(
        "within_and_between",
        "Likeness of pairs within a group against between groups; permutation p",
        pd.DataFrame(rows),
    )


def verdict(contrast: pd.Series, alpha: float) -> Verdict:
    """What a row of the contrasts lets one say at the level `alpha`."""
    if not contrast["within_pairs"] or not contrast["between_pairs"]:
        return Verdict.UNDECIDABLE
    # The least p must survive the correction.
    if not contrast["smallest_p"] * contrast["tests"] <= alpha:
        return Verdict.UNDECIDABLE
    return Verdict.DIFFERENT if contrast["p_adjusted"] <= alpha else Verdict.NOT_SHOWN


def findings(evidence: Evidence) -> Iterable[Finding]:
    """One finding per contrast."""
    for _, row in evidence["contrasts"].iterrows():
        yield _finding(row, verdict(row, evidence.alpha))


def _finding(row: pd.Series, found: Verdict) -> Finding:
    noun, value, name = _MEASURES[row["measure"]]
    if row["contrast"] == "loss":
        within = f"runs of one loss that differ in the {row['replicates']}"
        between = "runs of two losses"
        remedy = f"train every loss with more {row['replicates']}s, or more losses"
        subject = f"the {noun} of different losses"
    else:
        within, between = "two losses of one family", "losses of different families"
        remedy = "compare more losses of each family"
        subject = f"the {noun} of the two families"
    topic = noun if row["measure"] in _LEADING else f"{noun}, {name}"
    topic += ": losses" if row["contrast"] == "loss" else ": families"
    weight = _LEADING.get(row["measure"], 3.0)
    weight -= 0.0 if row["contrast"] == "loss" else 0.5
    if not row["within_pairs"] or not row["between_pairs"]:
        lacking = within if not row["within_pairs"] else between
        text = f"Whether {subject} differ cannot be concluded: there is no pair of {lacking}."
        return Finding(topic, found, text, weight - 0.2)
    verb = "lie" if row["measure"] in _DISTANCES else "agree"
    compared = (
        f"{sentence(within)} {verb} at {value.format(row['within'])} ({name}, "
        f"{count(int(row['within_pairs']), 'pair')}), {between} at "
        f"{value.format(row['between'])} ({count(int(row['between_pairs']), 'pair')})"
    )
    chance = f"p = {p_value(row['p_adjusted'])}"
    among = ""
    if row["tests"] > 1:
        chance += f" after Holm's correction over {int(row['tests'])} secondary tests"
        among = f", too large for one of {int(row['tests'])} secondary tests"
    if found is Verdict.DIFFERENT:
        text = (
            f"{sentence(subject)} differ by more than noise. {compared}: "
            f"a difference of {_interval(row)}, {chance}."
        )
        weight += 2.0
    elif found is Verdict.NOT_SHOWN:
        text = (
            f"No difference between {subject} was shown. {compared}: "
            f"a difference of {_interval(row)}, {chance}. It may be noise alone; "
            "nothing further can be concluded from it."
        )
    else:
        text = (
            f"Whether {subject} differ cannot be concluded. {compared}, but with "
            f"{count(int(row['losses']), 'loss')} the least p possible is "
            f"{p_value(row['smallest_p'])}{among}; {remedy}."
        )
        weight -= 0.2
    return Finding(topic, found, text, weight)


def _interval(row: pd.Series) -> str:
    text = f"{row['difference']:.3f}"
    if np.isfinite([float(row["low"]), float(row["high"])]).all():
        text += f" (95 % interval {row['low']:.3f} to {row['high']:.3f})"
    return text


def metrics(evidence: Evidence) -> dict[str, float]:
    """Difference and p of each contrast."""
    return {
        f"contrast/{row['contrast']}/{row['measure']}/{key}": float(row[key])
        for _, row in evidence["contrasts"].iterrows()
        for key in ("difference", "p")
    }


SECTION = Section(
    "noise",
    "Against the noise floor",
    drawings=drawings,
    tables=tables,
    findings=findings,
    metrics=metrics,
    methods={
        "Noise floor": "Runs of one loss that differ in the seed (or, with one seed, the fold) "
        "are compared with runs of two losses that differ likewise; pairs of one seed share "
        "initial weights and do not count. p from permuting losses among the runs of each seed "
        "and fold, or families among losses; 95 % intervals of differences from resampling losses "
        "with all their runs. Map correlation and CKA are questions asked in advance, each tested "
        "as it is; the other measures are secondary, Holm-corrected.",
    },
)
