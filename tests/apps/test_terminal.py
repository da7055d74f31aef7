"""What a comparison shows fits a terminal of 80 columns."""

import pandas as pd
from rich.console import Console

from lossprint.apps.terminal import losses_table
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
