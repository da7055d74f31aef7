"""Groups that one loss holds together: planted ones are found and explained, others are not."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from lossprint.reports.evidence import Evidence
from lossprint.reports.findings import Verdict
from lossprint.reports.sections.differences import findings
from lossprint.studies import differences, embedding_similarity
from lossprint.studies.study import Study
from tests.studies import planted


def tables(folder: Path, *, by_model: float, seeds: tuple[int, ...] = (0, 1, 2)) -> Evidence:
    """Triplet arranges the images by their model on top of what all runs share and each adds."""
    networks = planted.networks(folder, ("triplet", "arcface"), seeds=seeds)
    probe = planted.probe_set()
    study = Study(networks, probe, planted.SETTINGS, [differences, embedding_similarity])
    codes = torch.tensor(pd.factorize(probe.properties["model"])[0])
    study.embeddings = [
        found
        + (by_model if network.loss == "triplet" else 0) * torch.nn.functional.one_hot(codes, 8)
        for found, network in zip(study.embeddings, networks, strict=True)
    ]
    study.embeddings_keys = [f"planted{by_model}{i}" for i in range(len(networks))]
    made = {name: study.table(name) for name in differences.TABLES}
    return Evidence(made)


def test_a_planted_difference_is_found_confirmed_and_explained(tmp_path):
    evidence = tables(tmp_path, by_model=6.0)
    found = evidence["differences"]
    held = found[(found["loss_near"] == "triplet") & (found["p"] <= 0.05)]
    assert len(held) >= 2
    best = held.sort_values("gap").iloc[-1]
    assert best["property"] == "model"
    assert best["p_property"] <= 0.05
    assert best["share"] > 0.8 > best["expected"]
    groups = evidence["difference_groups"].query("loss_near == 'triplet'")
    models = planted.probe_set().properties["model"]
    group = groups[groups["group"] == best["group"]]["frame"]
    pairs = models[group].value_counts()
    same = (pairs * (pairs - 1)).sum() / (len(group) * (len(group) - 1))
    assert best["share"] == pytest.approx(same)
    (finding,) = findings(evidence)
    assert finding.verdict is Verdict.DIFFERENT
    assert "Triplet holds" in finding.text
    assert "share car model" in finding.text


def test_nothing_planted_nothing_is_confirmed(tmp_path):
    evidence = tables(tmp_path, by_model=0.0)
    assert (evidence["differences"]["p"] > 0.05).all()
    (finding,) = findings(evidence)
    assert finding.verdict is Verdict.NOT_SHOWN


def test_one_run_of_each_finds_groups_but_confirms_none(tmp_path):
    evidence = tables(tmp_path, by_model=6.0, seeds=(0,))
    assert evidence["differences"]["p"].isna().all()
    (finding,) = findings(evidence)
    assert finding.verdict is Verdict.UNDECIDABLE


def test_ranks_are_places_in_the_order_of_similarity():
    turned = torch.tensor([[np.cos(a), np.sin(a)] for a in (0.0, 0.1, 0.3, 1.0)])
    assert differences.ranks(3 * turned)[0].tolist() == [0, 0.0, 0.5, 1.0]
