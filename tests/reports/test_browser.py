"""The page in a real browser: what is clicked, typed, pointed at and printed works."""

import re
import shutil
from pathlib import Path

import pytest

from lossprint.reports.style import readable
from tests.reports.planted import FAMILIES, IMAGES

CHROMIUM = next(
    (
        path
        for name in ("chromium", "chromium-browser", "google-chrome")
        if (path := shutil.which(name))
    ),
    None,
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
SIZES = ("1280", "400")
FAMILIES_IN_ORDER = ["contrastive", "triplet", "arcface", "normalized_softmax", "untrained"]


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module", params=SIZES)
def page(browser, report, request):
    """The page at a desktop's and at a phone's width; nothing may complain while it is used."""
    page = browser.new_page(viewport={"width": int(request.param), "height": 900})
    page.set_default_timeout(60_000)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda asked: complaints.extend(_beyond(asked.url)))
    page.goto(report.page.as_uri())
    page.wait_for_selector(".by-loss section")
    page.wait_for_selector(".panels circle")
    yield page
    assert complaints == []


def _beyond(url: str) -> list[str]:
    return [] if url.startswith(("file:", "data:")) else [url]


def names(page) -> list[str]:
    rows = page.locator("#overview tbody tr:not([hidden]) [data-column=loss]")
    return rows.evaluate_all("cells => cells.map(cell => cell.dataset.sort)")


def test_losses_are_sorted_and_filtered(page, evidence):
    means = evidence["retrieval_by_loss"].query("metric == 'map_at_r'").set_index("loss")["mean"]
    order = means.sort_values().index.tolist()
    start = names(page)
    heading = page.locator("#overview thead button", has_text="MAP@R")
    heading.click()
    assert names(page) == [*order, "untrained"]  # without a value: last both ways
    heading.click()
    assert names(page) == [*order[::-1], "untrained"]
    page.locator("#overview thead button", has_text="loss").first.click()
    assert names(page) == sorted(start)
    page.fill("#find", "FACE")
    assert names(page) == ["arcface"]
    assert page.inner_text("#shown") == "1 of 5 shown"
    page.fill("#find", "")
    page.select_option("#family", "ranking")
    assert names(page) == ["contrastive", "triplet"]
    page.select_option("#family", "")


def test_nothing_is_wider_than_the_page_and_every_picture_is_there(page):
    root = "document.documentElement"
    assert page.evaluate(f"{root}.scrollWidth - {root}.clientWidth") <= 0
    images = "[...document.images].every(image => image.complete && image.naturalWidth > 0)"
    assert page.evaluate(images)
    if page.viewport_size["width"] == 1280:
        table = "document.getElementById('overview').parentElement"
        assert page.evaluate(f"{table}.scrollWidth - {table}.clientWidth") <= 0


def test_images_are_filtered_sorted_and_chosen(page):
    thumbnails = page.locator(".thumbnails button")
    rows = "buttons => buttons.map(button => Number(button.dataset.row))"
    assert thumbnails.evaluate_all(rows) == list(range(IMAGES))
    page.locator(".explorer label", has_text="Property").locator("select").select_option(
        label="car model"
    )
    page.locator(".explorer label", has_text="Level").locator("select").select_option("van")
    assert thumbnails.evaluate_all(rows) == [1, 4, 7, 10]
    page.locator(".explorer label", has_text="Property").locator("select").select_option("")
    page.locator(".explorer label", has_text="Sort by").locator("select").select_option(
        "disagreement"
    )
    assert thumbnails.evaluate_all(rows)[:3] == [3, 1, 0]
    page.locator(".thumbnails button[data-row='5']").click()
    facts = page.locator(".explorer .facts").inner_text()
    assert "suv" in facts
    titles = page.locator(".by-loss section h4").all_inner_texts()
    assert [title.strip() for title in titles] == [readable(loss) for loss in FAMILIES_IN_ORDER]


def pixels(page, selector: str) -> str:
    """What a canvas shows."""
    return page.locator(selector).first.evaluate("canvas => canvas.toDataURL()")


