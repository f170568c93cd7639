"""Tables as rows of text: instruments, bars, published figures, samples without a score."""

from __future__ import annotations

from dataclasses import replace

from facepad.metrics import Rate
from facepad.report.literature import published_rows
from facepad.report.markdown import render_markdown
from facepad.report.sentences import non_responses
from facepad.report.tables import bars, headline, instruments, published_table, series, unscored
from facepad.report.text import GAP, percent
from facepad.report.write import render
from facepad.types import ScoreStatus, Split
from helpers.new_measure import add_measure
from helpers.reports import Page, content_of, simulated


def test_non_responses_are_told_apart(plain):
    assert non_responses(plain).startswith(
        "No score for 2 attacks (no face found 2) and 2 bona fide presentations (no face found 2)"
    )
    missing = unscored(plain)
    assert len(missing.rows) == 4 and missing.more == 0
    assert missing.rows[0] == ("test/bona_fide/0.jpg", "bona fide", "no face")


def test_long_list_of_unscored_images_is_capped():
    content = content_of(simulated(Split.DEV), simulated(Split.TEST, missing=30))
    assert (len(unscored(content).rows), unscored(content).more) == (25, 35)


def test_instrument_without_scores_is_said_to_be_undefined():
    test = [
        replace(r, score=None, status=ScoreStatus.NO_FACE) if r.attack_type == "print" else r
        for r in simulated(Split.TEST)
    ]
    content = content_of(simulated(Split.DEV), test)
    rows = {row.name: row for row in instruments(content.summary)[0]}
    assert rows["print"].errors == "none scored" and rows["print"].bar is None
    assert rows["print"].apcer.value == "not defined" and rows["replay video"].worst


def test_species_and_series_are_in_report_and_markdown_with_the_worst_first():
    test = [
        r
        if r.attack_type is None
        else replace(r, attributes=(("series", str(at % 12)), ("species", f"{'<i>'}_{at % 2}")))
        for at, r in enumerate(simulated(Split.TEST))
    ]
    content = content_of(simulated(Split.DEV), test)
    rows, more = series(content.summary)
    assert (len(rows), more) == (10, 2)
    apcer = [float(row.apcer.value) for row in rows]
    assert apcer == sorted(apcer, reverse=True)
    assert [row.name for row in instruments(content.summary)[0]] == ["<i> 0 (print)", "<i> 1 (replay video)"]
    page, markdown = Page(render(content)).text, render_markdown(content)
    assert "<i> 0 (print)" in page and "and 2 more series, with a lower or equal APCER." in page
    assert "| Series | Species | Accepted |" in markdown and "and 2 more series" in markdown
    assert "\\<i\\> 0 (print)" in markdown


def test_bars_share_a_scale_that_holds_them_all():
    drawn, end = bars([Rate(0.03, 0.01, 0.06, 10, ""), None, Rate(0.0, 0.0, 0.02, 10, "")])
    assert end == f"10{GAP}%"
    assert drawn[1] is None
    assert all(0 <= bar.low <= bar.value <= bar.low + bar.width <= 100 for bar in drawn if bar)


def test_published_table_has_this_result_on_top_in_the_same_units(full, full_page):
    table = published_table(full)
    assert table.columns[0] == "Accuracy, %" and "EER, %" not in table.columns
    assert table.own[0] == percent(full.summary.rates["accuracy"].value, False)
    by_name = {row.name: dict(zip(table.columns, cells, strict=True)) for row, _, cells in table.rows}
    assert by_name["TLA-ResNet34"]["HTER, %"] == "0.213"
    assert by_name["TLA-ResNet34"]["APCER, %"] == "0.333"
    assert by_name["FASNet (VGG-16)"] == dict.fromkeys(table.columns, "") | {"Accuracy, %": "99.04", "HTER, %": "1.2"}
    text = Page(full_page).text
    assert "inconsistent" in text and text.count("cannot both be correct") == 1


def test_published_figures_of_the_same_data_set_come_first_with_this_result_among_them(full):
    fusion = replace(full, published=published_rows("AttentionFusion"))
    unknown = published_table(fusion)
    assert [(group.title, group.own) for group in unknown.groups] == [("CASIA-MFSD", False), ("Replay-Attack", False)]
    known = published_table(replace(fusion, dataset="Replay-Attack"))
    assert [(group.title, group.own) for group in known.groups] == [("Replay-Attack", True), ("CASIA-MFSD", False)]
    assert [(row.name, cells) for row, _, cells in known.groups[0].rows] == [
        ("AttentionFusion", ("1.94",)),
        ("Yang et al.", ("2.14",)),
        ("DPCNN", ("2.9",)),
        ("Fine-tuned VGG-Face", ("8.4",)),
    ]
    assert known.own == (percent(full.summary.rates["eer"].value, False),)
    for content in (fusion, replace(fusion, dataset="Replay-Attack")):
        page = Page(render(content)).text
        assert page.count("This result") == 1
    assert page.index("Replay-Attack") < page.index("This result") < page.index("CASIA-MFSD")


def test_this_result_beside_published_ones_names_its_protocol_and_level(full):
    rows, name = published_rows(None, "Replay-Attack"), "Replay-Attack"
    summary = replace(full.summary, aggregation="mean")
    content = replace(full, summary=summary, published=rows, dataset=name, protocol="grandtest")
    assert {row.dataset for row in rows} == {name}
    assert published_table(content).protocol == "grandtest, by video"
    assert "grandtest, by video" in Page(render(content)).text
    assert "| This result | Replay-Attack | grandtest, by video |" in render_markdown(content)
    # Among rows of other data only the title says what it was measured on.
    assert published_table(replace(content, dataset="NUAA")).protocol == f"{full.title}, by video"


def test_new_row_of_the_measures_is_in_report_and_markdown(monkeypatch):
    row = add_measure(monkeypatch)
    content = content_of(simulated(Split.DEV, seed=1), simulated(Split.TEST, seed=2))
    page, text = render(content), render_markdown(content)
    value = percent(content.summary.rates["hter"].value, unit=False)
    assert page.count('<th scope="row">Balanced<') == 2  # at the threshold, and with missing scores as errors
    assert f"| Balanced | {row.meaning} | {value} % |" in text
    assert (row.name, row.headline, value) in [(tile.name, tile.meaning, tile.value) for tile in headline(content)]
