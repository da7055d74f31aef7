"""Where the losses part: likeness stage by stage."""

from collections.abc import Iterable

import pandas as pd

from lossprint.reports import figures
from lossprint.reports.evidence import Evidence
from lossprint.reports.findings import Finding, Verdict
from lossprint.reports.section import Drawing, PrintedTable, Section
from lossprint.reports.tables import number, probability, with_interval
from lossprint.reports.wording import listing


def drawings(evidence: Evidence) -> Iterable[Drawing]:
    """CKA within and between losses, and ρ, over the stages."""
    stages = _named(evidence["stages"])
    if not stages.empty:
        yield Drawing(
            "stages",
            "How alike two networks are at each stage that an image passes, first to last. Height "
            "says little: networks that begin with the same weights agree where training hardly "
            "moves them. What is the losses' is the gap between two trainings of one loss and two "
            "losses; below, where trainings suffice, ρ, which is that gap free of training noise.",
            figures.stage_curves(stages),
            wide=True,
        )


def tables(evidence: Evidence) -> Iterable[PrintedTable]:
    """The same in numbers, with p."""
    stages = _named(evidence["stages"])
    if stages.empty:
        return
    rows = [
        {
            "stage": row["stage"],
            "two trainings of one": number(row["within"], 3),
            "two losses": number(row["between"], 3),
            "trained and untrained": number(row["untrained"], 3),
            "ρ": with_interval(row["rho"], row["rho_low"], row["rho_high"]),
            "the losses' share": with_interval(row["share"], row["share_low"], row["share_high"]),
            "p": probability(row["p"]),
            "p, Holm": probability(row["p_adjusted"]),
        }
        for _, row in stages.iterrows()
    ]
    yield PrintedTable(
        "stages",
        f"Debiased CKA stage by stage, of {int(stages['networks'].iloc[0])} networks on "
        f"{int(stages['images'].iloc[0])} images; p corrected for the number of stages",
        pd.DataFrame(rows),
    )


def findings(evidence: Evidence) -> Iterable[Finding]:
    """At which stages losses differ, where they do at any."""
    stages = _named(evidence["stages"])
    if stages.empty:
        return
    differ = stages[stages["p_adjusted"].astype(float) <= evidence.alpha]
    if differ.empty:
        return
    most = differ.loc[differ["rho"].astype(float).idxmin()]
    where = "all" if len(differ) == len(stages) else f"{len(differ)} of {len(stages)}"
    text = (
        f"On the way through the network losses differ by more than their trainings at {where} "
        f"stages ({listing(differ['stage'])}; Holm's correction over {len(stages)}), most at "
        f"{most['stage']} (ρ = {most['rho']:.2f})."
    )
    yield Finding("stages", Verdict.DIFFERENT, text, 6.5)


def _named(stages: pd.DataFrame) -> pd.DataFrame:
    """What could be compared, without what the names of all stages of the network begin with."""
    if not stages.empty:
        stages = stages.dropna(subset=["within", "between", "untrained"], how="all")
    if stages.empty:
        return stages
    first = stages["stage"].iloc[0].split(".")
    starts = [".".join(first[:length]) + "." for length in range(len(first), 0, -1)]
    inner = [name for name in stages["stage"] if name != "embedding"]
    start = next((s for s in starts if all(name.startswith(s) for name in inner)), "")
    short = [name.removeprefix(start) for name in stages["stage"]]
    return stages.assign(stage=[f"stage {name}" if name.isdigit() else name for name in short])


SECTION = Section(
    "stages",
    "Where the losses part",
    drawings=drawings,
    tables=tables,
    findings=findings,
    methods={
        "Stages": "Outputs of the network's stages, averaged over positions, L2-normalized and "
        "compared by debiased CKA; contrasts, ρ, p and intervals as for the embeddings (see Noise "
        "of training). Networks of another architecture than most are left out. Kornblith et al. "
        "(NeurIPS 2021) found losses of classifiers to differ in the last stages only."
    },
)
