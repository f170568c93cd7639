"""The report on several systems on paper: nothing is wider than the page, and no figure or row is cut."""

from __future__ import annotations

from facepad.report.systems import ReportOptions, measure_systems, named_files, write_systems
from helpers.two_classes import lines, write

CONTENT = {"width": 688, "height": 1017}  # A4 without the margins of 14 mm, at 96 pixels per inch
WIDER = """() => [...document.querySelectorAll("body *")]
    .filter(each => each.getBoundingClientRect().right > innerWidth + 1 && getComputedStyle(each).display !== "none")
    .map(each => each.tagName + " " + each.className + " " + each.textContent.slice(0, 40))"""
BREAKING = """() => [...document.querySelectorAll("figure, tr, .test")]
    .filter(each => getComputedStyle(each).breakInside !== "avoid").map(each => each.outerHTML.slice(0, 80))"""


def test_a_report_on_paper_is_complete(launch, tmp_path):
    names = ("short", "a-very-long-name-of-a-system-without-a-space-2.3.1")
    paths = [
        write(tmp_path / f"{name}.csv", lines("dev", "live", seed), lines("test", "live", 10 + seed))
        for seed, name in enumerate(names)
    ]
    options = ReportOptions(require=("apcer=0.3", "bpcer=0.3"))
    page_file = write_systems(tmp_path / "out", measure_systems(named_files(paths), options))
    page = launch().new_page(viewport=CONTENT)
    page.emulate_media(media="print")
    page.goto(page_file.as_uri())
    assert page.evaluate(WIDER) == []
    assert page.evaluate(BREAKING) == []
    assert not page.locator("nav").is_visible()
    pdf = page.pdf(format="A4")
    assert pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page>") + pdf.count(b"/Type /Page/") >= 3
