"""What a comparison shows fits a terminal of 80 columns, and a log file."""

import io

import pandas as pd
from rich.console import Console

from lossprint.apps.terminal import losses_table, progress_bar
from lossprint.reports.section import Column

HEADINGS = [
    "runs",
    "ρ maps",
    "ρ embeddings",
    "maps, others",
    "maps, itself",
    "on car",
    "rank",
    "MAP@R",
]
NAMES = {
    "contrastive": "ranking",
    "generalized_lifted_structure": "ranking",
    "normalized_softmax": "classification",
    "untrained": "control",
}


def test_no_name_and_no_number_is_cut_short():
    values = [3, 0.9633, 0.8111, float("nan"), 0.8022, 0.4273, 27.3411, 0.3844]
    overview = pd.DataFrame(
        [[loss, family, *values] for loss, family in NAMES.items()],
        columns=["loss", "family", *HEADINGS],
    )
    console = Console(width=80)
    with console.capture() as captured:
        console.print(losses_table([Column(name, {}, name) for name in HEADINGS], overview))
    text = captured.get()
    assert "…" not in text
    lines = [line.split() for line in text.splitlines()]
    assert ["contrastive", "3", "0.963", "0.811", "–", "0.802", "0.427", "27.3", "0.384"] in lines
    assert [line for line in lines if line in (["ranking"], ["classification"], ["control"])] == [
        ["ranking"], ["classification"], ["control"],
    ]  # fmt: skip
    assert " ".join(text.split()).count("generalized lifted") == 1


def test_a_log_file_gets_a_line_for_each_tenth():
    said = io.StringIO()
    with progress_bar(Console(file=said, force_terminal=False)) as on_progress:
        for done in range(30):
            for part in ("maps", "embeddings"):
                on_progress(f"{part} of [{done}]", done, 30)
        on_progress("done", 30, 30)
    lines = said.getvalue().splitlines()
    assert lines[:2] == ["step 1 of 30: maps of [0]", "step 4 of 30: maps of [3]"]
    assert len(lines) == 11
    assert lines[-1] == "done"
