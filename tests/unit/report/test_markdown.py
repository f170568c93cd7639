"""report.md: its parts, its numbers, and names that Markdown would misread."""

from __future__ import annotations

import re
from dataclasses import replace

from facepad.metrics import Resampling, choose_threshold, fixed_threshold, summarize, to_videos
from facepad.report import ReportContent
from facepad.report.markdown import render_markdown
from facepad.report.sentences import decision
from facepad.report.text import GAP, interval, number, percent
from facepad.types import Split
from helpers.reports import HOSTILE, content_of, simulated, squeezed

MARKDOWN_ALWAYS = ["Key figures", "Attack instruments", "Confusion matrix", "Threshold", "Provenance"]


MARKDOWN_SOMETIMES = ["Images without a score", "Short-cut probes", "Published figures"]


def headings(text):
    return re.findall("^## (.*)$", text, flags=re.MULTILINE)


def tables_of(text):
    """Tables as rows of cells; an escaped | parts nothing."""
    blocks = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    return [[[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in block] for block in blocks]


def cells_of(text, start):
    """The rows whose first cell begins so."""
    return [row for table in tables_of(text) for row in table if row[0].startswith(start)]


def test_markdown_has_the_parts_that_the_content_has(plain, full):
    scored = [r for r in plain.records if r.score is not None]
    parts = [[r for r in scored if r.split is split] for split in (Split.DEV, Split.TEST)]
    assert headings(render_markdown(content_of(*parts))) == MARKDOWN_ALWAYS
    text = render_markdown(full)
    assert headings(text) == [*MARKDOWN_ALWAYS[:3], *MARKDOWN_SOMETIMES, *MARKDOWN_ALWAYS[3:]]
    assert "- Measured on a rainy day." in text and "![" not in text and "data:" not in text


def test_markdown_shows_the_numbers_of_the_summary(full):
    text, summary = render_markdown(full), full.summary
    for name in ("apcer", "bpcer", "acer", "hter", "eer"):
        title = {"bpcer": "BPCER (FRR)"}.get(name, name.upper())
        _, _, value, span, n = cells_of(text, title)[0]
        rate = summary.rates[name]
        assert (value, span, n) == (f"{percent(rate.value, False)} %", interval(rate, False), str(rate.n)), name
    for name, rates in summary.instruments.items():
        title = f"{name} (worst)" if name == summary.worst_instrument else name
        _, accepted, apcer, span, *_ = cells_of(text, title.replace("_", " "))[0]
        assert accepted == f"{round(rates.apcer.value * rates.apcer.n)} of {rates.apcer.n}"
        assert (apcer, span) == (percent(rates.apcer.value, False), interval(rates.apcer, False))
    counts = summary.confusion
    (matrix,) = cells_of(text, "attack")
    assert matrix[1].startswith(f"{counts.attack_accepted} (") and matrix[3].startswith("2 (")
    assert cells_of(text, "face blanked")[0][2:] == ["31.20 %", "20.00 to 40.00 %", "120"]
    assert cells_of(text, "This result")[0][3] == percent(summary.rates["accuracy"].value, False)
    assert "0.213" in cells_of(text, "TLA-ResNet34")[0]


def test_markdown_tells_where_threshold_and_data_came_from(full):
    text, origin = render_markdown(full), full.threshold.origin
    assert cells_of(text, "value") == [["value", str(full.threshold.value)]]
    assert cells_of(text, "criterion") == [["criterion", "eer: equal error rate"]]
    assert cells_of(text, "chosen on") == [["chosen on", "scores.csv, split dev: 58 bona fide, 58 attacks"]]
    assert cells_of(text, "scores' SHA-256") == [["scores' SHA-256", origin.sha256]]
    assert cells_of(text, "measured scores' SHA-256")[0][1] == full.summary.sha256
    assert cells_of(text, "machine") == [["machine", "two cores"]]
    given = render_markdown(content_of(simulated(Split.DEV), simulated(Split.TEST), threshold=fixed_threshold(0.5)))
    assert "given as a number and not chosen on data" in given and not cells_of(given, "chosen on")


def test_markdown_decision_is_the_pages_sentence_with_bold_figures(full):
    text = render_markdown(full)
    plain_text = re.sub("<.*?>", "", decision(full)).replace(GAP, " ")
    assert plain_text in text.replace("**", "").replace("\\", "")
    assert f"The threshold **{number(full.threshold.value)}** was chosen on" in text


def test_markdown_keeps_its_tables_whatever_names_hold(hostile):
    text = render_markdown(hostile)
    assert not re.search(r"(?<!\\)[<>`$\[\]]", text)
    assert len(tables_of(text)) == 10
    for table in tables_of(text):
        assert len({len(row) for row in table}) == 1, table[0]
    shown = re.sub(r"\\([^\w\s])", r"\1", text)
    for path in HOSTILE:
        assert squeezed(path) in shown, path


def test_markdown_of_videos_has_a_note():
    videos = [replace(r, video=f"clip-{r.path}") for split in (Split.DEV, Split.TEST) for r in simulated(split)]
    fused = to_videos(videos, "mean")
    dev, test = ([r for r in fused if r.split is split] for split in (Split.DEV, Split.TEST))
    threshold = choose_threshold(dev, "eer", source="scores.csv", resampling=Resampling(None, 100))
    summary = summarize(test, threshold, aggregation="mean", resampling=Resampling("subject", 100))
    text = render_markdown(ReportContent("videos", summary, [*dev, *test], threshold))
    assert "Measured on the test videos. The score of a video is the mean score of its frames." in text
    assert "## Videos without a score" in text
