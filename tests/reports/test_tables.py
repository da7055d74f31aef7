import numpy as np
import pandas as pd
import pytest

from lossprint.apps.evidence import EVIDENCE
from lossprint.reports.evidence import Evidence
from lossprint.reports.overview import loss_columns, loss_overview
from lossprint.reports.section import PrintedTable
from lossprint.reports.style import readable
from lossprint.reports.table_files import to_latex, write_tables
from lossprint.reports.tables import loss_matrix, pair_relation, pair_table
from tests.reports.planted import property_families, replaced

SECTIONS = [piece.section for piece in EVIDENCE]


def printed(evidence: Evidence) -> list[PrintedTable]:
    return [table for section in SECTIONS for table in section.tables(evidence)]


def table_of(evidence: Evidence, name: str) -> pd.DataFrame:
    (found,) = [table.table for table in printed(evidence) if table.name == name]
    return found


def test_losses_are_grouped_by_family_and_the_matrix_is_symmetric(evidence):
    matrix, families = loss_matrix(evidence["agreement_by_loss"], "correlation")
    order = ["contrastive", "triplet", "arcface", "normalized_softmax", "untrained"]
    assert list(matrix.index) == list(matrix.columns) == order
    assert families["arcface"] == "classification"
    np.testing.assert_array_equal(matrix, matrix.T)
    assert np.isnan(matrix.loc["untrained", "untrained"])  # one run: nothing to compare with
    by_loss = evidence["agreement_by_loss"].set_index(["loss_a", "loss_b"])
    assert matrix.loc["arcface", "triplet"] == by_loss.loc[("triplet", "arcface"), "correlation"]


def test_an_unknown_measure_is_named(evidence):
    with pytest.raises(ValueError, match="no measure 'r'; there are loss_a"):
        loss_matrix(evidence["agreement_by_loss"], "r")


def test_relations_of_pairs():
    pairs = pd.DataFrame(
        [
            ("a", "ranking", "a", "ranking"),
            ("a", "ranking", "b", "ranking"),
            ("a", "ranking", "c", "classification"),
            ("a", "ranking", "u", "control"),
            ("u", "control", "u", "control"),
        ],
        columns=["loss_a", "family_a", "loss_b", "family_b"],
    )
    expected = ["same loss", "same family", "between families", "control", "control"]
    assert pair_relation(pairs).tolist() == expected


def test_retrieval_starts_with_the_best_loss(evidence):
    table = table_of(evidence, "retrieval")
    means = evidence["retrieval_by_loss"].query("metric == 'map_at_r'").set_index("loss")["mean"]
    assert table["loss"].tolist() == means.sort_values(ascending=False).index.tolist()
    best = evidence["retrieval_by_loss"].query("metric == 'map_at_r'").nlargest(1, "mean").iloc[0]
    assert table["map_at_r"][0] == f"{best['mean']:.3f} [{best['low']:.3f}, {best['high']:.3f}]"


def test_a_figure_that_a_loss_lacks_is_an_empty_cell(evidence):
    row = evidence["retrieval_by_loss"].query("loss == 'triplet'").iloc[[0]]
    more = pd.concat([evidence["retrieval_by_loss"], row.assign(metric="concatenated/map_at_r")])
    table = table_of(replaced(evidence, retrieval_by_loss=more), "retrieval")
    cells = table.set_index("loss")["concatenated/map_at_r"]
    assert cells["triplet"] == table.set_index("loss")["map_at_r"]["triplet"]
    assert set(cells.drop("triplet")) == {""}
    assert readable("concatenated/map_at_r") == "concatenated MAP@R"


