import pytest

from lossprint.apps.evidence import EVIDENCE
from lossprint.reports.evidence import Evidence
from lossprint.reports.report import Report, write_report
from tests.reports import planted


@pytest.fixture(scope="session")
def evidence() -> Evidence:
    """Four losses of two families, two seeds each, and the untrained control."""
    return planted.evidence()


@pytest.fixture(scope="session")
def report(evidence, tmp_path_factory) -> Report:
    """Everything that this evidence allows, written once."""
    return write_report(
        tmp_path_factory.mktemp("report"),
        evidence,
        [piece.section for piece in EVIDENCE],
        title="Four losses",
        methods={"seed": "0"},
    )
