import base64
import json
import re
from html.parser import HTMLParser

import pytest

from lossprint.apps.evidence import EVIDENCE
from lossprint.reports.evidence import Evidence
from lossprint.reports.overview import loss_columns, loss_overview
from lossprint.reports.page import Part, _headline, render_page
from lossprint.reports.report import findings, write_report
from lossprint.reports.section import Link, Widget

SECTIONS = [piece.section for piece in EVIDENCE]
HOSTILE = "<script>alert('x')</script>&\"'"


class Outline(HTMLParser):
    """Tags with their attributes, and whether every one that is opened is closed in order."""

    VOID = frozenset({"meta", "link", "img", "input", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_else(report):
    text = report.page.read_text(encoding="utf-8")
    outline = Outline()
    outline.feed(text)
    assert outline.open == []
    images = [attributes for tag, attributes in outline.tags if tag == "img"]
    grids = [a for tag, a in outline.tags if tag == "table" and a.get("class") == "heatmap"]
    assert len(images) + len(grids) == len(report.figures) >= 14
    assert len(grids) == 5
    assert all(image["src"].startswith("data:image/webp;base64,") for image in images)
    assert all(image["alt"] for image in images)
    for tag, attributes in outline.tags:
        for name in ("src", "href"):
            target = attributes.get(name) or "#"
            links = ("tables/", "figures/", "..", "https://wandb.ai/") if tag == "a" else ()
            assert target.startswith(("#", "data:", *links)), f"<{tag} {name}={target}>"
    elsewhere = re.sub(r'base64,[^"]+|<a href="[^"]+"', "", text)
    assert not re.search(r"https?://(?!www\.w3\.org)", elsewhere)


def test_the_page_opens_with_the_answer_and_ends_with_the_methods(report):
    text = report.page.read_text(encoding="utf-8")
    places = [text.index(part) for part in (report.answer, report.findings[0].text, "Methods</h2>")]
    assert places == sorted(places)
    assert "<dt>seed</dt><dd>0</dd>" in text


def test_links_lead_to_sections(report):
    outline = Outline()
    outline.feed(report.page.read_text(encoding="utf-8"))
    ids = {attributes.get("id") for _, attributes in outline.tags}
    links = [a["href"] for tag, a in outline.tags if tag == "a"]
    inside = [link for link in links if link.startswith("#")]
    assert len(inside) > 5
    assert all(link.removeprefix("#") in ids for link in inside)


def test_a_link_that_is_a_script_is_refused():
    with pytest.raises(ValueError, match="no address that a report may link to"):
        _page(Evidence({}), files=[Link("press me", "javascript:alert(1)")])


def test_what_widgets_are_handed_is_escaped_and_shared_pictures_are_there_once():
    widgets = [
        Widget(kind, {"text": HOSTILE}, {"tiles": b"webp"}) for kind in ("explorer", "atlas")
    ]
    text = _page(Evidence({}), parts=[Part("a", "A", [], [], widgets)])
    assert HOSTILE not in text
    assert text.count(base64.b64encode(b"webp").decode()) == 1
    found = re.findall(r'<script type="application/json">(.*?)</script>', text)
    assert [json.loads(data) for data in found] == [{"text": HOSTILE}] * 2


def test_everything_handed_in_is_escaped(evidence):
    runs = evidence["runs"].replace({"loss": {"triplet": HOSTILE}})
    text = _page(Evidence({"runs": runs}))
    assert HOSTILE not in text
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;&#34;&#39;" in text


def _page(evidence: Evidence, **content) -> str:
    return render_page(
        title=HOSTILE,
        subtitle=HOSTILE,
        answer=HOSTILE,
        findings=findings(evidence, SECTIONS),
        overview=loss_overview(evidence, loss_columns(evidence, SECTIONS)),
        methods={HOSTILE: HOSTILE},
        **{"parts": []} | content,
    )


def test_what_a_table_is_stands_out_from_what_there_is_to_know_of_it():
    assert _headline("CKA, debiased: 0 by chance; 1 is equal") == (
        "CKA, debiased", ": 0 by chance; 1 is equal",
    )  # fmt: skip
    assert _headline("MAP@R of 0.5 runs") == ("MAP@R of 0.5 runs", "")


def test_parts_without_evidence_are_left_out(evidence, tmp_path):
    names = ("runs", "retrieval", "retrieval_by_loss")
    only_retrieval = Evidence({name: evidence[name] for name in names})
    report = write_report(tmp_path, only_retrieval, SECTIONS, title="Part", methods={})
    text = report.page.read_text(encoding="utf-8")
    assert report.figures == {}
    assert "Retrieval</h2>" in text
    assert "Saliency maps</h2>" not in text
