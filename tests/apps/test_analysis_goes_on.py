"""Analyses of runs that are damaged, may not be written, or are analysed by two at once."""

import getpass
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from safetensors.torch import load_file

from lossprint import files
from lossprint.apps import comparison_inputs
from lossprint.apps.comparison import compare
from lossprint.apps.errors import work_anywhere
from lossprint.apps.evidence import EVIDENCE
from lossprint.apps.selection import select_runs
from lossprint.runs.registry import damage
from lossprint.tensor_files import save_tensors
from tests.apps.test_comparison import analysis, save_run

TINY = ("model=timm", "model.name=timm:test_resnet", "model.pretrained=false")


@pytest.fixture
def outputs(small_world, tmp_path) -> Path:
    outputs = tmp_path / "outputs"
    for loss in ("triplet", "arcface"):
        save_run(small_world, outputs, loss, 0, *TINY)
    return outputs


def run(outputs: Path, study: str, *more: str):
    """Compare by one piece of evidence alone, which is quicker than by all."""
    evidence = [piece for piece in EVIDENCE if piece.study.__name__.endswith(f".{study}")]
    assert len(evidence) == 1
    config = analysis(outputs, "untrained=false", *more)
    console = Console(record=True, width=200, file=io.StringIO())
    report = compare(select_runs(config), config, console, evidence)
    return report, console.export_text()


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)


def test_damaged_runs_are_named_and_the_rest_is_compared(small_world, outputs, caplog):
    broken = {}
    for seed, name in enumerate(("run.json", "config.yaml", "weights.safetensors"), start=1):
        broken[name] = save_run(small_world, outputs, "triplet", seed, *TINY)
    weights = broken["weights.safetensors"].weights_file
    save_tensors(load_file(weights), weights)
    flip(weights)
    (broken["run.json"].folder / "run.json").write_text("{")
    broken["config.yaml"].config_file.write_bytes(b"\xff\xfe\0")
    save_run(small_world, outputs, "arcface", 1, *TINY).metrics_file.write_bytes(b"a,b\n\xff")
    report, text = run(outputs, "training_curves", "runs=small")
    assert report.page.is_file()
    for name in ("config.yaml", "weights.safetensors"):
        assert f"{broken[name].folder / name} is" in text
    assert str(broken["run.json"].folder / "run.json") in caplog.text
    assert "metrics.csv, line 1" in caplog.text


def test_runs_that_may_not_be_written_are_analysed_elsewhere(outputs, tmp_path, monkeypatch):
    before = {path: path.stat().st_mtime_ns for path in outputs.rglob("*")}
    real = os.access

    def access(path: Path, mode: int) -> bool:  # root may write everywhere, even in tests
        return not Path(path).is_relative_to(outputs) and real(path, mode)

    monkeypatch.setattr(comparison_inputs.os, "access", access)
    here = tmp_path / "here"
    report, _ = run(here, "map_agreement", f"runs={outputs}/small")
    assert report.page.is_relative_to(here)
    assert {path: path.stat().st_mtime_ns for path in outputs.rglob("*")} == before
    kept = here / "analysis" / ".results" / "small" / "triplet" / "fold0-seed0"
    assert list(kept.glob("maps-*.safetensors"))


HOLD = """
import sys, time
from pathlib import Path
from lossprint.files import alone
with alone(sys.argv[1], "analysing small"):
    print("held", flush=True)
    time.sleep(600)
"""


def test_the_second_of_two_analyses_waits_and_makes_nothing_again(outputs, monkeypatch):
    folder = outputs / "analysis" / "small"
    run(outputs, "map_agreement")
    monkeypatch.setattr("lossprint.probing.maps.make_maps", lambda *_: pytest.fail("made again"))
    first = subprocess.Popen([sys.executable, "-c", HOLD, folder], stdout=subprocess.PIPE)
    assert first.stdout.readline() == b"held\n"
    said = []

    def wait(text: str, *words: object) -> None:  # the first one ends when the second waits
        said.append(text % words)
        first.kill()

    monkeypatch.setattr(files.log, "warning", wait)
    run(outputs, "map_agreement")
    first.communicate()
    assert said[0].startswith(f"analysing small: waiting for process {first.pid}")


@pytest.mark.parametrize("known", [True, False])
def test_a_user_whom_the_system_does_not_know_has_a_home_and_a_name(known, monkeypatch):
    pwd = pytest.importorskip("pwd")

    def unknown(number: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    if not known:
        monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in ("HOME", "USER", "LOGNAME", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "x")  # has what is set below taken back
        monkeypatch.delenv(name)
    before = os.path.expanduser("~"), dict(os.environ)
    work_anywhere()
    assert Path.home().is_absolute()
    assert getpass.getuser() == (getpass.getuser() if known else str(os.getuid()))
    if known:
        assert (os.path.expanduser("~"), dict(os.environ)) == before


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_any_terminal_shows_every_text(encoding, monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
    work_anywhere()
    print("• ≥ é", flush=True)
    assert written.getvalue() in (b"? ? ?\n", b"? ? \xe9\n")


def test_a_sound_run_is_not_damaged(small_world, tmp_path):
    assert damage(save_run(small_world, tmp_path, "triplet", 0, *TINY)) is None
