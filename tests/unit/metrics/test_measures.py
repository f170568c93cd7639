"""The table of measures: its rows are distinct and documented, and a new row appears everywhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facepad.metrics import (
    MEASURES,
    Basis,
    Resampling,
    System,
    compare_records,
    fixed_threshold,
    format_comparison,
    format_summary,
    measures_of,
    summarize,
)
from facepad.types import AttackType, Label, ScoreRecord, ScoreStatus, Split
from helpers.new_measure import add_measure

FAST = Resampling(replicates=100)
DOCS = Path(__file__).parents[3] / "docs" / "metrics.md"


def records(seed=0):
    rng, found = np.random.default_rng(seed), []
    for index in range(90):
        kind = (None, AttackType.PRINT, AttackType.MASK_3D)[index % 3]
        label, middle = (Label.ATTACK, 0.3) if kind else (Label.BONA_FIDE, 0.7)
        status = ScoreStatus.SCORED if index % 15 else ScoreStatus.NO_FACE
        score = float(rng.normal(middle, 0.2)) if status is ScoreStatus.SCORED else None
        who = f"s{index % 9}"
        found.append(ScoreRecord(f"{index}.png", who, None, None, label, kind, Split.TEST, status, score))
    return found


@pytest.fixture
def new_row(monkeypatch):
    return add_measure(monkeypatch)


def test_new_row_is_measured_with_its_interval(new_row):
    summary = summarize(records(), 0.5, resampling=FAST)
    assert summary.rates[new_row.key] == summary.rates["hter"]
    assert summary.to_dict()[new_row.key] == summary.rates["hter"].to_dict()
    assert summary.non_responses_as_errors[new_row.key] == summary.non_responses_as_errors["hter"]


def test_new_row_is_a_line_of_the_text(new_row):
    lines = format_summary(summarize(records(), 0.5, resampling=FAST)).splitlines()
    place = next(at for at, line in enumerate(lines) if line.startswith(new_row.title))
    assert lines[place - 1].startswith("accuracy") and lines[place + 1].startswith("EER")


def test_new_row_is_compared(new_row):
    systems = [System(name, records(seed), fixed_threshold(0.5)) for seed, name in enumerate("AB")]
    found = compare_records(*systems, resampling=FAST)
    assert list(found.differences) == ["eer", "apcer", "bpcer", "acer", new_row.key]
    summary = summarize(records(0), 0.5, resampling=FAST)
    assert found.differences[new_row.key].a == summary.rates["hter"].value
    assert any(line.startswith("Balanced error") for line in format_comparison(found).splitlines())


def test_keys_and_rows_are_distinct():
    assert len({measure.key for measure in MEASURES}) == len(MEASURES)
    assert len({(measure.basis, measure.row) for measure in MEASURES}) == len(MEASURES)
    assert sorted(m.key for m in measures_of(*Basis)) == sorted(m.key for m in MEASURES)


def test_documentation_has_a_row_with_the_name_and_the_meaning_of_every_measure():
    rates = DOCS.read_text(encoding="utf-8").partition("## Rates")[2].partition("## Thresholds")[0].splitlines()
    for measure in MEASURES:
        row = f"| `{measure.key}` | {measure.name}: {measure.meaning} | "
        assert sum(line.startswith(row) for line in rates) == 1, row
