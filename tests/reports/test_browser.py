"""The page in a real browser: what is clicked, typed and printed works, and nothing complains."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

CHROMIUM = next(
    (
        path
        for name in ("chromium", "chromium-browser", "google-chrome")
        if (path := shutil.which(name))
    ),
    None,
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

ACTIONS = """
<script>
const seen = {errors: []};
window.addEventListener("error", (event) => seen.errors.push(String(event.message)));
window.addEventListener("securitypolicyviolation", (e) => seen.errors.push(e.blockedURI));
window.addEventListener("load", () => {
  const names = () => [...document.querySelectorAll("#overview tbody tr")]
    .filter((row) => !row.hidden)
    .map((row) => row.querySelector("[data-column=loss]").dataset.sort);
  const heading = (text) => [...document.querySelectorAll("#overview thead th")]
    .find((cell) => cell.textContent.trim() === text);
  const press = (text) => heading(text).querySelector("button").click();
  const enter = (id, value, kind) => {
    document.getElementById(id).value = value;
    document.getElementById(id).dispatchEvent(new Event(kind));
  };
  seen.images = [...document.images].map((image) => image.complete && image.naturalWidth > 0);
  seen.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  seen.start = names();
  press("MAP@R"); seen.ascending = names();
  seen.sorted = heading("MAP@R").getAttribute("aria-sort");
  press("MAP@R"); seen.descending = names();
  press("loss"); seen.alphabet = names();
  enter("find", "FACE", "input"); seen.found = names(); seen.count = shown.textContent;
  enter("find", "", "input"); enter("family", "ranking", "change"); seen.ranking = names();
  enter("family", "", "change"); seen.everything = names();
  document.body.insertAdjacentHTML("beforeend", "<pre id=seen></pre>");
  document.getElementById("seen").textContent = JSON.stringify(seen);
});
</script>
"""


def browse(page: Path, profile: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [
        *(str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
        *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
        *("--disable-sync", f"--user-data-dir={profile}", "--enable-logging=stderr", *options),
        page.as_uri(),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)


@pytest.fixture(scope="module")
def page(report, tmp_path_factory) -> Path:
    # The script goes first, so that it hears the page's own script complain.
    text = report.page.read_text(encoding="utf-8").replace("<head>", "<head>" + ACTIONS, 1)
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("size", ["1280,900", "500,900"])
def test_sorting_filtering_and_images_work_and_nothing_complains(page, evidence, tmp_path, size):
    result = browse(
        page,
        tmp_path / "profile",
        f"--window-size={size}",
        "--dump-dom",
        "--virtual-time-budget=4000",
    )
    assert "CONSOLE" not in result.stderr
    found = re.search(r'<pre id="seen">(.*?)</pre>', result.stdout, re.DOTALL)
    assert found is not None, "the page's script did not run to its end"
    seen = json.loads(found[1])
    assert seen["errors"] == []
    assert len(seen["images"]) == 12
    assert all(seen["images"])
    assert seen["overflow"] <= 0
    means = evidence["retrieval_by_loss"].query("metric == 'map_at_r'").set_index("loss")["mean"]
    order = means.sort_values().index.tolist()
    assert seen["ascending"] == [*order, "untrained"]  # without a value: last both ways
    assert seen["descending"] == [*order[::-1], "untrained"]
    assert seen["sorted"] == "ascending"
    assert seen["alphabet"] == sorted(seen["start"])
    assert seen["found"] == ["arcface"]
    assert seen["count"] == "1 of 5 shown"
    assert seen["ranking"] == ["contrastive", "triplet"]
    assert sorted(seen["everything"]) == sorted(seen["start"])


def test_it_prints(page, tmp_path):
    pdf = tmp_path / "page.pdf"
    browse(page, tmp_path / "profile", "--no-pdf-header-footer", f"--print-to-pdf={pdf}")
    assert pdf.read_bytes().startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf.read_bytes())) > 1
