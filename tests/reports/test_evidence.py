import numpy as np
import pandas as pd
import pytest

from lossprint.reports.evidence import COLUMNS, Evidence, Gallery, empty_table


def test_tables_and_columns_name_the_same(evidence):
    assert list(evidence.tables()) == list(COLUMNS)


def test_a_table_without_a_column_is_named():
    with pytest.raises(ValueError, match=r"table 'contrasts' lacks the column\(s\) smallest_p;"):
        Evidence(contrasts=empty_table("contrasts").drop(columns="smallest_p"))


def test_families_are_gathered_from_every_table():
    pair = {c: ["x"] for c in COLUMNS["agreement"]} | {
        "loss_a": ["snr"],
        "family_a": ["ranking"],
        "loss_b": ["untrained"],
        "family_b": ["control"],
    }
    found = Evidence(agreement=pd.DataFrame(pair)).families()
    assert found == {"snr": "ranking", "untrained": "control"}


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
