import numpy as np
import pandas as pd
import pytest

from lossprint.apps.evidence import EVIDENCE
from lossprint.reports.answer import answer
from lossprint.reports.evidence import Evidence
from lossprint.reports.findings import Finding, Verdict
from lossprint.reports.report import findings as findings_of
from tests.reports.planted import contrast, property_families, replaced


def findings(evidence: Evidence) -> list[Finding]:
    return findings_of(evidence, [piece.section for piece in EVIDENCE])


def with_contrast(evidence: Evidence, **changes: object) -> Evidence:
    return replaced(evidence, contrasts=pd.DataFrame([contrast(**changes)]))


def about(evidence: Evidence, topic: str):
    return [finding for finding in findings(evidence) if finding.topic == topic]


def test_a_difference_is_told_with_its_size_and_noise_floor(evidence):
    first = findings(evidence)[0]
    assert first.verdict is Verdict.DIFFERENT
    for part in ("r = 0.85", "r = 0.60", "0.250 (95 % interval 0.200 to 0.300)", "p = 0.042"):
        assert part in first.text
    assert answer(evidence).startswith("No: these 4 losses do not look at the same pixels")


def test_noise_is_called_noise(evidence):
    noise = with_contrast(evidence, p=0.4, within=0.61, difference=0.01, low=-0.02, high=0.04)
    first = findings(noise)[0]
    assert first.verdict is Verdict.NOT_SHOWN
    assert "nothing further can be concluded" in first.text
    assert answer(noise).startswith("No difference was shown")


def test_too_few_losses_decide_nothing_however_large_the_difference(evidence):
    few = with_contrast(evidence, p=1 / 6, smallest_p=1 / 6, losses=3)
    first = findings(few)[0]
    assert first.verdict is Verdict.UNDECIDABLE
    assert "least p possible is 0.17" in first.text
    assert "with 3 losses" in first.text
    assert "more seeds" in first.text
    assert answer(few).startswith("It cannot be concluded")


def test_without_a_noise_floor_nothing_is_claimed(evidence):
    once = with_contrast(
        evidence, within_pairs=0, within=np.nan, p=np.nan, smallest_p=np.nan, difference=np.nan
    )
    once = replaced(once, runs=evidence["runs"].query("seed == 0"))
    assert all(f.verdict is not Verdict.DIFFERENT for f in findings(once))
    assert "seed=0,1" in about(once, "noise floor")[0].text
    assert "too few trainings" in answer(once)


def test_one_loss_is_no_comparison(evidence):
    runs = evidence["runs"]
    alone = Evidence({"runs": runs[runs["loss"].isin(["triplet", "untrained"])]})
    assert findings(alone)[0].text.startswith("Only one loss was analysed (triplet)")
    assert answer(alone).startswith("There is nothing to compare: 1 trained loss")


@pytest.mark.parametrize(
    ("p_holm", "smallest_p", "verdict", "says"),
    [
        (0.01, 0.001, Verdict.DIFFERENT, "most model (12.0 σ ranking, 4.0 σ classification"),
        (0.3, 0.001, Verdict.NOT_SHOWN, "No property was shown to differ"),
        (1.0, 0.02, Verdict.UNDECIDABLE, "is 0.02, too large for a test of 4 properties"),
    ],
)
def test_properties_of_families(evidence, p_holm, smallest_p, verdict, says):
    tests = property_families(p_holm=p_holm, smallest_p=smallest_p)
    (found,) = about(replaced(evidence, property_families=tests), "properties: families")
    assert found.verdict is verdict
    assert says in found.text


def test_observations_name_the_extremes(evidence):
    table = evidence["agreement_by_loss"]
    trained = table[(table["loss_a"] != table["loss_b"]) & (table["loss_b"] != "untrained")]
    least = trained.loc[trained["correlation"].idxmin()]
    (found,) = about(evidence, "saliency maps: pairs")
    assert f"agree least (r = {least['correlation']:.2f})" in found.text
    (car,) = about(evidence, "where the maps lie")
    assert car.text.startswith("The car fills 30% of the pictures and holds ")
    (moves,) = about(evidence, "interventions")
    assert moves.text == (
        "Changing only background colour value moves the embedding most (100% of the distance "
        "between unrelated pictures), changing only model least (25%). Another car moves it less "
        "than does another background colour value, colour hue and rotation z."
    )


def test_what_was_not_computed_is_said(evidence):
    skipped = pd.DataFrame(
        [
            {"run": "arcface/fold0-seed1", "part": "the whole run", "reason": "it failed (boom)"},
            {"run": "arcface/fold0-seed0", "part": "the whole run", "reason": "it failed (boom)"},
        ]
    )
    (found,) = about(replaced(evidence, skipped=skipped), "not computed")
    assert found.text == (
        "Not computed: the whole run for arcface/fold0-seed0 and arcface/fold0-seed1. "
        "It failed (boom)."
    )
