"""The piece of evidence that CONTRIBUTING.md shows, registered from outside the package."""

import dataclasses
import re
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
from rich.console import Console
from safetensors.torch import load_file

from lossprint.apps import comparison
from lossprint.apps.comparison_inputs import ComparisonInputs
from lossprint.apps.evidence import EVIDENCE, PieceOfEvidence
from lossprint.probing import embeddings_key
from lossprint.runs.record import RunRecord
from lossprint.runs.tracker import Tracker
from lossprint.studies.columns import SKIPPED, empty
from tests.studies.planted import SETTINGS, networks, probe_set

PAGE = Path(__file__).parents[2] / "CONTRIBUTING.md"


class Recorder(Tracker):
    path = "offline/run"

    def __init__(self) -> None:
        self.tables: dict[str, pd.DataFrame] = {}

    def log_table(self, key: str, table: pd.DataFrame) -> None:
        self.tables[key] = table


def module(ending: str) -> ModuleType:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (source,) = [block for block in blocks if block.startswith(f"# {ending}")]
    made = ModuleType(Path(ending).stem)
    exec(compile(source, ending, "exec"), made.__dict__)
    return made


@pytest.fixture
def planted(tmp_path):
    made = networks(tmp_path, ("triplet", "arcface"), seeds=(0,))
    return [
        dataclasses.replace(
            network,
            run=RunRecord(
                network.cache.parent, network.loss, network.family, "cosine", 0, 0, "same"
            ).begin({}),
        )
        for network in made
    ]


def test_two_files_and_one_line_are_a_piece_of_evidence(planted, tmp_path, monkeypatch):
    inputs = ComparisonInputs(planted, empty(SKIPPED), probe_set(), None, [], [])
    tracker = Recorder()

    @contextmanager
    def open_recorder(logger, run):
        yield tracker

    monkeypatch.setattr(comparison, "comparison_inputs", lambda *args, **options: inputs)
    monkeypatch.setattr(comparison, "open_tracker", open_recorder)
    study = module("studies/embedding_length.py")
    section = module("reports/sections/embedding_length.py").SECTION
    config = {
        "study": SETTINGS.described() | {"draws": 99},
        "output_root": str(tmp_path / "outputs"),
        "trust": False,
        "probe": {"folder": None},
        **dict.fromkeys(("models", "name", "logger")),
    }
    console = Console(record=True, width=200, quiet=False, file=(tmp_path / "log").open("w"))
    with console.file:
        report = comparison.compare(
            [], config, console, [*EVIDENCE, PieceOfEvidence(study, section)]
        )

    table = pd.read_csv(report.page.parent / "tables" / "embedding_length.csv")
    for network, length in zip(planted, table["length"], strict=True):
        key = embeddings_key(network, probe_set())
        kept = load_file(network.cache / f"embeddings-{key}.safetensors")["embeddings"]
        assert length == pytest.approx((kept.double() ** 2).sum(1).sqrt().mean().item())
    assert (report.page.parent / "figures" / "embedding_length.png").is_file()
    page = report.page.read_text(encoding="utf-8")
    longest = table.loc[table["length"].idxmax(), "loss"]
    assert f"The embeddings of {longest} are the longest." in page
    assert 'id="embedding-length"' in page
    assert "Mean L2 norm" in page
    assert tracker.tables["analysis/embedding_length"]["run"].tolist() == table["run"].tolist()
    printed = console.export_text()
    assert "length" in printed[printed.index("Losses") : printed.index("───")]  # heads a column