def test_maps_are_averaged_or_shown_by_run_and_fade(page):
    page.locator(".thumbnails button[data-row='5']").click()
    page.wait_for_function("document.querySelector('.explorer .facts').innerText.includes('suv')")
    maps = page.locator(".by-loss section").nth(1).locator(".maps canvas")
    assert maps.count() == 1
    page.locator(".explorer label", has_text="Maps").locator("select").select_option("each")
    page.wait_for_function(
        "document.querySelectorAll('.by-loss section:nth-child(2) .maps canvas').length === 2"
    )
    before = pixels(page, ".by-loss .maps canvas")
    slider = page.locator(".explorer input[type=range]")
    slider.evaluate("s => { s.value = 0; s.dispatchEvent(new Event('input')); }")
    page.wait_for_function(
        "before => document.querySelector('.by-loss .maps canvas').toDataURL() !== before",
        arg=before,
    )
    bare = ".by-loss section:nth-child({}) .maps canvas"
    assert pixels(page, bare.format(1)) == pixels(page, bare.format(3))  # the picture alone
    page.locator(".explorer label", has_text="Maps").locator("select").select_option("mean")


def test_a_neighbour_is_told_and_explained(page):
    page.locator(".thumbnails button[data-row='3']").click()
    near = page.locator(".by-loss section").first.locator(".neighbors button")
    page.wait_for_function(
        "document.querySelector('.by-loss .neighbors button').dataset.row === '4'"
    )
    assert near.first.get_attribute("title") == "frame 4, similarity 0.750"
    near.first.click()
    told = page.locator(".why").inner_text()
    assert "contrastive, triplet, normalized softmax, untrained." in told  # arcface: 5 and 7
    assert "maps of the distance to it" in told
    page.wait_for_selector(".by-loss canvas[aria-label='arcface: distance to frame 4']")
    page.locator(".why button").click()
    page.wait_for_function(
        "document.querySelector('.by-loss .neighbors button').dataset.row === '5'"
    )
    near.first.click()
    assert "study.neighbor_maps" in page.locator(".why").inner_text()


def test_an_image_of_the_atlas_is_shown_and_marked_under_every_loss(page):
    circles = page.locator(".panels svg").nth(2).locator("circle[data-row='7']")
    circles.dispatch_event("pointerover")
    assert page.locator(".tip").is_visible()
    assert page.locator(".tip").inner_text().startswith("frame 7\ncar model: van")
    circles.dispatch_event("click")
    marked = page.locator(".panels circle.selected")
    assert marked.evaluate_all("all => all.map(c => c.dataset.row)") == ["7"] * len(FAMILIES)
    assert "van" in page.locator(".explorer .facts").inner_text()
    page.locator(".panels svg").nth(2).dispatch_event("pointerleave")
    assert page.locator(".tip").is_hidden()


def test_the_atlas_changes_its_method_and_colours(page):
    circle = page.locator(".panels svg").nth(1).locator("circle[data-row='2']")
    place, fill = circle.get_attribute("cx"), circle.evaluate("c => c.style.fill")
    page.locator(".atlas label", has_text="Method").locator("select").select_option(label="t-SNE")
    assert circle.get_attribute("cx") != place
    page.locator(".atlas label", has_text="Colour").locator("select").select_option(
        label="paint hue"
    )
    assert circle.evaluate("c => c.style.fill") != fill
    assert page.locator(".atlas .legend").inner_text().split() == ["0", "0.25", "0.5", "0.75"]


def test_cells_of_heatmaps_say_what_they_are(page, evidence):
    cells = page.locator("#maps .heatmap").first.locator("td[title]")
    by_loss = evidence["corrected_by_loss"].set_index(["loss_a", "loss_b"])["correlation"]
    titles = cells.evaluate_all("all => all.map(cell => cell.title)")
    assert f"triplet · arcface: {by_loss['triplet', 'arcface']:.4f}" in titles
    assert len(titles) == (len(FAMILIES) - 1) ** 2  # the control has no ρ


def test_a_card_opens_with_what_the_loss_finds(page):
    page.locator(".card[data-loss=arcface] summary").click()
    page.wait_for_selector(".card[data-loss=arcface] .retrieval canvas")
    card = page.locator(".card[data-loss=arcface]")
    assert card.locator(".retrieval").count() == 3
    links = card.locator("a").evaluate_all("all => all.map(a => a.getAttribute('href'))")
    assert "https://wandb.ai/us/cars/runs/abc" in links
    assert any(link.endswith("runs/arcface/fold0-seed1") for link in links)


def test_links_lead_to_files_beside_the_page(page, report):
    links = page.locator("a[href]").evaluate_all("all => all.map(a => a.getAttribute('href'))")
    files = [link for link in links if link.startswith(("tables/", "figures/"))]
    assert {"tables/agreement.csv", "figures/properties.svg"} <= {*files}
    assert all((report.page.parent / Path(file)).is_file() for file in files)


def test_it_prints(page, tmp_path):
    pdf = page.pdf(path=tmp_path / "page.pdf")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) > 1
