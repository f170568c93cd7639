"""The report of an adaptation: every kind of attack, honest sentences, no foreign text as markup."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from facepad.media.images import write_image
from facepad.metrics import check_requirements, read_requirements
from facepad.report import ShortcutProbe
from facepad.report.adapt import (
    adaptation_card,
    render_adaptation,
    render_adaptation_markdown,
    write_adaptation_report,
)
from facepad.report.adapt_content import CandidateResult, LearningCurve
from facepad.report.text import GAP
from facepad.types import Label, Split
from helpers.adaptations import MadeUpFinding, adaptation, rate
from helpers.reports import HOSTILE, Page, record, simulated

SECTIONS = ["expect", "choice", "findings", "probes", "people", "scores", "losses", "next", "made"]


@pytest.fixture(scope="module")
def content():
    return adaptation()


@pytest.fixture(scope="module")
def page(content):
    return Page(render_adaptation(content))


def test_page_has_all_sections_in_order_and_the_figures_of_new_people_first(page):
    assert page.sections() == SECTIONS
    assert "Of new people at this site, expect that 5.00 % of print attacks, the worst kind, are accepted" in (
        page.text.replace(GAP, " ")
    )


def test_interval_of_new_people_is_that_of_the_kind_that_is_named():
    kinds = {"print": rate(0.0, 0.0, 0.02), "mask_3d": rate(0.0, 0.0, 0.4), "replay_video": rate(0.0, 0.0, 0.1)}
    content = adaptation(kinds=kinds, expected={**adaptation().expected, "apcer": kinds["mask_3d"]})
    text = render_adaptation_markdown(content).replace(GAP, " ")
    assert "of mask 3d attacks, the worst kind, are accepted (0 to 40.00 %)" in text


@pytest.mark.parametrize("render", [render_adaptation, render_adaptation_markdown, adaptation_card])
def test_every_text_names_every_kind_of_attack_with_its_interval(content, render):
    text = render(content).replace(GAP, " ")
    for wanted in ("APCER, print", "2.00 to 11.00 %", "APCER, replay video", "0 to 7.00 %", "BPCER", "ACER"):
        assert wanted in text


@pytest.mark.parametrize("render", [render_adaptation, render_adaptation_markdown, adaptation_card])
def test_every_text_says_that_the_figures_are_no_test(content, render):
    text = render(content)
    assert "This is not a test on other data." in text and "Cross-validation on the 6 people" in text


def test_short_cuts_stand_above_the_table_of_expected_rates(content):
    page = render_adaptation(content)
    assert page.index("every attack is PNG") < page.index("Error rates to expect of new people")


def test_page_lists_all_candidates_and_the_reasons_of_those_left_out(page):
    for wanted in ("small-tuned", "a small network, trained", "large: its files are not on this machine"):
        assert wanted in page.text


@pytest.mark.parametrize("render", [render_adaptation, render_adaptation_markdown])
def test_candidates_have_the_error_by_which_they_are_chosen_before_their_acer(content, render):
    text = render(content).replace(GAP, " ")
    assert text.index("Mean EER of the folds") < text.index("95 % interval", text.index("Mean EER of the folds"))
    row = text[text.index("a small network, trained") :]
    assert row.index("3.00 %") < row.index("4.00 %") < row.index("2.0 MB")


def test_sections_without_content_are_left_out(content):
    bare = adaptation(findings=(), probes=(), collect=(), notes=(), left_out={})
    assert Page(render_adaptation(bare)).sections() == ["expect", "choice", "people", "scores", "losses", "made"]
    assert "Findings" not in render_adaptation_markdown(bare)


@pytest.mark.parametrize("render", [render_adaptation, render_adaptation_markdown, adaptation_card])
def test_every_text_says_in_words_that_the_surroundings_reveal_the_class(content, render):
    said = "With the face painted over, the EER is only 4.00 %: the surroundings alone reveal the class"
    revealed = adaptation(probes=[ShortcutProbe("face blanked", "surroundings only", rate(0.04, 0.0, 0.1))])
    assert said in render(revealed).replace(GAP, " ")
    assert "the surroundings alone reveal" not in render(content)


def test_curve_says_why_there_is_no_forecast(content):
    single = LearningCurve(content.curve.points[-1:], missing="too few points")
    page = render_adaptation(replace(content, curve=single))
    assert "No forecast for more people: too few points." in page and 'id="people-' not in page


def test_curve_without_an_error_promises_no_gain(content):
    zero = replace(content.curve.points[-1], acer=rate(0.0, 0.0, 0.09))
    curve = replace(content.curve, points=(*content.curve.points[:-1], zero))
    text = render_adaptation_markdown(replace(content, curve=curve))
    assert "No error was measured" in text and "**9.00 %**" in text and "expect about" not in text


def test_flat_curve_advises_to_look_at_the_worst_images(content):
    flat = tuple(replace(at, acer=content.curve.points[-1].acer) for at in content.curve.outlook)
    text = render_adaptation_markdown(replace(content, curve=replace(content.curve, outlook=flat)))
    assert "do not prove that more people" in text


def test_curve_with_an_upper_end_that_does_not_fall_is_called_uncertain(content):
    high = content.curve.points[-1].acer.high
    kept = tuple(replace(at, acer=replace(at.acer, high=high)) for at in content.curve.outlook)
    text = render_adaptation_markdown(replace(content, curve=replace(content.curve, outlook=kept)))
    assert "do not prove that more people" in text
    assert "do not prove" not in render_adaptation_markdown(content)


def test_foreign_texts_are_escaped_and_the_page_loads_nothing(tmp_path):
    nasty = HOSTILE[1]
    records = [replace(each, split=None) for each in simulated(Split.DEV, seed=1, missing=0)]
    records += [replace(record(0.999999), path=path, subject=path, video=path, split=None) for path in HOSTILE]
    hostile = adaptation(
        records,
        title=nasty,
        image_root=tmp_path,
        winner=nasty,
        findings=[MadeUpFinding("warning", each, (each,)) for each in HOSTILE],
        candidates=[CandidateResult(each, each, "as-is", rate(0.1, 0, 0.2), 0.1, 1, 1.0) for each in HOSTILE],
        left_out=dict(zip(HOSTILE, HOSTILE, strict=True)),
        notes=HOSTILE,
        collect=HOSTILE,
        facts=dict(zip(HOSTILE, HOSTILE, strict=True)),
        card={nasty: nasty},
        probes=[ShortcutProbe(nasty, nasty, rate(0.3, 0.2, 0.4))],
        curve=replace(adaptation().curve, outlook=(), missing=nasty),
    )
    page = Page(render_adaptation(hostile))
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe"}
    assert all(not name.startswith("on") for _, attrs in page.tags for name in attrs)
    sources = [attrs.get("src") or attrs.get("href") for tag, attrs in page.tags if tag in ("img", "a", "use")]
    assert all(source.startswith(("data:", "#")) for source in sources)
    for name in HOSTILE[:4]:
        assert name in page.text
    assert "<script>" not in render_adaptation_markdown(hostile).replace("\\<", "")


def test_card_names_no_person_and_no_file(content):
    card = adaptation_card(replace(content, findings=[MadeUpFinding("warning", "anna is alone")]))
    assert "anna" not in card and ".jpg" not in card and "MIT" in card


@pytest.mark.parametrize("shown", [True, False])
def test_pictures_of_the_worst_images_can_be_left_out(content, tmp_path, shown):
    from facepad.report.losses import top_losses

    worst = top_losses(content.scores)[Label.ATTACK][0].path
    write_image(tmp_path / worst, np.full((480, 640, 3), (200, 30, 30), dtype=np.uint8))
    scores = replace(content.scores, image_root=tmp_path, thumbnails=shown)
    page = Page(render_adaptation(replace(content, scores=scores)))
    assert sum(tag == "img" for tag, _ in page.tags) == shown


def test_report_is_written_as_a_page_and_as_markdown(content, tmp_path):
    page = write_adaptation_report(tmp_path, content)
    assert page == tmp_path / "report.html" and page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert (tmp_path / "report.md").read_text(encoding="utf-8").startswith("# Model for desk\n")


def test_requirements_are_told_with_the_decisions_that_they_are_held_against():
    findings = check_requirements(
        [record(0.9 if n < 5 else 0.1, path=f"{n}.jpg", subject=f"s{n}", video=None) for n in range(60)],
        0.5,
        read_requirements([], ["ibeta-level-1"]),
    )
    content = adaptation(requirements=findings)
    page, text = render_adaptation(content), render_adaptation_markdown(content)
    assert Page(page).sections()[:2] == ["expect", "requirements"]
    for each in (page, text):
        assert "5 of 60" in each and "FAIL" in each and "The decisions are out of fold" in each
    assert "The threshold was chosen on the same scores" in render_adaptation(replace(content, folds=0))


def test_report_says_that_thresholds_of_folds_differ_if_networks_were_trained(content):
    text = "the best threshold differs from fold to fold"
    assert content.curve.points and text in render_adaptation(content)
    assert text not in render_adaptation(replace(content, curve=LearningCurve((), missing="not trained")))
