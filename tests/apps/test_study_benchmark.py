"""What the documentation says of the shortcut: planted ones are found, and no others."""

import importlib
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

ROOT = Path(__file__).parents[2]
LOSSES = {"triplet": "ranking", "contrastive": "ranking", "arcface": "classification"}


@pytest.fixture
def study(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("study")


def write_tables(folder: Path, effect: dict[str, float], *, seed: int) -> Path:
    """A comparison's tables: noise, and so much more of every measure under each loss."""
    rng = np.random.default_rng(seed)
    runs = [
        [f"{loss}/fold0-seed{number}", loss, family, 0, number]
        for loss, family in {**LOSSES, "untrained": "control"}.items()
        for number in range(3)
    ]
    columns = ["run", "loss", "family", "fold", "seed"]
    value = [effect.get(run[1], 0.0) + 0.1 * rng.normal() for run in runs]
    table = pd.DataFrame(runs, columns=columns).assign(value=value)
    folder.mkdir()
    named = {
        "properties": [{"property": "color_hue"}, {"property": "model"}],
        "interventions": [
            {"property": "color_hue", "reference": "two designs"},
            {"property": "color_hue", "reference": "unrelated scenes"},
        ],
        "shares": [{"region": "car"}, {"region": "background"}],
        "retrieval": [{"metric": "map_at_r"}],
    }
    for name, kinds in named.items():
        wrong = 99.0  # the second kind is none of the measures
        parts = [
            table.assign(
                **kind, value=table["value"] + wrong * (number > 0) * (name != "properties")
            )
            for number, kind in enumerate(kinds)
        ]
        pd.concat(parts).to_csv(folder / f"{name}.csv", index=False)
    return folder


def both(study, tmp_path: Path, effect: dict[str, float]) -> pd.DataFrame:
    plain = study.measures(write_tables(tmp_path / "plain", {}, seed=1))
    return study.pairs(plain, study.measures(write_tables(tmp_path / "cut", effect, seed=2)))


def test_a_planted_shortcut_is_told_with_its_size(study, tmp_path):
    found = both(study, tmp_path, {"triplet": 5.0, "contrastive": 3.0, "arcface": 1.0})
    assert set(found["loss"]) == set(LOSSES)  # not the control
    table = study.by_loss(found).set_index(["measure", "loss"])
    for measure in ("NR-Prec of paint", "displacement by paint", "saliency on the car", "MAP@R"):
        row = table.loc[measure, "triplet"]
        apart = found[(found["measure"] == measure) & (found["loss"] == "triplet")]["difference"]
        reach = stats.t.ppf(0.975, 2) * stats.sem(apart)
        assert row["difference"] == pytest.approx(row["shortcut"] - row["plain"])
        assert (row["low"], row["high"]) == pytest.approx(
            (apart.mean() - reach, apart.mean() + reach)
        )
        assert row["low"] < 5 < row["high"] or abs(row["difference"] - 5) < 0.2
    assert table.loc[("MAP@R", "all"), "difference"] == pytest.approx(3.0, abs=0.3)
    differ = study.losses_differ(found, draws=5000).set_index("measure")
    assert (differ["p"] < 0.04).all()  # of three losses the least is 1 in (3!)²
    assert differ.loc["MAP@R", "spread"] == pytest.approx(2.0, abs=0.2)


def test_where_none_is_planted_none_is_told(study, tmp_path):
    found = both(study, tmp_path, {})
    everywhere = study.by_loss(found).query("loss == 'all'")
    assert ((everywhere["low"] < 0) & (everywhere["high"] > 0)).all()
    assert (study.losses_differ(found, draws=2000)["p"] > 0.05).all()


def test_losses_that_take_it_alike_are_not_told_apart(study, tmp_path):
    found = both(study, tmp_path, dict.fromkeys(LOSSES, 4.0))
    assert (study.by_loss(found).query("loss == 'all'")["low"] > 3).all()
    assert (study.losses_differ(found, draws=2000)["p"] > 0.05).all()


def test_worlds_without_a_common_run_are_refused(study, tmp_path):
    plain = study.measures(write_tables(tmp_path / "plain", {}, seed=1))
    with pytest.raises(ValueError, match="no loss was trained with the same seed in both"):
        study.pairs(plain, plain.assign(seed=7))


def test_the_figure_has_a_line_for_every_network(study, tmp_path):
    drawn = study.figure(both(study, tmp_path, {}))
    assert [len(axis.lines) for axis in drawn.axes] == [9, 9, 9]


def test_cited_numbers_are_their_tables(study, tmp_path):
    pd.DataFrame({"measure": ["r", "cka"], "rho": [0.9634, 0.25], "n": [1234, 5]}).to_csv(
        tmp_path / "t.csv", index=False
    )
    text = "ρ = 0<!--=t.csv|measure=r|rho|.2f--> (7<!--=t.csv|measure=cka|rho|.0%--> %), "
    text += "0<!--=t.csv|measure=r&n=1234|n|,d--> of 3.14 images"
    full = study.filled(text, tmp_path)
    assert re.sub("<!--.*?-->", "", full) == "ρ = 0.96 (25 %), 1,234 of 3.14 images"
    assert study.filled(full, tmp_path) == full


@pytest.mark.parametrize(
    ("citation", "message"),
    [
        ("t.csv|measure=q|rho|.2f", "names 0 rows"),
        ("t.csv||rho|.2f", "names 2 rows"),
        ("t.csv|loss=r|rho|.2f", "has no column 'loss'"),
        ("t.csv|measure=r|p|.2f", "or no column"),
    ],
)
def test_what_is_cited_wrongly_is_named(study, tmp_path, citation, message):
    pd.DataFrame({"measure": ["r", "cka"], "rho": [0.9, 0.2]}).to_csv(tmp_path / "t.csv")
    with pytest.raises(ValueError, match=message):
        study.filled(f"0<!--={citation}-->", tmp_path)


def test_every_number_of_the_page_is_that_of_its_table(study):
    page = ROOT / "docs" / "study" / "index.md"
    text = page.read_text(encoding="utf-8")
    assert len(study.CITED.findall(text)) > 20
    assert study.filled(text, page.parent) == text
    prose = re.sub("`[^`]*`", "", study.CITED.sub("", text))
    assert re.findall(r"\d\.\d+", prose) == []  # none stands without its table
