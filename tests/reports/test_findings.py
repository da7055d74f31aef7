import numpy as np
import pandas as pd
import pytest

from lossprint.apps.evidence import EVIDENCE
from lossprint.reports.answer import answer
from lossprint.reports.evidence import Evidence
from lossprint.reports.findings import Finding, Verdict
from lossprint.reports.report import findings as findings_of
from lossprint.reports.sections import stages
from lossprint.reports.sections.contrasts import deciding_words
from tests.reports.planted import contrast, property_families, replaced


def findings(evidence: Evidence) -> list[Finding]:
    return findings_of(evidence, [piece.section for piece in EVIDENCE])


def with_contrast(evidence: Evidence, **changes: object) -> Evidence:
    return replaced(evidence, contrasts=pd.DataFrame([contrast(**changes)]))


def about(evidence: Evidence, topic: str):
    return [finding for finding in findings(evidence) if finding.topic == topic]


def test_a_difference_is_told_with_its_size_and_the_noise_of_training(evidence):
    first = findings(evidence)[0]
    assert first.verdict is Verdict.DIFFERENT
    for part in (
        "r = 0.85",
        "r = 0.60",
        "ρ = 0.70 [0.60, 0.80]",
        "p = 0.042",
        "Arcface (ρ = 0.60)",
    ):
        assert part in first.text
    told = answer(evidence)
    assert told.startswith("Not all alike: the maps of these 4 losses differ")
    assert "By maps, arcface (ρ = 0.60) stands out." in told
    assert "38 % of the disagreement between two losses is there between two seeds" in told
    assert "With the maps of untrained networks theirs agree at r = 0.3" in told
    assert told.endswith("; as a yardstick, ρ of trained and untrained networks is 0.43 for maps.")


def test_noise_is_called_noise(evidence):
    noise = with_contrast(evidence, p=0.4, within=0.61, rho=1.0, share=0.0)
    first = findings(noise)[0]
    assert first.verdict is Verdict.NOT_SHOWN
    assert "mean ρ of 0.950 or less would have been shown with 80 % power" in first.text
    assert answer(noise).startswith("Not shown to differ: the maps of these 4 losses")
    assert "a mean ρ of 0.95 most likely could" in answer(noise)


def test_what_is_not_decided_is_one_line_with_what_decides_it(evidence):
    rows = [
        contrast(p=1 / 24, smallest_p=1 / 24, tests=2, measure=m) for m in ("correlation", "cka")
    ]
    few = replaced(evidence, contrasts=pd.DataFrame(rows))
    (undecided,) = [f for f in findings(few) if f.topic == "not decided"]
    assert undecided.verdict is Verdict.UNDECIDABLE
    # 1 / 4! is too large for two questions at 0.05 together, 1 / (4!)² is not.
    assert undecided.text == (
        "With these runs it is not decided whether the maps of the losses and the embeddings of "
        "the losses differ. This decides it: the command of these runs with seed=0,1,2"
    )
    assert answer(few).startswith("Not decided: these are too few trainings")


@pytest.mark.parametrize(("losses", "seeds"), [(2, 7), (3, 4), (4, 3), (5, 3)])
def test_there_are_as_many_seeds_as_the_least_p_takes(evidence, losses, seeds):
    runs = evidence["runs"].query("family != 'control'")
    made = [runs.iloc[[0]].assign(loss=f"l{i}", config=f"l{i}") for i in range(losses)]
    known = Evidence({"runs": pd.concat(made)}, settings={"alpha": 0.05})
    assert deciding_words(known) == f"seed={','.join(map(str, range(seeds)))}"


def test_networks_that_are_not_trained_here_get_no_command(evidence):
    imported = replaced(evidence, runs=evidence["runs"].assign(source="import"))
    once = with_contrast(
        imported, p=np.nan, smallest_p=np.nan, within=np.nan, rho=np.nan, share=np.nan
    )
    assert "the command of these runs" not in " ".join(f.text for f in findings(once))
    assert answer(once).startswith("Whether these 4 losses differ by more than trainings")
    assert "maps agree at r = 0.60" in answer(once)


def test_without_a_noise_floor_nothing_is_claimed(evidence):
    once = with_contrast(
        evidence, within=np.nan, p=np.nan, smallest_p=np.nan, rho=np.nan, share=np.nan
    )
    once = replaced(
        once,
        runs=evidence["runs"].query("seed == 0"),
        # As one run of each loss gives.
        differences=evidence["differences"].assign(p=np.nan),
        **{
            name: evidence[name].assign(p=np.nan, p_adjusted=np.nan)
            for name in ("stages", "explainers")
        },
    )
    assert all(f.verdict is not Verdict.DIFFERENT for f in findings(once))
    assert "seed=0,1" in about(once, "noise floor")[0].text
    assert "too few trainings" in answer(once)


