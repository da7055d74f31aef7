"""What a report opens with: are the losses all alike, by how much do they differ, and from what?"""

import numpy as np
import pandas as pd

from lossprint.reports.evidence import Evidence
from lossprint.reports.findings import Verdict
from lossprint.reports.sections.contrasts import (
    LEADING,
    contrasted_losses,
    deciding_words,
    leading_rows,
    standing_out,
    those_standing_out,
    verdict,
)
from lossprint.reports.style import readable
from lossprint.reports.wording import count, listing


def answer(evidence: Evidence) -> str:
    """Answer "do these losses learn the same features?" in up to three parts.

    Whether the losses are all alike, by the two contrasts named in advance: map correlation and
    debiased CKA between losses against between seeds (or folds) of one loss. By how much, corrected
    for training noise. And how they stand to the untrained network.
    """
    losses = evidence.trained_losses()
    if len(losses) < 2:
        return (
            f"There is nothing to compare: {count(len(losses), 'trained loss')} "
            f"{'was' if losses else 'were'} analysed, and a comparison needs two."
        )
    left = contrasted_losses(evidence)
    if len(left) < 2:
        which = f"all but {readable(left[0])}" if left else "all"
        return (
            f"Nothing is compared: the networks of {which} of these {len(losses)} losses are "
            "collapsed, so hardly tell pictures apart, and how alike they are says nothing of the "
            "losses. More seeds do not help; a longer training or other settings may."
        )
    rows = leading_rows(evidence["contrasts"])
    parts = (_whether(evidence, rows, len(losses)), _how_much(rows), _untrained(evidence, rows))
    return " ".join(part for part in parts if part)


def _whether(evidence: Evidence, rows: list[pd.Series], losses: int) -> str:
    verdicts = [(row, verdict(row, evidence.alpha)) for row in rows]
    differ = [row for row, found in verdicts if found is Verdict.DIFFERENT]
    same = [row for row, found in verdicts if found is Verdict.NOT_SHOWN]
    if differ:
        text = (
            f"Not all alike: the {_nouns(differ)} of these {losses} losses differ by more than "
            "trainings of one loss do."
        )
        for row in differ:
            if odd := standing_out(evidence, row["measure"]):
                text += f" By {_nouns([row])}, {those_standing_out(odd, row['losses'])}."
        return text + (f" That their {_nouns(same)} differ is not shown." if same else "")
    if same:
        shown = [row["detectable_rho"] for row in same if np.isfinite(row["detectable_rho"])]
        return (
            f"Not shown to differ: the {_nouns(same)} of these {losses} losses cannot be told from "
            "those of trainings of one loss"
            + (f"; a mean ρ of {min(shown):.2f} most likely could." if shown else ".")
        )
    if deciding_words(evidence) is None:
        return (
            f"Whether these {losses} losses differ by more than trainings of one loss do cannot "
            "be told from these networks; how far they agree can."
        )
    return (
        f"Not decided: these are too few trainings to tell whether the {losses} losses differ by "
        "more than trainings of one loss do."
    )


def _nouns(rows: list[pd.Series]) -> str:
    return listing(LEADING[row["measure"]][0] for row in rows)


def _how_much(rows: list[pd.Series]) -> str:
    sizes = []
    for row in rows:
        noun, name = LEADING[row["measure"]]
        if np.isfinite(row["rho"]):
            size = f"their {noun} are alike by ρ = {row['rho']:.2f}"
            if np.isfinite([row["rho_low"], row["rho_high"]]).all():
                size += f" ({row['rho_low']:.2f} to {row['rho_high']:.2f})"
            if np.isfinite(row["share"]):
                noise = min(max(1 - row["share"], 0.0), 1.0)
                size += (
                    f", and {100 * noise:.0f} % of the disagreement between two losses is there "
                    "between two seeds of one"
                )
            sizes.append(size)
        elif np.isfinite(row["between"]):
            size = f"their {noun} agree at {name} = {row['between']:.2f}"
            if np.isfinite([row["between_low"], row["between_high"]]).all():
                size += f" ({row['between_low']:.2f} to {row['between_high']:.2f} over images)"
            sizes.append(size)
    if not sizes:
        return ""
    corrected = any(np.isfinite(row["rho"]) for row in rows)
    text = "; ".join(sizes)
    return (
        f"Corrected for training noise {text}." if corrected else f"{text[:1].upper()}{text[1:]}."
    )


def _untrained(evidence: Evidence, rows: list[pd.Series]) -> str:
    """How like untrained networks are, that share no initial weights with the trained ones."""
    pairs = evidence["agreement"]
    if pairs.empty:
        return ""
    control = (pairs["family_a"] == "control") != (pairs["family_b"] == "control")
    # Controls of other names are imported: nothing was trained from their weights.
    begun_from = (pairs["loss_a"] == "untrained") | (pairs["loss_b"] == "untrained")
    same_start = begun_from & (pairs["seed_a"] == pairs["seed_b"])
    others = pairs[control & ~same_start]["correlation"].dropna()
    shared = pairs[control & same_start]["correlation"].dropna()
    if len(others):
        text = f"With the maps of untrained networks theirs agree at r = {others.mean():.2f}"
        corrected = [
            f"{row['rho_untrained']:.2f} for {LEADING[row['measure']][0]}"
            for row in rows
            if np.isfinite(row["rho_untrained"])
        ]
        if corrected:
            text += "; as a yardstick, ρ of trained and untrained networks is " + listing(corrected)
        return f"{text}."
    if len(shared):
        return (
            "With the maps of the untrained network, whose initial weights they share, theirs "
            f"agree at r = {shared.mean():.2f}."
        )
    return ""
