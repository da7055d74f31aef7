"""A published report has no link that leads nowhere."""

import importlib
import re
import shutil
from pathlib import Path

import pytest

from lossprint.reports.report import Report

ROOT = Path(__file__).parents[2]


def links(page: Path) -> set[str]:
    found = re.findall(r'<a href="([^"]+)"', page.read_text(encoding="utf-8"))
    return {link for link in found if not link.startswith(("#", "https://"))}


def test_a_published_report_leads_nowhere_but_to_its_own_files(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    module = importlib.import_module("sample_report")
    before, folder = links(report.page), report.page.parent
    assert any(link.startswith("../") for link in before)  # to runs
    size = module.publish(folder, tmp_path / "sample")
    page = tmp_path / "sample" / "report.html"
    left = {"tables/runs.csv", *(link for link in before if link.startswith("../"))}
    large = {x for x in before - left if (folder / x).stat().st_size > module.LARGEST}
    assert links(page) == before - left - large
    assert all((page.parent / link).is_file() for link in links(page))
    assert size == sum(path.stat().st_size for path in page.parent.rglob("*") if path.is_file())
    again = module.publish(folder, tmp_path / "sample")
    assert again == size


def test_a_comparison_that_lacks_a_file_replaces_nothing(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    module = importlib.import_module("sample_report")
    broken = tmp_path / "broken"
    broken.mkdir()
    shutil.copy(report.page, broken)
    (tmp_path / "sample").mkdir()
    (tmp_path / "sample" / "kept").touch()
    with pytest.raises(FileNotFoundError):
        module.publish(broken, tmp_path / "sample")
    assert (tmp_path / "sample" / "kept").exists()


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("report.html")))
def test_reports_of_the_documentation_lead_nowhere_but_to_their_own_files(page: Path):
    assert all((page.parent / link).is_file() for link in links(page))
