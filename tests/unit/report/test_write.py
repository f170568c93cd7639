"""The written report: its sections, its numbers, and that it needs nothing but itself."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from facepad.errors import InputError
from facepad.media.images import write_image
from facepad.metrics import Resampling, choose_threshold, shown_frames, summarize, to_videos
from facepad.report import ReportContent, write_report
from facepad.report.literature import published_rows
from facepad.report.text import GAP, interval, number, percent
from facepad.report.write import render
from facepad.types import Split
from helpers.reports import HOSTILE, Page, content_of, simulated, squeezed

ALWAYS = ["decision", "numbers", "instruments", "confusion", "readings", "curves", "scores", "losses"]


SOMETIMES = ["depth", "learning", "unscored", "probes", "published", "recipe", "provenance"]


def test_sections_without_content_are_left_out(plain):
    scored = [r for r in plain.records if r.score is not None]
    bare = content_of(
        [r for r in scored if r.split is Split.DEV], [r for r in scored if r.split is Split.TEST], image_root=None
    )
    page = Page(render(bare))
    assert page.sections() == ALWAYS
    assert [attrs["href"] for tag, attrs in page.tags if tag == "a"] == [f"#{name}" for name in ALWAYS]


def test_full_report_has_all_sections_in_order(full_page):
    page = Page(full_page)
    assert page.sections() == [*ALWAYS, *SOMETIMES]
    for text in ("train.seed", "stages.0.lr", "two cores", "Measured on a rainy day."):
        assert text in page.text


def test_page_shows_the_numbers_of_the_summary(full, full_page):
    text = squeezed(full_page)
    rates, errors = full.summary.rates, full.summary.non_responses_as_errors
    names = ["APCER", "FAR", "BPCER (FRR)", "ACER", "HTER", "Accuracy"]
    keys = ["apcer", "far_pooled", "bpcer", "acer", "hter", "accuracy"]
    expected = [(name, rates[key]) for name, key in zip(names, keys, strict=True)]
    expected += [("EER", rates["eer"])]
    expected += [(f"BPCER @ {100 * at:g}{GAP}%", rate) for at, rate in full.summary.bpcer_at_apcer.items()]
    expected += [("APNRR", rates["apnrr"]), ("BPNRR", rates["bpnrr"])]
    expected += [(name, errors[key]) for name, key in zip(names, keys, strict=True)]
    start = 0
    for name, rate in expected:
        start = text.index(squeezed(f'<th scope="row">{name}<'), start)
        row = text[start : text.index("</tr>", start)]
        assert f">{percent(rate.value, False)}</td>" in row and f">{interval(rate, False)}</td>" in row, name
        assert f">{rate.n}</td>" in row and rate.method in row, name
        start += 1
    tiles = re.findall(r'class="name">(\w+)</span><span class="value">([0-9.]+)<.*?95&nbsp;%: ([0-9. to]+)<', text)
    headline = [(name, rates[name.lower()]) for name in ("APCER", "BPCER", "ACER", "EER")]
    assert tiles == [(name, percent(rate.value, False), interval(rate, False)) for name, rate in headline]
    for of_class in full.summary.precision_recall.values():
        assert f"{of_class['precision'].value:.4f}" in text
        assert f"{of_class['f1'].low:.4f} to {of_class['f1'].high:.4f}" in text
    assert f"{full.summary.rates['auc'].value:.4f}" in text
    matrix = full.summary.confusion
    assert f"<b>{matrix.attack_accepted}</b>" in text and f"<b>{matrix.bona_fide_accepted}</b>" in text
    assert f"<b>{number(full.threshold.value)}</b>" in text


def test_metrics_json_is_the_summary_and_the_probes(full, tmp_path):
    path = write_report(tmp_path / "new" / "folder", full)
    assert path == tmp_path / "new" / "folder" / "report.html"
    written = json.loads((path.parent / "metrics.json").read_text(encoding="utf-8"))
    assert written.pop("probes") == {
        "face blanked": {
            "description": "surroundings only",
            "eer": {"value": 0.312, "low": 0.2, "high": 0.4, "n": 120},
        }
    }
    assert written == json.loads(json.dumps(full.summary.to_dict()))
    assert sorted(p.name for p in path.parent.iterdir()) == ["metrics.json", "report.html", "report.md"]


def test_same_content_gives_same_bytes(full, full_page, tmp_path):
    assert write_report(tmp_path, full).read_text(encoding="utf-8") == full_page


def test_unwritable_folder_is_wrong_input(plain, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot write"):
        write_report(tmp_path / "file", plain)


def test_page_needs_nothing_from_outside(full_page):
    text, page = full_page, Page(full_page)
    for tag, attrs in page.tags:
        assert tag not in ("script", "link", "iframe", "object", "base", "form"), tag
        assert not any(name.startswith("on") for name in attrs), attrs
        for name in ("src", "href", "xlink:href", "srcset", "data", "action", "poster"):
            assert attrs.get(name, "#").startswith(("#", "data:image/jpeg;base64,", "data:image/png;base64,")), attrs[
                name
            ]
    assert not re.search(r"@import|url\((?!#)|https?://", text)
    policy = next(attrs["content"] for _, attrs in page.tags if "content-security-policy" in str(attrs).lower())
    assert policy.startswith("default-src 'none'")


def test_ids_are_unique_and_every_reference_has_its_target(full_page):
    text = full_page
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', text)) <= set(ids)


def test_pictures_and_figures_have_alternative_texts(full_page):
    page = Page(full_page)
    images = [attrs for tag, attrs in page.tags if tag == "img"]
    figures = [attrs for tag, attrs in page.tags if tag == "svg"]
    assert images and all(attrs["alt"] for attrs in images)
    assert len(figures) == 6
    assert all(attrs["role"] == "img" and len(attrs["aria-label"]) > 20 for attrs in figures)
    tables = sum(tag == "table" for tag, _ in page.tags)
    assert sum(attrs.get("scope") in ("col", "row") for tag, attrs in page.tags if tag == "th") > 2 * tables


def test_hostile_names_are_text_and_nothing_else(full_page, hostile):
    page = Page(render(hostile))
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in Page(full_page).tags}
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
    for path in HOSTILE:
        assert page.text.count(squeezed(path)) >= 2, path


def test_names_that_are_not_utf8_are_written_escaped(plain, tmp_path):
    content = replace(plain, facts={"folder": "caf\udce9"})
    assert "caf\\udce9" in write_report(tmp_path, content).read_text(encoding="utf-8")
    assert "caf\\udce9" in (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "probes" not in json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))


def test_report_of_videos_has_a_note_and_shows_a_frame_of_each(tmp_path):
    frames = [
        replace(r, video=f"clip-{r.path}", path=f"{r.path}-{n}.png", frame=n)
        for split in (Split.DEV, Split.TEST)
        for r in simulated(split)
        for n in range(2)
    ]
    videos = to_videos(frames, "mean")
    dev, test = ([r for r in videos if r.split is split] for split in (Split.DEV, Split.TEST))
    threshold = choose_threshold(dev, "eer", source="scores.csv", resampling=Resampling(None, 100))
    summary = summarize(test, threshold, aggregation="mean", resampling=Resampling("subject", 100))
    shown = shown_frames(frames, "mean")
    for path in shown.values():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        write_image(tmp_path / path, np.full((300, 300, 3), 80, np.uint8))
    content = ReportContent(
        "videos", summary, [*dev, *test], threshold, tmp_path, pictures=shown, published=published_rows("TLA-ResNet34")
    )
    text = render(content)
    page = Page(text)
    assert "level video, mean score of the frames" in page.text
    assert "The test videos of each class" in page.text and "Videos without a score" in page.text
    assert "videos, by video" in page.text
    assert 'class="placeholder"' not in text and text.count("data:image/jpeg") == 20
    assert "level video" not in Page(render(content_of(simulated(Split.DEV), simulated(Split.TEST)))).text


def test_large_report_stays_small(tmp_path):
    dev, test = simulated(Split.DEV, n=1500, missing=0), simulated(Split.TEST, n=4500, seed=3, spread=3.0)
    path = write_report(tmp_path, content_of(dev, test, image_root=tmp_path))
    assert path.stat().st_size < 3_000_000
