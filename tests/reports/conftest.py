import numpy as np
import pytest

from lossprint.reports.evidence import Evidence, Gallery
from lossprint.reports.report import Report, write_report
from tests.reports import planted


@pytest.fixture(scope="session")
def evidence() -> Evidence:
    """Four losses of two families, two seeds each, and the untrained control."""
    return planted.evidence()


@pytest.fixture(scope="session")
def report(evidence, tmp_path_factory) -> Report:
    """Everything that this evidence allows, written once."""
    images = np.full((2, 8, 8, 3), 90, dtype=np.uint8)
    maps = {loss: np.eye(8)[None].repeat(2, 0) for loss in planted.FAMILIES}
    return write_report(
        tmp_path_factory.mktemp("report"),
        evidence,
        title="Four losses",
        galleries=[Gallery("First images", ("a", "b"), images, maps)],
        methods={"seed": "0"},
        significant=2.576,
    )