def test_property_table_has_the_study_s_form(evidence):
    evidence = replaced(evidence, property_families=property_families(p_holm=0.00001))
    table = table_of(evidence, "normalized_r_precision").set_index("loss")
    assert table.index.tolist() == [
        *("contrastive", "triplet", "mean of ranking"),
        *("arcface", "normalized_softmax", "mean of classification", "untrained"),
        *("superiority of ranking", "p, Mann–Whitney over lineages", "p, Holm"),
        "p, Mann–Whitney over runs (the publication's)",
    ]
    means = evidence["properties_by_loss"].set_index(["loss", "property"])["mean"]
    hue = np.mean([means[loss, "color_hue"] for loss in ("contrastive", "triplet")])
    assert table.loc["mean of ranking", "color_hue"] == f"{hue:.2f}* ({hue / 25:.0%})"
    model = means["contrastive", "model"]
    assert (
        table.loc["contrastive", "model"] == f"{model:.2f} ({model / 25:.0%})"
    )  # below 2.576: no mark
    assert table.loc["p, Holm", "model"] == "< 0.0001"


def test_pairs_carry_their_spread_and_gaps_stay_empty(evidence):
    table = pair_table(evidence["agreement_by_loss"], "correlation", spread="spread").set_index(
        "loss"
    )
    assert table.loc["untrained", "untrained"] == ""
    assert table.loc["triplet", "arcface"].endswith(" ± 0.10")


def test_contrasts_and_shares_as_text(evidence):
    row = table_of(evidence, "within_and_between").iloc[0]
    assert row.to_dict() == {
        "compared": "maps, by correlation",
        "groups": "losses",
        "two trainings of one": "0.850",
        "two losses": "0.600",
        "ρ": "0.700 [0.600, 0.800]",
        "the losses' share": "0.625 [0.500, 0.750]",
        "ρ, trained and untrained": "0.430",
        "p": "0.0417",
        "p, Holm": "0.0417 of 1",
        "least p possible": "0.0417",
        "detectable ρ": "0.950",
    }
    assert table_of(evidence, "saliency_shares").iloc[-1].to_dict() == {
        "loss": "share of the area",
        "family": "",
        "car": "0.300",
        "background": "0.500",
        "shadow": "0.050",
    }


def test_interventions_have_a_table_for_each_reference(evidence):
    for reference, model in (("unrelated_scenes", "0.250"), ("two_designs", "1.000")):
        table = table_of(evidence, f"interventions_against_{reference}").set_index("loss")
        low, high = float(model) - 0.1, float(model) + 0.1  # one run: over images alone
        assert table.loc["untrained", "model"] == f"{model} ({low:.3f} to {high:.3f})"
        assert table.loc["arcface", "model"] == f"{model} [{model}, {model}]"


def test_overview_averages_over_other_trained_losses_only(evidence):
    overview = loss_overview(evidence, loss_columns(evidence, SECTIONS)).set_index("loss")
    matrix, _ = loss_matrix(evidence["agreement_by_loss"], "correlation")
    others = matrix.loc["triplet", ["contrastive", "arcface", "normalized_softmax"]].mean()
    assert overview.loc["triplet", "map agreement with other losses"] == pytest.approx(others)
    assert overview.loc["triplet", "map agreement between its runs"] == pytest.approx(
        matrix.loc["triplet", "triplet"]
    )
    assert overview["runs"].to_dict()["untrained"] == 1


def test_latex_is_escaped_and_ruled_between_families(evidence):
    text = to_latex(table_of(evidence, "normalized_r_precision"))
    assert r"normalized\_softmax" in text
    assert "normalized_softmax" not in text
    lines = text.splitlines()
    after = lines[next(i for i, line in enumerate(lines) if "mean of ranking" in line) + 1]
    assert after == r"\midrule"
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 1
    assert r"$\pm$" in to_latex(table_of(evidence, "map_correlation"))


def test_files_hold_what_the_tables_hold(evidence, tmp_path):
    paths = write_tables(tmp_path, evidence.tables, printed(evidence))
    assert {path.suffix for path in paths} == {".csv", ".parquet", ".tex"}
    assert not list(tmp_path.glob("skipped*"))  # empty tables are left out
    for read, name in ((pd.read_csv, "agreement.csv"), (pd.read_parquet, "agreement.parquet")):
        found = read(tmp_path / name)
        np.testing.assert_allclose(found["correlation"], evidence["agreement"]["correlation"])
        assert found["run_a"].tolist() == evidence["agreement"]["run_a"].tolist()
