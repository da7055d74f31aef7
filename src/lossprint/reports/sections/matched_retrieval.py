"""The leading questions once more, of networks that retrieve equally well."""

from collections.abc import Iterable

import pandas as pd

from lossprint.reports.evidence import Evidence
from lossprint.reports.findings import Finding, Verdict
from lossprint.reports.section import PrintedTable, Section
from lossprint.reports.sections.contrasts import LEADING, leading_rows, verdict
from lossprint.reports.tables import number, probability, with_interval
from lossprint.reports.wording import p_value


def tables(evidence: Evidence) -> Iterable[PrintedTable]:
    """Both comparisons beside each other, and at which epoch each run was taken."""
    rows = [
        {
            "compared": LEADING[measure][0],
            "at": called,
            "two trainings of one": number(row["within"], 3),
            "two losses": number(row["between"], 3),
            "ρ": with_interval(row["rho"], row["rho_low"], row["rho_high"]),
            "p, Holm": probability(row["p_adjusted"]),
        }
        for measure, best, matched in _compared(evidence)
        for called, row in (("their best epochs", best), ("equal retrieval", matched))
    ]
    if rows:
        yield PrintedTable(
            "at_equal_retrieval",
            "The leading questions at the best epoch of each run, and at the epoch whose "
            "validation MAP@R came nearest to the highest that all reach",
            pd.DataFrame(rows),
        )
    epochs = evidence["matched_epochs"]
    if epochs.empty:
        return
    shown = epochs[["run", "epoch"]].assign(
        **{"validation MAP@R": epochs["value"].map(lambda value: number(value, 3))},
        **{"at its best epoch": epochs["best"].map(lambda value: number(value, 3))},
    )
    yield PrintedTable("matched_epochs", "Where each run was taken", shown)


def findings(evidence: Evidence) -> Iterable[Finding]:
    """Whether what sets losses apart is there at equal retrieval too."""
    level = evidence["matched_epochs"]
    for measure, best, matched in _compared(evidence):
        noun = LEADING[measure][0]
        before, after = (verdict(row, evidence.alpha) for row in (best, matched))
        text = (
            f"At equal retrieval (validation MAP@R {level['value'].min():.3f} to "
            f"{level['value'].max():.3f}) the {noun} of the losses are alike by "
            f"ρ = {number(matched['rho'])}, at their best epochs by ρ = {number(best['rho'])}."
        )
        if after is Verdict.DIFFERENT:
            text += f" They differ at equal retrieval (p = {p_value(matched['p_adjusted'])})."
        elif before is Verdict.DIFFERENT:
            text += " That they differ is shown at their best epochs only."
        yield Finding(f"{noun} at equal retrieval", after, text, 9.3)


def _compared(evidence: Evidence) -> Iterable[tuple[str, pd.Series, pd.Series]]:
    """The rows of each leading question: at best epochs, and at equal retrieval."""
    if evidence["matched_epochs"].empty:
        return
    best, matched = (
        {row["measure"]: row for row in leading_rows(evidence[name])}
        for name in ("contrasts", "matched_contrasts")
    )
    for measure in LEADING:
        if measure in best and measure in matched:
            yield measure, best[measure], matched[measure]


SECTION = Section(
    "matched",
    "At equal retrieval",
    tables=tables,
    findings=findings,
    methods={
        "Equal retrieval": "Each run is taken at the epoch, of those whose state it kept, at which "
        "its validation MAP@R came nearest to the highest level that all runs reach. p is "
        "corrected by Holm for the two leading questions, within each of the two comparisons."
    },
)
