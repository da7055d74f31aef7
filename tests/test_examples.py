"""The examples run, and show what they say."""

import runpy
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_lightning_module_that_knows_nothing_of_this_package(tmp_path):
    names = runpy.run_path(str(ROOT / "examples" / "own_lightning_module.py"))
    trainer = names["main"](str(tmp_path))
    folder = Path(trainer.log_dir)
    assert (folder / "saliency.png").is_file()
    table = pd.read_csv(folder / "probe_properties.csv", index_col="property")
    # It was trained to tell colours, and not where the square is.
    assert table.loc["colour", "trained"] > table.loc["place", "trained"] + 2
    rows = pd.read_csv(folder / "metrics.csv")
    measured = rows.dropna(subset="map_r/initial")["step"]
    assert list(measured) == [10, 20, 30, 36]
