"""Plain sentences from the statistics: what differs, by how much, against which noise floor.

Nothing here computes a statistic; every number in a sentence stands in a table. A sentence claims
a difference only where a test at level `alpha` found one, and says that nothing can be concluded
where no outcome of the test could have found one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pandas as pd

from lossprint.reports.evidence import Evidence
from lossprint.reports.style import readable
from lossprint.reports.tables import loss_matrix


class Verdict(StrEnum):
    """What a finding lets one say."""

    DIFFERENT = "different"
    NOT_SHOWN = "no difference shown"
    UNDECIDABLE = "cannot be concluded"
    OBSERVED = "observed"


@dataclass(frozen=True)
class Finding:
    """A sentence or two with its verdict; `weight` ranks findings, the heaviest first."""

    topic: str
    verdict: Verdict
    text: str
    weight: float


_MEASURES = {
    "correlation": ("saliency maps", "r = {:.2f}", "map correlation"),
    "cka": ("embeddings", "CKA = {:.2f}", "linear CKA"),
    "divergence": ("saliency maps", "divergence {:.3f}", "Jensen–Shannon divergence"),
    "neighbor_overlap": ("embeddings", "{:.0%} of neighbours shared", "neighbour overlap"),
    "retrieval": ("retrieval figures", "{:.3f} apart", "difference in retrieval"),
    "property_profile": ("property profiles", "r = {:.2f}", "correlation of property profiles"),
}
_LEADING = {"correlation": 10.0, "cka": 8.0, "retrieval": 6.0}


def findings(evidence: Evidence, *, alpha: float = 0.05) -> list[Finding]:
    """Return everything worth saying, the most telling first.

    The first three are meant for a reader who reads nothing else: they hold the answer about maps
    (and embeddings), or why there is none.
    """
    found = [
        *_contrasts(evidence, alpha),
        *_missing_floor(evidence),
        *_properties(evidence, alpha),
        *_strongest_properties(evidence),
        *_extreme_pairs(evidence),
        *_retrieval(evidence),
        *_control(evidence),
        *_shares(evidence),
        *_interventions(evidence),
        *_skipped(evidence),
    ]
    return sorted(found, key=lambda finding: -finding.weight)


def answer(evidence: Evidence, *, alpha: float = 0.05) -> str:
    """Answer "do these losses learn the same features?" in one sentence.

    Decided by two contrasts named in advance: map correlation and linear CKA between losses
    against between seeds (or folds) of one loss.
    """
    losses = _trained_losses(evidence)
    if len(losses) < 2:
        return (
            f"There is nothing to compare: {_count(len(losses), 'trained loss')} was analysed, "
            "and a comparison needs two."
        )
    verdicts = {
        row["measure"]: _verdict(row, alpha)
        for _, row in evidence.contrasts.iterrows()
        if row["contrast"] == "loss" and row["measure"] in ("correlation", "cka")
    }
    parts = {"correlation": "look at the same pixels", "cka": "arrange images alike"}
    differ = [parts[m] for m, verdict in verdicts.items() if verdict is Verdict.DIFFERENT]
    same = [parts[m] for m, verdict in verdicts.items() if verdict is Verdict.NOT_SHOWN]
    if differ:
        return (
            f"No: these {len(losses)} losses do not {' and do not '.join(differ)}; they differ by "
            "more than trainings of one loss differ among themselves."
            + (f" That they do not {' or '.join(same)} was not shown." if same else "")
        )
    if same:
        return (
            f"No difference was shown: whether these {len(losses)} losses {' and '.join(same)} "
            "could not be told apart from the noise between trainings of one loss."
        )
    return (
        f"It cannot be concluded whether these {len(losses)} losses learn the same features: "
        "there are too few trainings to tell the losses apart from training noise."
    )


def _verdict(row: pd.Series, alpha: float) -> Verdict:
    if not row["near_pairs"] or not row["far_pairs"]:
        return Verdict.UNDECIDABLE
    # The least p must survive the correction.
    if not row["smallest_p"] * row["tests"] <= alpha:
        return Verdict.UNDECIDABLE
    return Verdict.DIFFERENT if row["p_adjusted"] <= alpha else Verdict.NOT_SHOWN


def _contrasts(evidence: Evidence, alpha: float) -> Iterable[Finding]:
    for _, row in evidence.contrasts.iterrows():
        noun, number, name = _MEASURES[row["measure"]]
        verdict = _verdict(row, alpha)
        if row["contrast"] == "loss":
            near, far = f"trainings of one loss with another {row['replicates']}", "of two losses"
            remedy = f"train every loss with more {row['replicates']}s, or more losses"
            subject = f"the {noun} of different losses"
        else:
            near, far = "two losses of one family", "losses of different families"
            remedy = "compare more losses of each family"
            subject = f"the {noun} of the two families"
        topic = noun if row["measure"] in _LEADING else f"{noun}, {name}"
        topic += ": losses" if row["contrast"] == "loss" else ": families"
        weight = _LEADING.get(row["measure"], 3.0)
        weight -= 0.0 if row["contrast"] == "loss" else 0.5
        if not row["near_pairs"] or not row["far_pairs"]:
            lacking = near if not row["near_pairs"] else far
            text = f"Whether {subject} differ cannot be concluded: there is no pair of {lacking}."
            yield Finding(topic, Verdict.UNDECIDABLE, text, weight - 0.2)
            continue
        compared = (
            f"{near.capitalize()} agree at {number.format(row['near'])} ({name}, "
            f"{_count(int(row['near_pairs']), 'pair')}), {far} at {number.format(row['far'])} "
            f"({_count(int(row['far_pairs']), 'pair')})"
        )
        if row["measure"] in ("retrieval", "divergence"):
            compared = compared.replace(" agree at ", " lie at ")
        chance = f"p = {_p(row['p_adjusted'])}"
        among = ""
        if row["tests"] > 1:
            chance += f" after Holm's correction over {int(row['tests'])} readings"
            among = f", too large for one of {int(row['tests'])} readings"
        if verdict is Verdict.DIFFERENT:
            text = (
                f"{_sentence(subject)} differ by more than noise. {compared}: "
                f"a difference of {_interval(row)}, {chance}."
            )
            weight += 2.0
        elif verdict is Verdict.NOT_SHOWN:
            text = (
                f"No difference between {subject} was shown. {compared}: "
                f"a difference of {_interval(row)}, {chance}. It may be noise alone; "
                "nothing further can be concluded from it."
            )
        else:
            text = (
                f"Whether {subject} differ cannot be concluded. {compared}, but with "
                f"{_count(int(row['losses']), 'loss')} the least p possible is "
                f"{_p(row['smallest_p'])}{among}; {remedy}."
            )
            weight -= 0.2
        yield Finding(topic, verdict, text, weight)


def _missing_floor(evidence: Evidence) -> Iterable[Finding]:
    losses = _trained_losses(evidence)
    if not losses:
        return
    if len(losses) == 1:
        text = (
            f"Only one loss was analysed ({readable(losses[0])}); nothing can be said about "
            "differences between losses. Train another one on the same data."
        )
        yield Finding("comparison", Verdict.UNDECIDABLE, text, 20.0)
        return
    trained = evidence.runs[evidence.runs["family"] != "control"]
    once = [loss for loss, runs in trained.groupby("loss")["run"].nunique().items() if runs == 1]
    if once:
        text = (
            f"Trained only once, so without a noise floor of their own: "
            f"{_listing(readable(str(loss)) for loss in once)}. Train with at least two seeds, "
            "for instance seed=0,1."
        )
        yield Finding("noise floor", Verdict.UNDECIDABLE, text, 5.0)


def _properties(evidence: Evidence, alpha: float) -> Iterable[Finding]:
    tests = evidence.property_families
    if tests.empty:
        return
    topic = "properties: families"
    # The least p must survive the correction for the number of properties.
    possible = tests[tests["smallest_p"].astype(float) * len(tests) <= alpha]
    first = tests.iloc[0]
    sizes = (
        f"{int(first['ranking_losses'])} ranking and "
        f"{int(first['classification_losses'])} classification losses"
    )
    if possible.empty:
        text = (
            f"Whether the families differ in what their embeddings cluster by cannot be concluded: "
            f"with {sizes} the least p possible is {_p(float(tests['smallest_p'].min()))}, too "
            f"large for a test of {len(tests)} properties; compare more losses of each family."
        )
        yield Finding(topic, Verdict.UNDECIDABLE, text, 4.0)
        return
    hit = possible[possible["p_holm"].astype(float) <= alpha]
    if hit.empty:
        text = (
            f"No property was shown to differ between the families ({sizes}; least p after Holm's "
            f"correction over {len(tests)} properties: {_p(float(tests['p_holm'].min()))}). "
            "Nothing can be concluded about what sets the families apart."
        )
        yield Finding(topic, Verdict.NOT_SHOWN, text, 4.0)
        return
    hit = hit.assign(size=hit["difference"].astype(float).abs()).sort_values("size")[::-1]
    parts = [
        f"{readable(row['property'])} ({row['ranking_mean']:.1f} σ ranking, "
        f"{row['classification_mean']:.1f} σ classification, p = {_p(row['p_holm'])})"
        for _, row in hit.head(4).iterrows()
    ]
    text = (
        f"The families cluster by different properties: {len(hit)} of {len(tests)} differ after "
        f"Holm's correction, most {_listing(parts)}."
    )
    yield Finding(topic, Verdict.DIFFERENT, text, 7.0)


def _strongest_properties(evidence: Evidence) -> Iterable[Finding]:
    table = evidence.properties_by_loss
    table = table[table["family"] != "control"]
    if table.empty:
        return
    means = table.groupby("property", sort=False)["mean"].apply(lambda x: x.astype(float).mean())
    order = means.sort_values(ascending=False)
    strongest = [f"{readable(str(name))} ({value:.1f} σ)" for name, value in order.head(3).items()]
    # Adding 0 turns a rounded minus zero into zero.
    weakest = f"{readable(str(order.index[-1]))} ({round(order.iloc[-1], 1) + 0.0:.1f} σ)"
    text = (
        f"Averaged over losses, embeddings cluster most by {_listing(strongest)} and least by "
        f"{weakest} (standard deviations above chance)."
    )
    yield Finding("properties", Verdict.OBSERVED, text, 4.5)


def _extreme_pairs(evidence: Evidence) -> Iterable[Finding]:
    if evidence.agreement_by_loss.empty:
        return
    table = evidence.agreement_by_loss
    between = table[
        (table["loss_a"] != table["loss_b"])
        & (table["family_a"] != "control")
        & (table["family_b"] != "control")
    ].dropna(subset=["correlation"])
    if len(between) < 2:
        return
    value = between["correlation"].astype(float)
    least, most = between.loc[value.idxmin()], between.loc[value.idxmax()]
    text = (
        f"The maps of {_pair(least)} agree least (r = {least['correlation']:.2f}), those of "
        f"{_pair(most)} most (r = {most['correlation']:.2f})."
    )
    yield Finding("saliency maps: pairs", Verdict.OBSERVED, text, 4.2)


def _retrieval(evidence: Evidence) -> Iterable[Finding]:
    table = evidence.retrieval_by_loss
    table = table[table["family"] != "control"]
    if table.empty:
        return
    metric = table["metric"].iloc[0]
    chosen = table[table["metric"] == metric].assign(mean=lambda x: x["mean"].astype(float))
    if len(chosen) < 2:
        return
    best, worst = chosen.loc[chosen["mean"].idxmax()], chosen.loc[chosen["mean"].idxmin()]
    text = (
        f"Retrieval ({readable(metric)}): {readable(best['loss'])} is best at {best['mean']:.3f}, "
        f"{readable(worst['loss'])} last at {worst['mean']:.3f}."
    )
    yield Finding("retrieval", Verdict.OBSERVED, text, 4.4)


def _control(evidence: Evidence) -> Iterable[Finding]:
    if evidence.agreement_by_loss.empty:
        return
    matrix, families = loss_matrix(evidence.agreement_by_loss, "correlation")
    controls = [loss for loss in matrix if families[loss] == "control"]
    trained = [loss for loss in matrix if families[loss] != "control"]
    for control in controls:
        values = matrix.loc[control, trained].dropna()
        if values.empty:
            continue
        text = (
            f"The maps of the {readable(control)} network already agree with those of trained "
            f"losses at r = {values.mean():.2f} on average "
            f"({values.min():.2f} {readable(str(values.idxmin()))} to "
            f"{values.max():.2f} {readable(str(values.idxmax()))})."
        )
        yield Finding("control", Verdict.OBSERVED, text, 4.1)


def _shares(evidence: Evidence) -> Iterable[Finding]:
    table = evidence.shares_by_loss
    table = table[(table["region"] == "car") & (table["family"] != "control")]
    if table.empty:
        return
    means, area = table["mean"].astype(float), float(table["area"].astype(float).mean())
    low, high = table.loc[means.idxmin()], table.loc[means.idxmax()]
    text = f"The car fills {area:.0%} of the pictures and holds {means.mean():.0%} of the saliency"
    if len(table) > 1:
        text += (
            f", from {low['mean']:.0%} ({readable(low['loss'])}) to {high['mean']:.0%} "
            f"({readable(high['loss'])})"
        )
    yield Finding("where the maps lie", Verdict.OBSERVED, text + ".", 4.0)


def _interventions(evidence: Evidence) -> Iterable[Finding]:
    table = evidence.interventions_by_loss
    table = table[table["family"] != "control"]
    means = table.assign(mean=table["mean"].astype(float)).dropna(subset="mean")
    if means.empty:
        return
    means = means.groupby(["property", "reference"])["mean"].mean().unstack()
    order = means["unrelated scenes"].sort_values(ascending=False)
    text = (
        f"Changing only {readable(str(order.index[0]))} moves the embedding most "
        f"({order.iloc[0]:.0%} of the distance between unrelated pictures)"
    )
    if len(order) > 1:
        text += f", changing only {readable(str(order.index[-1]))} least ({order.iloc[-1]:.0%})"
    if "two designs" in means:
        others = means["two designs"].drop("model")
        more = [readable(str(name)) for name in others.index[others > 1]]
        text += (
            f". Another car moves it less than does another {_listing(more)}"
            if more
            else ". Nothing moves it more than another car"
        )
    yield Finding("interventions", Verdict.OBSERVED, text + ".", 4.3)


def _skipped(evidence: Evidence) -> Iterable[Finding]:
    for (part, reason), rows in evidence.skipped.groupby(["part", "reason"], sort=False):
        runs = _listing(sorted({str(run) for run in rows["run"] if run}))
        text = f"Not computed: {part}{f' for {runs}' if runs else ''}. {_sentence(str(reason))}"
        yield Finding(
            "not computed", Verdict.UNDECIDABLE, text if text.endswith(".") else f"{text}.", 2.0
        )


def _trained_losses(evidence: Evidence) -> list[str]:
    return sorted(loss for loss, family in evidence.families().items() if family != "control")


def _interval(row: pd.Series) -> str:
    text = f"{row['difference']:.3f}"
    if np.isfinite([float(row["low"]), float(row["high"])]).all():
        text += f" (95 % interval {row['low']:.3f} to {row['high']:.3f})"
    return text


def _pair(row: pd.Series) -> str:
    return f"{readable(row['loss_a'])} and {readable(row['loss_b'])}"


def _p(value: float) -> str:
    return f"{value:.2g}" if value >= 1e-4 else "below 0.0001"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _listing(items: Iterable[str]) -> str:
    items = list(items)
    return (
        items[0]
        if len(items) == 1
        else ", ".join(items[:-1]) + " and " + items[-1]
        if items
        else ""
    )


def _count(number: int, noun: str) -> str:
    plural = noun + ("es" if noun.endswith("s") else "s")
    return f"{number} {noun if number == 1 else plural}"
