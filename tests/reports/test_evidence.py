import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from lossprint.apps.evidence import EVIDENCE
from lossprint.reports import figures
from lossprint.reports.answer import answer
from lossprint.reports.evidence import Evidence
from lossprint.reports.figures.galleries import Gallery
from lossprint.reports.report import write_report
from tests.reports import planted

SECTIONS = [piece.section for piece in EVIDENCE]
TABLES = {name: columns for piece in EVIDENCE for name, columns in piece.study.TABLES.items()}


def said(evidence: Evidence) -> list[object]:
    """All that the sections make of it."""
    return [
        made
        for section in SECTIONS
        for part in (
            section.drawings,
            section.widgets,
            section.tables,
            section.findings,
            section.columns,
        )
        for made in part(evidence)
    ]


def test_planted_tables_have_the_columns_that_the_studies_give(evidence):
    assert {*evidence.tables} == {*TABLES, "skipped"}
    for name, columns in TABLES.items():
        assert {*columns} <= {*evidence[name].columns}, name


@pytest.mark.parametrize("name", [*TABLES, "skipped"])
def test_a_report_does_without_any_one_table(evidence, name, monkeypatch):
    drawn = {*figures.__all__} - {"classical_mds", "clustered_order", "save_figure", "web_picture"}
    for kind in drawn:  # tested elsewhere, and takes seconds
        monkeypatch.setattr(figures, kind, lambda *tables, **options: Figure())
    without = {key: evidence[key] for key in evidence.tables if key != name}
    missing = Evidence(without, evidence.arrays, evidence.settings)
    empty = planted.replaced(evidence, **{name: evidence[name].iloc[:0]})
    assert len(said(missing)) == len(said(empty)) <= len(said(evidence))
    assert answer(missing) == answer(empty)


def test_a_report_of_nothing_is_a_page(tmp_path):
    report = write_report(tmp_path, Evidence({}), SECTIONS, title="Nothing", methods={})
    assert "There is nothing to compare: 0 trained losses" in report.page.read_text("utf-8")
    assert report.findings == []
    assert report.tables == []


def test_families_are_gathered_from_every_table():
    pair = {"loss_a": ["snr"], "family_a": ["ranking"], "loss_b": ["untrained"]}
    tables = {"agreement": pd.DataFrame(pair | {"family_b": ["control"]})}
    assert Evidence(tables).families == {"snr": "ranking", "untrained": "control"}
    assert Evidence(tables).trained_losses() == ["snr"]


@pytest.mark.parametrize(
    ("images", "frames", "maps", "message"),
    [
        (np.zeros((2, 4, 4, 3), np.float32), ("a", "b"), {}, "uint8"),
        (np.zeros((2, 4, 4, 3), np.uint8), ("a",), {}, "1 frame names for 2 images"),
        (np.zeros((2, 4, 4, 3), np.uint8), ("a", "b"), {"l": np.zeros((2, 4, 5))}, "maps of 'l'"),
    ],
)
def test_a_gallery_that_does_not_fit_is_refused(images, frames, maps, message):
    with pytest.raises(ValueError, match=message):
        Gallery("first", frames, images, maps)
