import io
from pathlib import Path

import pytest
from rich.console import Console

from lossprint.runs.record import RunRecord
from lossprint.runs.summary import duration_text, runs_summary


def record(loss: str, **changes: object) -> RunRecord:
    values: dict = {"family": "ranking", "distance": "lp", "fold": 0, "seed": 0, **changes}
    return RunRecord(folder=Path("x"), loss=loss, data_fingerprint="", **values)


def printed(records: list[RunRecord]) -> list[str]:
    out = io.StringIO()
    Console(width=120, file=out).print(runs_summary(records))
    return out.getvalue().splitlines()


def test_every_run_has_its_line() -> None:
    metrics = {"test/map_at_r": 0.1234, "test/precision_at_1": 0.5, "untrained/map_at_r": 0.02}
    lines = printed(
        [
            record("triplet", status="finished", metrics=metrics, durations={"a": 60, "b": 5}),
            record("circle", status="failed", error="ValueError: [bold]scale[/bold] is nan"),
            record("arcface", seed=1, fold=2),
        ]
    )
    triplet, circle, arcface = (
        next(line for line in lines if f"│ {name}" in line)
        for name in ("triplet", "circle", "arcface")
    )
    for text in ("finished", "0.123", "0.500", "0.020", "1 min 05 s"):
        assert text in triplet
    assert "failed" in circle
    assert lines[-1] == "circle-fold0-seed0: ValueError: [bold]scale[/bold] is nan"
    assert "interrupted" in arcface
    assert arcface.split("│")[2:4] == ["    2 ", "    1 "]


def test_variants_of_a_loss_are_told_apart() -> None:
    out = io.StringIO()
    names = ["triplet, lr 0.001", "triplet, lr 0.0003"]
    table = runs_summary([record("triplet"), record("triplet")], names=names)
    Console(width=120, file=out).print(table)
    assert all(f"│ {name} " in out.getvalue() for name in names)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (3599.7, "1 h 00 min"),
        (7620, "2 h 07 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
