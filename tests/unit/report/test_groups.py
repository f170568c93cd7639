"""The section on groups, in the page, in Markdown and in metrics.json."""

from __future__ import annotations

from dataclasses import replace

from facepad.metrics import with_groups
from facepad.report.groups import group_table
from facepad.report.markdown import render_markdown
from facepad.report.text import percent
from facepad.report.write import metrics_dict, render
from facepad.types import Split
from helpers.reports import Page, content_of, simulated


def test_report_shows_the_rates_of_groups_and_the_gaps():
    groups = ("<b>a</b>", "b|c")
    test = [
        replace(each, subject=f"{each.subject}-{n % 24}", attributes=(("site", groups[n % 2]),))
        for n, each in enumerate(simulated(Split.TEST))
    ]
    content = content_of(simulated(Split.DEV), test)
    content = replace(content, summary=with_groups(content.summary, content.measured, ["site"]))
    table, page, markdown = group_table(content.summary.groups), Page(render(content)).text, render_markdown(content)
    assert [row.name for row in table.rows] == list(groups)
    for row, group in zip(table.rows, content.summary.groups.groups, strict=True):
        assert [rate.value for rate in row.rates[:2]] == [percent(r.value, False) for r in (group.bpcer, group.apcer)]
        assert row.name in page and row.rates[0].value in page
    assert "## Groups" in markdown and "\\<b\\>a\\</b\\>" in markdown and "b\\|c" in markdown
    for text in (page, markdown):
        assert "Largest gap of BPCER: " in text and "A large p does not show" in text
    assert metrics_dict(content)["groups"]["columns"] == ["site"]


def test_report_without_groups_has_no_such_section(plain):
    assert group_table(plain.summary.groups) is None
    assert "## Groups" not in render_markdown(plain) and metrics_dict(plain)["groups"] is None