def test_collapsed_networks_are_named(evidence):
    narrow = evidence["geometry"].copy()
    narrow.loc[0, ["effective_rank", "collapsed"]] = [1.5, True]
    (found,) = about(replaced(evidence, geometry=narrow), "collapsed networks")
    assert narrow.loc[0, "run"] in found.text
    assert not about(evidence, "collapsed networks")


@pytest.mark.parametrize(
    ("left", "which"), [([], "all of these 4"), (["triplet"], "all but triplet of these 4")]
)
def test_collapse_is_why_nothing_is_compared(evidence, left, which):
    geometry = evidence["geometry"]
    narrow = geometry.assign(collapsed=~geometry["loss"].isin([*left, "untrained"]))
    bare = replaced(evidence, geometry=narrow, contrasts=pd.DataFrame())
    assert answer(bare).startswith(f"Nothing is compared: the networks of {which} losses are coll")
    assert deciding_words(bare) is None


def test_the_command_is_of_the_losses_that_are_not_collapsed(evidence):
    geometry = evidence["geometry"]
    narrow = replaced(evidence, geometry=geometry.assign(collapsed=geometry["loss"] == "arcface"))
    assert deciding_words(narrow) == "loss=contrastive,normalized_softmax,triplet seed=0,1,2,3"


def test_of_few_properties_none_is_named_twice(evidence):
    by_loss = evidence["properties_by_loss"]
    names = list(dict.fromkeys(by_loss["property"]))
    for number in (2, 3, 4):
        kept = by_loss[by_loss["property"].isin(names[:number])]
        (found,) = about(replaced(evidence, properties_by_loss=kept), "properties")
        assert found.text.count(" σ, ") == number
        assert ("least by" in found.text) == (number > 3)


def test_stages_of_one_network_are_not_drawn(evidence):
    nothing = evidence["stages"].assign(within=np.nan, between=np.nan, untrained=np.nan)
    assert list(stages.drawings(evidence))
    bare = replaced(evidence, stages=nothing)
    assert not [*stages.drawings(bare), *stages.tables(bare)]


def test_one_loss_is_no_comparison(evidence):
    runs = evidence["runs"]
    alone = Evidence({"runs": runs[runs["loss"].isin(["triplet", "untrained"])]})
    assert findings(alone)[0].text.startswith("Only one loss was analysed (triplet)")
    assert answer(alone).startswith("There is nothing to compare: 1 trained loss")


@pytest.mark.parametrize(
    ("p_holm", "smallest_p", "verdict", "says"),
    [
        (0.01, 0.001, Verdict.DIFFERENT, "most car model (12.0 σ ranking, 4.0 σ classification"),
        (0.3, 0.001, Verdict.NOT_SHOWN, "No property was shown to differ"),
        (1.0, 0.02, Verdict.UNDECIDABLE, "is 0.02, too large for a test of 4 properties; losses"),
        (1.0, 0.02, Verdict.UNDECIDABLE, "apart for car model (12.0 σ ranking, 4.0 σ classific"),
    ],
)
def test_properties_of_families(evidence, p_holm, smallest_p, verdict, says):
    tests = property_families(p_holm=p_holm, smallest_p=smallest_p)
    (found,) = about(replaced(evidence, property_families=tests), "properties: families")
    assert found.verdict is verdict
    assert says in found.text


def test_observations_name_the_extremes(evidence):
    (found,) = about(evidence, "saliency maps: pairs")
    assert found.text == (
        "The maps of triplet and contrastive agree least (ρ = 0.91), those of triplet and "
        "normalized softmax most (ρ = 0.93)."
    )
    table = evidence["agreement_by_loss"]
    trained = table[(table["loss_a"] != table["loss_b"]) & (table["loss_b"] != "untrained")]
    least = trained.loc[trained["correlation"].idxmin()]
    bare = replaced(evidence, corrected_by_loss=pd.DataFrame())
    (found,) = about(bare, "saliency maps: pairs")
    over_images = f"{least['image_low']:.2f} to {least['image_high']:.2f} over images"
    assert f"agree least (r = {least['correlation']:.2f}, {over_images})" in found.text
    (car,) = about(evidence, "where the maps lie")
    assert car.text.startswith("The car fills 30% of the pictures and holds ")
    (moves,) = about(evidence, "interventions")
    assert moves.text == (
        "Changing only background brightness moves the embedding most (100% of the distance "
        "between unrelated pictures), changing only car model least (25%). Another car moves it "
        "less than does another background brightness, paint hue and rotation of the car."
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


@pytest.mark.parametrize(
    ("control", "shared"), [("untrained", True), ("mobilenet_v3_small", False), ("random", False)]
)
def test_only_what_networks_began_from_shares_their_initial_weights(evidence, control, shared):
    pairs = evidence["agreement"].assign(seed_a=0, seed_b=0)
    for side in "ab":
        pairs.loc[pairs[f"family_{side}"] == "control", f"loss_{side}"] = control
    told = answer(replaced(evidence, agreement=pairs))
    assert ("whose initial weights they share" in told) is shared
    assert ("With the maps of untrained networks theirs agree" in told) is not shared
