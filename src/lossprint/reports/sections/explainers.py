"""Whether what is said of maps depends on the method that makes them."""

from collections.abc import Iterable

import pandas as pd

from lossprint.reports.evidence import Evidence
from lossprint.reports.findings import Finding, Verdict
from lossprint.reports.section import PrintedTable, Section
from lossprint.reports.tables import number, probability, with_interval
from lossprint.reports.wording import listing

_OWN = "smoothgrad"
_NAMES = {
    _OWN: "SmoothGrad (all else on this page)",
    "saliency": "plain gradient",
    "integrated_gradients": "integrated gradients",
    "occlusion": "occlusion",
    "grad_cam": "Grad-CAM",
}
_ASKED_FOR = ("grad_cam", "integrated_gradients", "occlusion")


def tables(evidence: Evidence) -> Iterable[PrintedTable]:
    """The leading contrast of maps by each method."""
    explainers = evidence["explainers"]
    if explainers.empty:
        return
    rows = [
        {
            "maps by": _NAMES[row["explainer"]],
            "two trainings of one": number(row["within"], 3),
            "two losses": number(row["between"], 3),
            "ρ": with_interval(row["rho"], row["rho_low"], row["rho_high"]),
            "p": probability(row["p"]),
            "p, Holm": probability(row["p_adjusted"]),
            "losses": int(row["losses"]),
        }
        for _, row in explainers.iterrows()
    ]
    caption = (
        f"The contrast of the maps of losses by each method, on the first "
        f"{int(explainers['images'].iloc[0])} images. Correlations do not compare between "
        "methods, since coarse maps agree better than grainy ones; ρ does. p corrected for the "
        "number of methods"
    )
    if missing := [name for name in _ASKED_FOR if name not in set(explainers["explainer"])]:
        caption += (
            f". Not asked of {listing(_NAMES[name] for name in missing)}, which take long: "
            f"study.explainers=[{','.join(_ASKED_FOR)}] does, and so does study=full"
        )
    yield PrintedTable("explainers", caption, pd.DataFrame(rows))


def findings(evidence: Evidence) -> Iterable[Finding]:
    """Which other methods show a difference, and which do not, where any could."""
    explainers = evidence["explainers"]
    if explainers.empty:
        return
    tests = int(explainers["p"].notna().sum())
    decidable = explainers["smallest_p"].astype(float) * tests <= evidence.alpha
    asked = explainers[(explainers["explainer"] != _OWN) & decidable & explainers["p"].notna()]
    if asked.empty:
        return
    differ = asked["p_adjusted"].astype(float) <= evidence.alpha
    shown, others = (
        listing(f"{_NAMES[r['explainer']]} (ρ = {r['rho']:.2f})" for _, r in rows.iterrows())
        for rows in (asked[differ], asked[~differ])
    )
    correction = f"Holm's correction over {tests} methods"
    if not differ.any():
        text = f"That the maps of the losses differ is not shown by {others} ({correction})."
        yield Finding("other explainers", Verdict.NOT_SHOWN, text, 4.2)
        return
    text = f"By {shown} the maps of the losses differ by more than their trainings ({correction})"
    text += f"; by {others} that is not shown." if others else "."
    yield Finding("other explainers", Verdict.DIFFERENT, text, 6.0)


SECTION = Section(
    "explainers",
    "Does it depend on the explainer?",
    tables=tables,
    findings=findings,
    methods={
        "Explainers": "Attributions by Captum of the distance to the black image's embedding, of "
        "which SmoothGrad takes the gradient: Grad-CAM on the last feature map (Selvaraju et al., "
        "ICCV 2017), integrated gradients from black in 50 steps (Sundararajan et al., ICML 2017), "
        "occlusion by black windows a sixteenth of the image wide that overlap by half (Zeiler & "
        "Fergus, ECCV 2014). Absolute value of the mean over channels, clipped at the percentile "
        "of the other maps; contrasts as for SmoothGrad."
    },
)
