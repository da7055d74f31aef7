"""Losses at equal retrieval, and how their likeness goes with it."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr

from lossprint.reports.evidence import Evidence
from lossprint.reports.findings import Verdict
from lossprint.reports.sections.matched_retrieval import SECTION as MATCHED
from lossprint.reports.sections.retrieval import SECTION as RETRIEVAL
from lossprint.runs.levels import Level, keep_level
from lossprint.runs.record import MONITOR, RunRecord
from lossprint.studies.matching import MatchedNetwork, matched_networks
from lossprint.studies.study import Study
from tests.studies.planted import PIECES, SETTINGS, networks, probe_set

LOSSES = ("triplet", "margin", "arcface", "cosface")
SEEDS = (0, 1, 2)


def trained(folder, loss, levels):
    """A network of a run that kept states at these levels, one an epoch."""
    (network,) = networks(folder, (loss,), seeds=(0,), keep=False)
    record = RunRecord(folder / loss, loss, "ranking", "lp", 0, 0, "same")
    for epoch, value in enumerate(levels):
        keep_level(
            {loss: torch.tensor([value])}, record.levels_folder, epoch=epoch, value=value, at_most=9
        )
    return dataclasses.replace(network, run=record)


def test_each_run_is_taken_where_it_came_nearest_to_what_all_reach(tmp_path):
    made = [
        trained(tmp_path, "triplet", [0.1, 0.28, 0.35, 0.5]),
        trained(tmp_path, "arcface", [0.2, 0.3, 0.25]),
        trained(tmp_path, "margin", [0.32, 0.9]),
    ]
    (control,) = networks(tmp_path, ("cosface",), seeds=(0,), keep=False)
    matched = matched_networks([*made, control], lambda run, weights_file: (run.loss, weights_file))
    assert [(m.network.loss, m.level.epoch, m.best) for m in matched] == [
        ("triplet", 1, 0.5),
        ("arcface", 1, 0.3),
        ("margin", 0, 0.9),
    ]
    for found, network in zip(matched, made, strict=True):
        assert found.network.load() == (network.loss, found.level.weights_file)
        assert found.network.weights_key != network.weights_key
        assert found.network.name == network.name
        assert not found.network.metrics  # they are of the best epoch


def test_runs_that_kept_nothing_are_named_with_what_keeps_it(tmp_path):
    made = [trained(tmp_path, "triplet", [0.1]), trained(tmp_path, "arcface", [])]
    with pytest.raises(
        ValueError, match=rf"match={MONITOR} .* arcface/fold0-seed0 kept none.*levels=5"
    ):
        matched_networks(made, lambda run, weights_file: ())


def study(folder, *, best_effect, matched_effect):
    """Four losses that differ by one effect at their best epochs, by another where matched."""
    best = networks(folder / "best", LOSSES, seeds=SEEDS, loss_effect=best_effect)
    other = networks(folder / "matched", LOSSES, seeds=SEEDS, loss_effect=matched_effect)
    matched = [MatchedNetwork(n, Level(2, 0.3, folder), 0.4) for n in other]
    return Study(best, probe_set(), SETTINGS, PIECES, matched=matched)


@pytest.mark.parametrize(
    ("matched_effect", "verdict", "says"),
    [
        (1.5, Verdict.DIFFERENT, "They differ at equal retrieval (p = "),
        (0.0, Verdict.NOT_SHOWN, "That they differ is shown at their best epochs only."),
    ],
    ids=["planted truth", "planted nothing"],
)
def test_a_difference_that_retrieval_explains_is_gone_at_equal_retrieval(
    tmp_path, matched_effect, verdict, says
):
    made = study(tmp_path, best_effect=1.5, matched_effect=matched_effect)
    names = ("contrasts", "matched_contrasts", "matched_epochs")
    tables = {name: made.table(name) for name in names}
    evidence = Evidence(tables, settings={"alpha": 0.05})
    found = {finding.topic: finding for finding in MATCHED.findings(evidence)}
    maps = found["maps at equal retrieval"]
    assert maps.verdict is verdict
    assert says in maps.text
    assert "validation MAP@R 0.300 to 0.300" in maps.text
    # As the contrasts of these networks on their own.
    alone = Study([m.network for m in made.matched], probe_set(), SETTINGS, PIECES)
    pd.testing.assert_frame_equal(tables["matched_contrasts"], alone.table("contrasts"))
    assert tables["matched_epochs"]["best"].tolist() == [0.4] * 12
    beside, epochs = MATCHED.tables(evidence)
    assert beside.table["at"].tolist() == ["their best epochs", "equal retrieval"] * 2
    assert epochs.table["validation MAP@R"].tolist() == ["0.300"] * 12


def test_nothing_is_matched_unless_asked_for(tmp_path):
    made = Study(networks(tmp_path, LOSSES[:2]), probe_set(), SETTINGS, PIECES)
    assert made.table("matched_contrasts").empty
    assert made.table("matched_epochs").empty


@pytest.mark.parametrize("confounded", [True, False], ids=["planted truth", "planted nothing"])
def test_likeness_that_goes_with_retrieval_is_warned_of(tmp_path, confounded):
    """Arcface and cosface are alike, and retrieve alike where that is planted."""
    losses = ("triplet", "margin", "contrastive", "arcface", "cosface", "proxy_nca")
    made = networks(tmp_path, losses, family_effect=2.0)
    level = {"ranking": 0.1, "classification": 0.5}
    even = {"triplet": 0.1, "margin": 0.5, "contrastive": 0.3, "arcface": 0.12, "cosface": 0.52}
    values = {
        n.loss: level[n.family] + 0.01 * losses.index(n.loss)
        if confounded
        else even.get(n.loss, 0.32)
        for n in made
    }
    made = [dataclasses.replace(n, metrics={"test/map_at_r": values[n.loss]}) for n in made]
    analysed = Study(made, probe_set(), SETTINGS, PIECES)
    relation = analysed.table("retrieval_relation").set_index("measure")
    rho = analysed.table("corrected_by_loss").query("loss_a != loss_b")
    apart = np.abs(rho["loss_a"].map(values) - rho["loss_b"].map(values))
    for measure in ("correlation", "cka"):
        expected = spearmanr(rho[measure].astype(float), apart.astype(float))[0]
        assert relation.loc[measure, "rank_correlation"] == pytest.approx(expected)
        assert relation.loc[measure, "rho"]
    names = ("retrieval", "retrieval_by_loss", "retrieval_relation", "matched_contrasts")
    evidence = Evidence({name: analysed.table(name) for name in names}, settings={"alpha": 0.05})
    warned = [f for f in RETRIEVAL.findings(evidence) if f.topic == "retrieval as a confounder"]
    assert len(warned) == confounded
    if confounded:
        assert "match=val/map_at_r" in warned[0].text
        assert f"{relation.loc['correlation', 'rank_correlation']:.2f} for maps" in warned[0].text
    printed = {table.name: table.table for table in RETRIEVAL.tables(evidence)}
    assert printed["likeness_and_retrieval"]["likeness of two losses"].tolist() == [
        "maps, by ρ",
        "embeddings, by ρ",
    ]
